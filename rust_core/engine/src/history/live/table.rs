//! Finds places by hash: an open table of eight-byte slots, a quarter of a cache line's worth of neighbours each.
//!
//! A slot is the tag of a hash and a place somewhere else; who asks compares what lies there. One look-up touches one
//! line of the table, and `prefetch` asks for it ahead: tables here are larger than caches, and a record's look-ups do
//! not depend on one another. Linear probing, at most three quarters full; removal moves followers up, so that no slot
//! is ever lost. Growing reads the table alone.

use crate::types::prefetch;

const SLOTS_MIN: usize = 8;

/// Places by hash.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// 0 where nothing is, else the tag above and one more than the place below. A power of two of them, or none.
    slots: Vec<u64>,
    length: usize,
}

impl Table {
    /// Places in it.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Begins to fetch where a hash is looked for.
    pub(super) fn prefetch(&self, hash: u64) {
        if !self.slots.is_empty() {
            let home = self.home(tag_of(hash));
            prefetch(&self.slots[home..=home]);
        }
    }

    /// A place of the hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let tag = tag_of(hash);
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == tag && is_it(slot as u32 - 1) {
                return Some(slot as u32 - 1);
            }
            at = self.after(at);
        }
    }

    /// Adds a place below `u32::MAX` that is not in it.
    pub(super) fn insert(&mut self, hash: u64, place: u32) {
        if self.slots.len() * 3 <= self.length * 4 {
            self.grow();
        }
        self.put(u64::from(tag_of(hash)) << 32 | (u64::from(place) + 1));
        self.length += 1;
    }

    /// Takes a place of the hash out, if it is in.
    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        if self.slots.is_empty() {
            return;
        }
        let wanted = u64::from(tag_of(hash)) << 32 | (u64::from(place) + 1);
        let mut hole = self.home(tag_of(hash));
        while self.slots[hole] != wanted {
            if self.slots[hole] == 0 {
                return;
            }
            hole = self.after(hole);
        }
        self.length -= 1;
        // Whoever follows and would be found from the hole moves into it.
        let mut at = hole;
        loop {
            at = self.after(at);
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            let home = self.home((slot >> 32) as u32);
            if self.distance(home, at) >= self.distance(hole, at) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
    }

    fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![0; room]);
        for slot in old {
            if slot != 0 {
                self.put(slot);
            }
        }
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home((slot >> 32) as u32);
        while self.slots[at] != 0 {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }
}

/// The part of a hash that is kept; shards are told apart by another.
fn tag_of(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few tags and a table of few slots, so that everything collides and wraps around.
        #[test]
        fn a_table_agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), 0..40_u32), 0..200)) {
            let hash = |key: u32| u64::from(key % 7) * 0x2_0000_0003 + 6;
            let mut table = Table::default();
            let mut map = HashMap::new();
            for (is_insert, key) in steps {
                if !is_insert {
                    table.remove(hash(key), key);
                    map.remove(&key);
                } else if map.insert(key, ()).is_none() {
                    table.insert(hash(key), key);
                }
                prop_assert_eq!(table.len(), map.len());
                for key in 0..40 {
                    let found = table.find(hash(key), |place| place == key).is_some();
                    prop_assert_eq!(found, map.contains_key(&key), "{}", key);
                }
            }
        }
    }
}
