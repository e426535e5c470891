//! Sets of event keys, which need no hash of their own.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::types::EventKey;

/// Keys of a group that is not durable yet.
pub type EventKeySet = HashSet<EventKey, BuildHasherDefault<KeyHasher>>;

/// Takes a key as its own hash, which it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_keys_finds_what_was_put_in() {
        let mut keys = EventKeySet::default();
        let [one, two] = ["1", "2"].map(|id| EventKey::new("live", "purchase", id));
        assert!(keys.insert(one) && !keys.insert(one) && !keys.contains(&two));
    }
}
