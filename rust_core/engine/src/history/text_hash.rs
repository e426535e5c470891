//! The hash of ids: places a user in a shard and a text in a table.
//!
//! Eight bytes at a time are folded by a 64 x 64 -> 128 bit multiplication (the step of wyhash).
//! It is fixed for good, because checkpoints are written shard by shard; a test pins values. The trade-off: whoever
//! chooses ids and knows the constants can make them collide. Ids come from the shop's own servers, and what they
//! could gain is a slower insert.

const SEEDS: [u64; 3] = [
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
];

/// The hash of a text; all 64 bits are good.
pub(super) fn text_hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let length = bytes.len() as u64;
    let mut state = SEEDS[0] ^ length;
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<16>()
        && !after.is_empty()
    {
        let (low, high) = halves(block);
        state = fold(low ^ SEEDS[1], high ^ state);
        rest = after;
    }
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let (low, high) = halves(&last);
    fold(
        SEEDS[2] ^ length,
        fold(low ^ SEEDS[1], high ^ state) ^ SEEDS[0],
    )
}

fn halves(block: &[u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*block);
    (whole as u64, (whole >> 64) as u64)
}

fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_stays_what_checkpoints_were_written_with() {
        let found: Vec<u64> = [
            "",
            "u1",
            "user-000000001",
            "sixteen-bytes-id",
            "seventeen-bytes-i",
        ]
        .into_iter()
        .map(text_hash)
        .collect();
        assert_eq!(found, PINNED);
    }

    const PINNED: [u64; 5] = [
        0x5a2dc9e0481681c7,
        0x19730f3f3a91e714,
        0xf116966deb6055d8,
        0x4c221dbf43bbcfcb,
        0x8298be5f9782b896,
    ];

    #[test]
    fn near_ids_fall_into_all_shards_evenly() {
        let mut counts = [0_u32; 256];
        for user in 0..256_000 {
            counts[(text_hash(&format!("user-{user:08}")) >> 56) as usize] += 1;
        }
        let (low, high) = (counts.iter().min(), counts.iter().max());
        assert!(low > Some(&850) && high < Some(&1150), "{low:?} {high:?}");
    }
}
