//! A user's history of the snapshot and the live events since, as one.
//!
//! The rules are those of `merged`: an item's largest weight, the count of that weight, its newest time. They do not
//! care about the order in which events come, so that a merged history can be joined with new events without its own
//! events being read again.
//!
//! Cost: one pass over the history (2 us for 400 entries), a sort of the new events, and the decay of as many entries
//! as will be used, because the newest of them is another one now. Nothing is allocated once a thread is warm.

use super::merged::{Entry, MergedHistory, decay, merge_by_item};
use crate::types::DurationUs;

/// Bits that tell most items without a new event from those that have one.
const BITS: usize = 4096;
const WORD: usize = 64;

/// Joins histories; memory of a thread.
#[derive(Debug, Default)]
pub struct JoinedHistory {
    /// One entry for each item that has a new event, its old events included.
    new: Vec<Entry>,
    /// One entry for each other item.
    old: Vec<Entry>,
    items: Vec<u32>,
    decayed_weights: Vec<f32>,
    counts: Vec<u32>,
    last_at_us: Vec<i64>,
}

impl JoinedHistory {
    /// Forgets everything.
    pub fn reset(&mut self) {
        self.new.clear();
    }

    /// Adds an event; one without weight is left out.
    pub fn add(&mut self, item: u32, weight: f32, at_us: i64) {
        if weight > 0.0 {
            self.new.push(Entry {
                item,
                weight,
                count: 1,
                last_at_us: at_us,
            });
        }
    }

    /// Whether no event that was added counts.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// The events that were added and a merged history with its weights, as one; the newest `decayed_max` entries get
    /// decayed weights.
    pub fn join(
        &mut self,
        history: MergedHistory<'_>,
        weights: &[f32],
        half_life_days: f32,
        decayed_max: usize,
    ) -> MergedHistory<'_> {
        merge_by_item(&mut self.new);
        self.take_in(history, weights);
        self.new.sort_unstable_by_key(Entry::order);
        self.write_columns(half_life_days, decayed_max);
        MergedHistory {
            items: &self.items,
            decayed_weights: &self.decayed_weights,
            counts: &self.counts,
            last_at_us: &self.last_at_us,
        }
    }

    /// Merges what is old of the new items into them and keeps the rest of a history, in its order.
    fn take_in(&mut self, history: MergedHistory<'_>, weights: &[f32]) {
        let mut may_be_new = [0_u64; BITS / WORD];
        let bit_of = |item: u32| {
            let bit = item as usize % BITS;
            (bit / WORD, bit % WORD)
        };
        for entry in &self.new {
            let (word, bit) = bit_of(entry.item);
            may_be_new[word] |= 1 << bit;
        }
        self.old.clear();
        for (at, &item) in history.items.iter().enumerate() {
            let entry = Entry {
                item,
                weight: weights[at],
                count: history.counts[at],
                last_at_us: history.last_at_us[at],
            };
            let (word, bit) = bit_of(item);
            let found = if may_be_new[word] >> bit & 1 == 1 {
                self.new.binary_search_by_key(&item, |new| new.item).ok()
            } else {
                None
            };
            match found {
                Some(new) => self.new[new].merge(entry),
                None => self.old.push(entry),
            }
        }
    }

    /// Merges the two lists, both in order.
    fn write_columns(&mut self, half_life_days: f32, decayed_max: usize) {
        let Self {
            new,
            old,
            items,
            decayed_weights,
            counts,
            last_at_us,
        } = self;
        items.clear();
        decayed_weights.clear();
        counts.clear();
        last_at_us.clear();
        let (mut new, mut old) = (new.iter().peekable(), old.iter().peekable());
        loop {
            let entry = match (new.peek(), old.peek()) {
                (Some(a), Some(b)) if a.order() < b.order() => new.next(),
                (_, Some(_)) => old.next(),
                (_, None) => new.next(),
            };
            let Some(entry) = entry else {
                return;
            };
            items.push(entry.item);
            counts.push(entry.count);
            last_at_us.push(entry.last_at_us);
            if decayed_weights.len() < decayed_max {
                let age = DurationUs(last_at_us[0].saturating_sub(entry.last_at_us));
                decayed_weights.push(entry.weight * decay(age, half_life_days));
            }
        }
    }
}
