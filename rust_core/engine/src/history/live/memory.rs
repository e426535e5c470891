//! What things weigh: computed from their content, so that a fold replayed from a checkpoint weighs the same.

/// Bytes that an allocation of `bytes` takes from a common allocator: eight for itself, rounded up to sixteen.
pub(super) fn heap_bytes(bytes: usize) -> u64 {
    match bytes {
        0 => 0,
        _ => ((bytes as u64 + 8).div_ceil(16) * 16).max(32),
    }
}

/// Room that a list of `length` gets: exact up to 4, then powers of two and the halves between them, so that at most a
/// third stands empty; never more than the list may hold.
pub(super) fn room_for(length: usize, length_max: usize) -> usize {
    if length <= 4 {
        return length;
    }
    let power = length.next_power_of_two();
    let half_way = power / 4 * 3;
    let room = if length <= half_way { half_way } else { power };
    room.min(length_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_a_third_of_a_list_stands_empty() {
        for length in 1..10_000_usize {
            let room = room_for(length, usize::MAX);
            assert!(
                room >= length && 3 * (room - length) < room,
                "{length} {room}"
            );
        }
    }

    #[test]
    fn an_allocation_weighs_what_glibc_gives_it() {
        let found: Vec<u64> = [0, 1, 24, 25, 40, 41].into_iter().map(heap_bytes).collect();
        assert_eq!(found, [0, 32, 32, 48, 48, 64]);
    }
}
