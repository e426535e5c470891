//! One record of the log on its way into the fold: what is to be kept, by shard.
//!
//! Entries of a shard keep their order, shards are independent of one another: so a record is folded shard by shard,
//! and each lock is taken once for a record, not once for an event.

use super::{LiveItem, SHARDS, shard_of};
use crate::history::text_hash::text_hash;
use crate::history::{Effect, RecordedEvent};
use crate::types::TimeUs;

/// An event that is to be kept.
pub(super) struct Incoming<'a> {
    pub(super) user_id: &'a str,
    /// Of the user's id.
    pub(super) hash: u64,
    pub(super) position: u64,
    pub(super) event_at: TimeUs,
    /// `None` when there was no room for its text.
    pub(super) item: Option<LiveItem>,
    pub(super) name: u8,
}

/// The events of a record that are to be kept, and the texts of their items.
#[derive(Default)]
pub(super) struct Record<'a> {
    pub(super) events: Vec<Incoming<'a>>,
    pub(super) item_ids: Vec<&'a str>,
}

impl<'a> Record<'a> {
    /// Picks the events with user, item and a name that is folded; the first effect stands at `position`.
    pub(super) fn new(position: u64, effects: &[Effect<'a>], names: &[String]) -> Self {
        let mut record = Self {
            events: Vec::with_capacity(effects.len()),
            item_ids: Vec::with_capacity(effects.len()),
        };
        let mut last = 0;
        for (position, effect) in (position..).zip(effects) {
            let Effect::Event(event) = effect else {
                continue;
            };
            let RecordedEvent {
                source: _,
                event_id: _,
                event_name,
                user_id,
                item_id,
                event_at,
            } = *event;
            if user_id.is_empty() || item_id.is_empty() {
                continue;
            }
            // Events of one name come in runs.
            if names.get(last).is_none_or(|known| known != event_name) {
                let Some(found) = names.iter().position(|known| known == event_name) else {
                    continue;
                };
                last = found;
            }
            record.item_ids.push(item_id);
            record.events.push(Incoming {
                user_id,
                hash: text_hash(user_id),
                position,
                event_at,
                item: None,
                name: last as u8,
            });
        }
        record
    }

    /// Hands each shard its events, oldest first.
    pub(super) fn for_each_shard<'r>(&'r self, mut apply: impl FnMut(usize, &[&'r Incoming<'a>])) {
        let mut ends = [0_usize; SHARDS];
        for event in &self.events {
            ends[shard_of(event.hash)] += 1;
        }
        let mut end = 0;
        for of_shard in &mut ends {
            end += *of_shard;
            *of_shard = end;
        }
        let Some(first) = self.events.first() else {
            return;
        };
        let mut sorted = vec![first; self.events.len()];
        let mut starts = ends;
        for event in self.events.iter().rev() {
            let place = &mut starts[shard_of(event.hash)];
            *place -= 1;
            sorted[*place] = event;
        }
        for shard in 0..SHARDS {
            let events = &sorted[starts[shard]..ends[shard]];
            if !events.is_empty() {
                apply(shard, events);
            }
        }
    }
}
