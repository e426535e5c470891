//! What repetitions are known by: ids of events, and answers of writes, each for its window of time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use promosvc_engine::error::{Error, Result};
use promosvc_engine::history::{
    DedupeStats, DedupeWindow, EventKey, KnownRequest, RequestShard, RequestStats, RequestWindow,
};
use promosvc_engine::types::{DurationUs, TimeUs};

use super::upsert_items::CheckedItems;
use crate::config::EventsConfig;

/// Both windows. Written by the sequencer, once what they learn is durable; copied by the keeper.
pub(crate) struct Windows {
    pub(super) events: DedupeWindow,
    events_length: DurationUs,
    requests: Mutex<RequestWindow>,
    requests_length: DurationUs,
}

impl Windows {
    /// Empty windows as configured.
    pub(super) fn new(config: &EventsConfig) -> Result<Self> {
        Ok(Self {
            events: DedupeWindow::new(config.dedupe_bytes_max)?,
            events_length: hours(config.dedupe_hours),
            requests: Mutex::new(RequestWindow::new(config.request_window_bytes_max)),
            requests_length: hours(config.request_window_hours),
        })
    }

    /// Remembers a durable event.
    pub(super) fn insert_event(&self, key: EventKey, at: TimeUs, position: u64) {
        self.events.insert(key, at, position);
    }

    /// Remembers a durable answer.
    pub(super) fn insert_request(
        &self,
        request_id: &str,
        body_hash: [u8; 16],
        answer: Arc<[u8]>,
        at: TimeUs,
        position: u64,
    ) {
        self.lock()
            .insert(request_id, body_hash, answer, at, position);
    }

    /// Says that everything before `position` was inserted.
    pub(super) fn advance(&self, position: u64) {
        self.events.advance(position);
        self.lock().advance(position);
    }

    /// What is known of a request.
    pub(super) fn find_request(&self, items: &CheckedItems) -> KnownRequest {
        self.lock().find(&items.request_id, items.body_hash)
    }

    /// Whether answers of so many bytes can be promised to be remembered (`REQUEST_WINDOW_FULL`).
    pub(super) fn check_room(&self, bytes: u64) -> Result<()> {
        self.lock().check_room(bytes).map_err(|error| Error {
            retry_after_ms: Some(ROOM_AFTER_MS),
            ..error
        })
    }

    /// Forgets what is older than its window.
    pub(super) fn expire(&self, now: TimeUs) {
        self.events.expire(now.before(self.events_length));
        self.lock().expire(now.before(self.requests_length));
    }

    /// How much is remembered of events.
    pub(super) fn event_stats(&self) -> DedupeStats {
        self.events.stats()
    }

    /// How much is remembered of requests.
    pub(super) fn request_stats(&self) -> RequestStats {
        self.lock().stats()
    }

    /// Lengths of the windows of events and requests.
    pub(super) fn lengths(&self) -> (DurationUs, DurationUs) {
        (self.events_length, self.requests_length)
    }

    /// What a checkpoint holds of the requests.
    pub(super) fn export_requests(&self) -> RequestShard {
        self.lock().export()
    }

    /// Takes them from a checkpoint.
    pub(super) fn import_requests(&self, shard: RequestShard) -> Result<()> {
        self.lock().import(shard)
    }

    fn lock(&self) -> MutexGuard<'_, RequestWindow> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a write may come back that found no room: answers grow old, and snapshots move on.
pub(super) const ROOM_AFTER_MS: u64 = 60_000;

/// So many hours; the configuration's bounds keep them far from overflowing.
pub(super) fn hours(hours: u64) -> DurationUs {
    DurationUs(hours as i64 * 3_600_000_000)
}
