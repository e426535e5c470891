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
    decayed_weights: Vec<f32>,
    counts: Vec<u32>,
    last_at_us: Vec<i64>,
}

/// One user's merged history: four slices of equal length, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergedHistory<'a> {
    /// Rows of the item table, each once.
    pub items: &'a [u32],
    /// `w · 2^(−age / half_life)`, age from the newest entry.
    pub decayed_weights: &'a [f32],
    /// How often.
    pub counts: &'a [u32],
    /// When last, in microseconds since 1970-01-01 UTC.
    pub last_at_us: &'a [i64],
}

#[derive(Clone, Copy)]
struct Entry {
    item: u32,
    weight: f32,
    count: u32,
    last_at_us: i64,
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
        let Some(&end) = self.ends.get(user.at()) else {
            return MergedHistory::default();
        };
        let start = if user.at() == 0 {
            0
        } else {
            self.ends[user.at() - 1]
        };
        MergedHistory {
            items: &self.items[start..end],
            decayed_weights: &self.decayed_weights[start..end],
            counts: &self.counts[start..end],
            last_at_us: &self.last_at_us[start..end],
        }
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
    entries.sort_unstable_by(|a, b| a.item.cmp(&b.item).then(b.weight.total_cmp(&a.weight)));
    entries.dedup_by(|next, kept| {
        let is_same = next.item == kept.item;
        if is_same {
            kept.last_at_us = kept.last_at_us.max(next.last_at_us);
            // The heaviest comes first; so an equal weight is the largest one.
            if next.weight == kept.weight {
                kept.count = kept.count.saturating_add(next.count);
            }
        }
        is_same
    });
    entries.sort_unstable_by_key(|entry| (std::cmp::Reverse(entry.last_at_us), entry.item));
}
