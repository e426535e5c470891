//! Histories with one entry for each item.
//!
//! `docs/snapshot-format.md`, "How a score is made": events of weight 0 are left out; what is left of an
//! item is merged (w = the largest weight, count = the sum over the events of that weight, time = the
//! newest); entries are ordered by time descending, then item ascending.

use crate::snapshot::Snapshot;
use crate::types::{DurationUs, UserIdx};

use super::Histories;

/// The merged histories of all users of a snapshot.
#[derive(Debug)]
pub struct MergedHistories {
    /// Where a user's entries end.
    ends: Vec<usize>,
    items: Vec<u32>,
    weights: Vec<f32>,
    decayed_weights: Vec<f32>,
    counts: Vec<u32>,
    last_at_us: Vec<i64>,
}

/// One user's merged history: slices of equal length, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergedHistory<'a> {
    /// Rows of the item table, each once.
    pub items: &'a [u32],
    /// `w · 2^(−age / half_life)`, age from the newest entry. Of a joined history only the newest, as many as were
    /// asked for.
    pub decayed_weights: &'a [f32],
    /// How often.
    pub counts: &'a [u32],
    /// When last, in microseconds since 1970-01-01 UTC.
    pub last_at_us: &'a [i64],
}

/// All events of one item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) item: u32,
    pub(super) weight: f32,
    pub(super) count: u32,
    pub(super) last_at_us: i64,
}

impl Entry {
    /// Takes in another entry of the same item.
    pub(super) fn merge(&mut self, other: Entry) {
        self.last_at_us = self.last_at_us.max(other.last_at_us);
        if other.weight > self.weight {
            (self.weight, self.count) = (other.weight, other.count);
        } else if other.weight == self.weight {
            self.count = self.count.saturating_add(other.count);
        }
    }

    /// Where it stands in a history.
    pub(super) fn order(&self) -> (std::cmp::Reverse<i64>, u32) {
        (std::cmp::Reverse(self.last_at_us), self.item)
    }
}

impl MergedHistories {
    /// Merges the histories of all users.
    pub fn new(snapshot: &Snapshot) -> Self {
        let blend = &snapshot.blend;
        let weight_of = |name: &String| blend.event_weights.get(name).copied().unwrap_or(0.0);
        let event_weights: Vec<f32> = snapshot
            .manifest
            .history_events
            .iter()
            .map(weight_of)
            .collect();
        let half_life_days = blend.item_knn.history_half_life_days;
        let mut merged = Self {
            ends: Vec::with_capacity(snapshot.users.len()),
            items: Vec::new(),
            weights: Vec::new(),
            decayed_weights: Vec::new(),
            counts: Vec::new(),
            last_at_us: Vec::new(),
        };
        let mut entries = Vec::new();
        for row in 0..snapshot.users.len() {
            collect(snapshot, UserIdx(row as u32), &event_weights, &mut entries);
            let newest = entries.first().map_or(0, |entry: &Entry| entry.last_at_us);
            for entry in &entries {
                let age = DurationUs(newest.saturating_sub(entry.last_at_us));
                merged.items.push(entry.item);
                merged.weights.push(entry.weight);
                merged
                    .decayed_weights
                    .push(entry.weight * decay(age, half_life_days));
                merged.counts.push(entry.count);
                merged.last_at_us.push(entry.last_at_us);
            }
            merged.ends.push(merged.items.len());
        }
        merged
    }

    /// The merged history of one user.
    pub fn of(&self, user: UserIdx) -> MergedHistory<'_> {
        let range = self.range(user);
        MergedHistory {
            items: &self.items[range.clone()],
            decayed_weights: &self.decayed_weights[range.clone()],
            counts: &self.counts[range.clone()],
            last_at_us: &self.last_at_us[range],
        }
    }

    /// `w` of each entry of one user's merged history.
    pub fn weights_of(&self, user: UserIdx) -> &[f32] {
        &self.weights[self.range(user)]
    }

    fn range(&self, user: UserIdx) -> std::ops::Range<usize> {
        let Some(&end) = self.ends.get(user.at()) else {
            return 0..0;
        };
        let start = if user.at() == 0 {
            0
        } else {
            self.ends[user.at() - 1]
        };
        start..end
    }
}

impl MergedHistory<'_> {
    /// How many items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// `2^(−age / half_life)`; an age below 0 counts as 0.
pub fn decay(age: DurationUs, half_life_days: f32) -> f32 {
    let days = (age.0.max(0) as f64 / 86_400_000_000.0) as f32;
    (-(days / half_life_days)).exp2()
}

fn collect(snapshot: &Snapshot, user: UserIdx, event_weights: &[f32], entries: &mut Vec<Entry>) {
    let events = snapshot.events_of(user);
    entries.clear();
    for at in 0..events.items.len() {
        let weight = event_weights[usize::from(events.events[at])];
        if weight > 0.0 {
            entries.push(Entry {
                item: events.items[at],
                weight,
                count: events.counts[at],
                last_at_us: events.last_at_us[at],
            });
        }
    }
    merge_by_item(entries);
    entries.sort_unstable_by_key(Entry::order);
}

/// Leaves one entry for each item, by item.
pub(super) fn merge_by_item(entries: &mut Vec<Entry>) {
    entries.sort_unstable_by_key(|entry| entry.item);
    entries.dedup_by(|next, kept| {
        let is_same = next.item == kept.item;
        if is_same {
            kept.merge(*next);
        }
        is_same
    });
}
