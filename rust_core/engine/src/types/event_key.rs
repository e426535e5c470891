//! By what an event is known again.

use sha2::{Digest, Sha256};

/// Identity of an event: the first 16 bytes, big-endian, of the SHA-256 of `source 0x1F event_name 0x1F event_id`.
///
/// Half a hash is enough: among a billion ids two meet by chance with a probability of 1.5e-21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u128);

impl EventKey {
    /// The key of an id, which is unique for a source and an event name.
    pub fn new(source: &str, event_name: &str, event_id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [source, "\x1f", event_name, "\x1f", event_id] {
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let fold = |key, &byte: &u8| key << 8 | u128::from(byte);
        Self(digest.iter().take(16).fold(0, fold))
    }
}

#[cfg(test)]
mod tests {
    use super::EventKey;

    #[test]
    fn is_the_first_half_of_the_hash() {
        // printf 'web\037purchase\0371' | sha256sum
        assert_eq!(
            EventKey::new("web", "purchase", "1"),
            EventKey(KEY_OF_WEB_PURCHASE_1)
        );
        assert_ne!(
            EventKey::new("web", "purchase", "1"),
            EventKey::new("webpurchase", "", "1")
        );
    }

    const KEY_OF_WEB_PURCHASE_1: u128 = 0x4d38_ffcd_e015_77ff_02ee_ec59_07c4_59a2;
}
