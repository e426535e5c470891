//! What a write is judged against, and what learns of it: the engine with its live state and snapshot, and the windows.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use promosvc_engine::engine::Engine;
use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::history::{Effect, EventKey, LiveState};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;

use super::windows::{ROOM_AFTER_MS, Windows};

/// Old ids are looked for once a minute; the shortest window is an hour.
const EXPIRE_EVERY_US: i64 = 60_000_000;

/// All that the log is folded into.
pub(super) struct Memory {
    engine: Arc<Engine>,
    windows: Windows,
    expired_at: AtomicI64,
    /// The snapshot whose ids events are judged by: the running one, or the one that is about to be.
    judging: Mutex<Option<Arc<Snapshot>>>,
}

impl Memory {
    /// What was recovered, with the engine that reads the same live state.
    pub(super) fn new(engine: Arc<Engine>, windows: Windows) -> Self {
        Self {
            engine,
            windows,
            expired_at: AtomicI64::new(i64::MIN),
            judging: Mutex::default(),
        }
    }

    /// The windows.
    pub(super) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Live state.
    pub(super) fn live(&self) -> &LiveState {
        self.engine.live()
    }

    /// The snapshot that writes are judged by.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        lock(&self.judging).clone()
    }

    /// Judges by another snapshot from now on.
    pub(super) fn judge_by(&self, snapshot: Arc<Snapshot>) {
        *lock(&self.judging) = Some(snapshot);
    }

    /// Whether an event was recorded before, or imported from a file that the snapshot knows.
    pub(super) fn knows_event(&self, key: EventKey, snapshot: Option<&Snapshot>) -> bool {
        self.windows.events.contains(key)
            || snapshot.is_some_and(|snapshot| snapshot.event_ids.contains(key))
    }

    /// Whether the catalogue has an item.
    pub(super) fn knows_item(&self, item_id: &str, snapshot: Option<&Snapshot>) -> bool {
        snapshot.is_some_and(|snapshot| snapshot.items.find(item_id).is_some())
            || self.live().catalogue().fact(item_id).is_some()
    }

    /// Whether the catalogue can take more facts (`CATALOGUE_FULL`): none may be forgotten before a snapshot has it.
    pub(super) fn check_catalogue_room(&self) -> Result<()> {
        if self.live().catalogue().has_room() {
            return Ok(());
        }
        Err(Error {
            retry_after_ms: Some(ROOM_AFTER_MS),
            ..Error::new(
                ErrorKind::Overloaded,
                "CATALOGUE_FULL",
                "the memory for facts about items is full; there is room again when every snapshot on disk holds the \
                 oldest of them, or with a higher events.live_state_bytes_max",
            )
        })
    }

    /// Lets every reader know the durable entries from `position` on.
    pub(super) fn apply(&self, position: u64, effects: &[Effect<'_>], end: u64) {
        self.engine.apply(position, effects);
        self.windows.advance(end);
    }

    /// Lets live state forget what every snapshot holds.
    pub(super) fn set_floor(&self, position: u64) {
        self.live().set_floor(position);
    }

    /// Forgets ids and answers that are older than their windows, once in a while.
    pub(super) fn expire(&self, now: TimeUs) {
        let before = self.expired_at.load(Ordering::Relaxed);
        if now.0.saturating_sub(before) < EXPIRE_EVERY_US {
            return;
        }
        self.expired_at.store(now.0, Ordering::Relaxed);
        self.windows.expire(now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
