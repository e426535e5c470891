//! Live state: what users did and what the catalogue became since the running snapshot, folded from the event log.
//!
//! `apply` takes the entries of one log record, already judged and durable, in order, from a single thread. Readers on
//! other threads ask for a user's events (`user_events`), for an item's text (`item_id`) and for catalogue facts
//! (`catalogue`). There is no clock, no IO and no randomness: the same calls in the same order give the same state.
//!
//! **What is kept.** Events with an item and a name of the settings; others (a search) only move the position, because
//! nothing reads them. Of a user at most `events_per_user_max`, the newest by position. Users lie in 64 shards by a
//! hash of their id; past a shard's share of the memory the users whose newest event is the oldest are forgotten. The
//! floor (`set_floor`) drops what every kept snapshot holds.
//!
//! **What is never claimed.** Whatever was dropped leaves a mark: each user and each shard knows a position before
//! which events may be missing, and a user who comes back to a shard that forgot somebody takes over its mark. So
//! `user_events` says `MissingBefore` whenever an event at or after `since` may not be there.
//!
//! **What a reader sees** of one user are the events of a prefix of the log that reaches `position()`, read before, or
//! further: a shard's lock is held for its events of one record (eight of 500), and the position is published after the record.
//!
//! **Cost**, measured by `examples/fold_bench` on one core of a shared machine where a read that misses all caches
//! takes 0.35 us: an event of a record of 500 is folded in 0.2 us with 10,000 users and 10,000 items, in 0.4 us with
//! 100,000 users and items, in 0.6 us with a million users who have eight events each. What it costs is cache misses,
//! so that the look-ups of a record run in stages and overlap theirs (`record`, `shard`, `interner`): one after the
//! other they took 1.7 us at a million users. A user is read in 1.3 to 2 us. A user weighs 96 bytes and two
//! allocations, an event 24 bytes and at most half as much again for room to grow: 46 bytes an event in all at eight
//! events a user, 30 at a hundred. A checkpoint's copy takes 10 us a user, of which its shard is locked for
//! about 0.5, by a profile.
//!
//! The trade-off: positions and times are kept whole (24 bytes an event) and users in growing lists of their own,
//! where a shared ring would take less; so a reader copies one slice, and forgetting a user or a prefix is exact.

mod event;
mod fact;
mod facts;
mod interner;
mod memory;
mod record;
mod restore;
mod settings;
mod shard;
mod table;
mod users;

pub use event::{LiveEvent, LiveItem, UserCompleteness};
pub use fact::{LiveFact, LivePrice, Told};
pub use facts::LiveCatalogue;
pub use settings::LiveSettings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::text_hash::text_hash;
use super::{CatalogueShard, Effect};
use crate::error::Result;

use interner::Interner;
use record::Record;
use shard::Shard;

/// Shards of users. More of them would be copied faster each, fewer have more events of a record to overlap.
const SHARDS: usize = 64;

/// The fold over the event log.
pub struct LiveState {
    event_names: Vec<String>,
    shards: Vec<RwLock<Shard>>,
    items: Interner,
    catalogue: LiveCatalogue,
    position: AtomicU64,
    floor: AtomicU64,
    bytes_max: u64,
}

/// How much live state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Users with events.
    pub users: u64,
    /// Their events.
    pub events: u64,
    /// Items that events name.
    pub items: u64,
    /// Items with catalogue facts.
    pub facts: u64,
    /// Memory of everything.
    pub bytes: u64,
    /// The most.
    pub bytes_max: u64,
    /// Users that were forgotten for want of memory since the start.
    pub evicted_users: u64,
}

