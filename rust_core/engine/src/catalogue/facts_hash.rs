//! By what one state of the catalogue is told from another.
//!
//! The hash of the facts since a snapshot is SHA-256 over the number of items with a fact (u64) and the sum modulo
//! 2^256 of one SHA-256 for each of them (both little-endian). So it does not depend on the order in which facts
//! came, and a new fact costs two hashes, however many there are. What is hashed of an item is each field that was
//! said since, in the order of `promosvc.log.v1.ItemFact`: the field's number (u8), then a text's length (u32) and
//! bytes, an i64, or a bool as one byte; its id comes first, as field 1.
//!
//! The trade-off: sums can be forged by somebody with 2^32 tries and control over the catalogue. The hash says
//! whether a replay decides on the catalogue of the recorded decision; it defends nothing.

use sha2::{Digest, Sha256};

use super::item_table::NewFields;

/// Count and sum over items with facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FactsHash {
    count: u64,
    /// Least significant word first.
    sum: [u64; 4],
}

impl FactsHash {
    /// Takes in the facts of an item, in place of what was said of it before.
    pub(super) fn replace(&mut self, item_id: &str, before: Option<NewFields>, now: NewFields) {
        if let Some(before) = before {
            self.subtract(hash_of(item_id, before));
        }
        self.add(hash_of(item_id, now));
    }

    /// The hash of the whole; `None` without facts.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        if self.count == 0 {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update(self.count.to_le_bytes());
        for word in self.sum {
            hash.update(word.to_le_bytes());
        }
        Some(hash.finalize().into())
    }

    fn add(&mut self, words: [u64; 4]) {
        self.count += 1;
        let mut carry = false;
        for (sum, word) in self.sum.iter_mut().zip(words) {
            let (half, first) = sum.overflowing_add(word);
            let (whole, second) = half.overflowing_add(u64::from(carry));
            (*sum, carry) = (whole, first || second);
        }
    }

    fn subtract(&mut self, words: [u64; 4]) {
        self.count -= 1;
        let mut borrow = false;
        for (sum, word) in self.sum.iter_mut().zip(words) {
            let (half, first) = sum.overflowing_sub(word);
            let (whole, second) = half.overflowing_sub(u64::from(borrow));
            (*sum, borrow) = (whole, first || second);
        }
    }
}

fn hash_of(item_id: &str, new: NewFields) -> [u64; 4] {
    let mut hash = Sha256::new();
    let price = new.own_unit_price();
    let texts_before = [
        (1, Some(item_id)),
        (2, new.own_kind()),
        (3, new.own_title()),
        (4, new.own_category()),
        (5, new.brand()),
    ];
    for (field, text) in texts_before {
        add_text(&mut hash, field, text);
    }
    add_number(&mut hash, 6, price.map(|price| price.amount_minor));
    add_text(&mut hash, 7, price.map(|price| price.currency));
    add_number(&mut hash, 8, new.own_stock());
    if let Some(is_available) = new.own_is_available() {
        hash.update([9, u8::from(is_available)]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.chunks_exact(8)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
    }
    words
}

fn add_text(hash: &mut Sha256, field: u8, text: Option<&str>) {
    if let Some(text) = text {
        hash.update([field]);
        hash.update((text.len() as u32).to_le_bytes());
        hash.update(text);
    }
}

fn add_number(hash: &mut Sha256, field: u8, number: Option<i64>) {
    if let Some(number) = number {
        hash.update([field]);
        hash.update(number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::FactsHash;

    #[test]
    fn what_was_added_can_be_taken_away_again() {
        let words = [[u64::MAX; 4], [1, 0, 0, 0], [u64::MAX, u64::MAX, 0, 7]];
        let mut hash = FactsHash::default();
        for word in words {
            hash.add(word);
        }
        // All ones is -1, so that the first two cancel each other out.
        assert_eq!((hash.count, hash.sum), (3, [u64::MAX, u64::MAX, 0, 7]));
        for word in words {
            hash.subtract(word);
        }
        assert_eq!(hash, FactsHash::default());
        assert_eq!(hash.digest(), None);
    }
}
