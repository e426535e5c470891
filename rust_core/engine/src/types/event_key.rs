//! The identity of an event as 16 bytes.
//!
//! First half of SHA-256 over source, name and id with a unit separator between them; DuckDB computes the same from its
//! columns (`substr(sha256(source || chr(31) || event_name || chr(31) || event_id), 1, 32)`). A cryptographic hash,
//! because ids are chosen by callers and a collision would drop a true event.

use sha2::{Digest, Sha256};

const SEPARATOR: [u8; 1] = [0x1F];

/// What an event is known by: source, name and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u128);

impl EventKey {
    /// The key of an event.
    pub fn new(source: &str, event_name: &str, event_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(source);
        hash.update(SEPARATOR);
        hash.update(event_name);
        hash.update(SEPARATOR);
        hash.update(event_id);
        let digest = hash.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// The 16 bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The key of 16 bytes, most significant first.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_first_half_of_the_sha256_that_duckdb_computes() {
        // printf 'live\x1fpurchase\x1fe-1' | sha256sum
        let key = EventKey::new("live", "purchase", "e-1");
        assert_eq!(
            format!("{:032x}", key.0),
            "dc75520debe8a322120dc39537f95fa7"
        );
        assert_eq!(EventKey::from_bytes(key.to_bytes()), key);
    }

    #[test]
    fn the_separator_keeps_parts_apart() {
        assert_ne!(EventKey::new("a", "bc", "d"), EventKey::new("ab", "c", "d"));
        assert_ne!(EventKey::new("a", "b", "cd"), EventKey::new("a", "bc", "d"));
    }
}