impl LiveState {
    /// An empty state at position 0.
    ///
    /// # Errors
    /// `InvalidArgument` names the setting that is out of range.
    pub fn new(settings: LiveSettings) -> Result<Self> {
        settings.check()?;
        let share = settings.user_bytes_max() / SHARDS as u64;
        let shard = || RwLock::new(Shard::new(share, settings.events_per_user_max));
        Ok(Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            items: Interner::new(settings.item_bytes_max()),
            catalogue: LiveCatalogue::new(settings.catalogue_bytes_max()),
            position: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            bytes_max: settings.bytes_max,
            event_names: settings.event_names,
        })
    }

    /// Folds the entries of one record, the first of which stands at `position`. Called by a single thread; what a part
    /// holds already is passed over. Without entries it only moves the position, as after an import.
    pub fn apply(&self, position: u64, effects: &[Effect<'_>]) {
        for (at, effect) in (position..).zip(effects) {
            if let Effect::Item(word) = effect {
                self.catalogue.apply(at, word);
            }
        }
        let mut record = Record::new(position, effects, &self.event_names);
        self.items.intern_all(&mut record.events, &record.item_ids);
        record.for_each_shard(|shard, events| self.write(shard).apply(events));
        let end = position + effects.len() as u64;
        self.position.fetch_max(end, Ordering::Release);
    }

    /// Everything before it is visible.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Appends a user's events at `since` and later, oldest first by (event_at, position), and says whether any are
    /// missing.
    pub fn user_events(
        &self,
        user_id: &str,
        since: u64,
        out: &mut Vec<LiveEvent>,
    ) -> UserCompleteness {
        let hash = text_hash(user_id);
        let first = out.len();
        let missing_before = self.read(shard_of(hash)).read(user_id, hash, since, out);
        let new = &mut out[first..];
        let order = |event: &LiveEvent| (event.event_at, event.position);
        if !new.is_sorted_by_key(order) {
            new.sort_unstable_by_key(order);
        }
        // Read after the shard, so that whoever saw events dropped sees the floor that dropped them.
        let floor = self.floor.load(Ordering::Acquire);
        UserCompleteness::new(missing_before.max(floor), since)
    }

    /// The text of an item; `None` when no event at or above the floor names it any more.
    pub fn item_id(&self, item: LiveItem) -> Option<Arc<str>> {
        self.items.text(item)
    }

    /// The number of an item that events named.
    pub fn find_item(&self, item_id: &str) -> Option<LiveItem> {
        self.items.find(item_id)
    }

    /// The names that `LiveEvent::name` counts through.
    pub fn event_names(&self) -> &[String] {
        &self.event_names
    }

    /// What the log says about items.
    pub fn catalogue(&self) -> &LiveCatalogue {
        &self.catalogue
    }

    /// Drops everything before `position`, which all kept snapshots hold. A lower floor than before changes nothing.
    /// May run beside `apply`: a lock is held for 256 users at a time.
    pub fn set_floor(&self, position: u64) {
        let floor = self
            .floor
            .fetch_max(position, Ordering::AcqRel)
            .max(position);
        for shard in 0..SHARDS {
            let mut chunk = 0;
            while self.write(shard).drop_before(chunk, floor) {
                chunk += 1;
            }
        }
        self.catalogue.drop_before(floor);
        // Last, when nothing before the floor names an item any more.
        self.items.forget_before(floor);
    }

    /// How much it holds now.
    pub fn stats(&self) -> LiveStats {
        let mut stats = LiveStats {
            items: self.items.len() as u64,
            facts: self.catalogue.len() as u64,
            bytes: self.items.bytes() + self.catalogue.bytes(),
            bytes_max: self.bytes_max,
            ..LiveStats::default()
        };
        for shard in 0..SHARDS {
            let shard = self.read(shard);
            stats.users += shard.users.len() as u64;
            stats.events += shard.users.event_count as u64;
            stats.bytes += shard.users.bytes;
            stats.evicted_users += shard.evicted_users;
        }
        stats
    }

    /// Shards of users.
    pub fn shard_count() -> usize {
        SHARDS
    }

    /// What a checkpoint holds of the catalogue.
    pub fn export_catalogue(&self) -> CatalogueShard {
        let position = self.position();
        self.catalogue.export(position)
    }

    /// Takes the catalogue of a checkpoint into a new state.
    ///
    /// # Errors
    /// `DataLoss` for a checkpoint that cannot be true, `FailedPrecondition` for a state that folded facts already.
    pub fn import_catalogue(&self, shard: CatalogueShard) -> Result<()> {
        self.catalogue.import(shard)
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> 58) as usize
}
