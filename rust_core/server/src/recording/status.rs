//! What an operator may know of recording, as messages of GetStatus.

use promosvc_engine::history::{DedupeStats, LiveStats, RequestStats};
use promosvc_engine::types::DurationUs;

use super::Recording;
use crate::convert::timestamp;
use crate::wire::promosvc::v1 as wire;

/// The parts of `GetStatusResponse` that recording has.
pub(crate) struct RecordingStatus {
    pub(crate) event_log: wire::EventLogStatus,
    pub(crate) live_state: wire::LiveStateStatus,
    pub(crate) dedupe: wire::DedupeStatus,
    pub(crate) request_window: wire::RequestWindowStatus,
}

impl Recording {
    /// How recording is.
    pub(crate) fn status(&self) -> RecordingStatus {
        RecordingStatus {
            event_log: self.event_log(),
            live_state: live_state(self.memory.live().stats()),
            dedupe: self.dedupe(),
            request_window: self.request_window(),
        }
    }

    fn event_log(&self) -> wire::EventLogStatus {
        let log = &self.log;
        wire::EventLogStatus {
            durable_position: number(log.durable_position()),
            first_position: number(log.first_position()),
            segment_count: i32::try_from(log.segments()).unwrap_or(i32::MAX),
            bytes: number(log.bytes()),
            checkpoint_position: number(log.checkpoint_position()),
            failure: log.failure(),
            queued_commands: i32::try_from(self.queue.len()).unwrap_or(i32::MAX),
            cut_bytes: number(log.cut_bytes()),
        }
    }

    fn dedupe(&self) -> wire::DedupeStatus {
        let DedupeStats {
            ids,
            bytes,
            bytes_max,
            oldest_at,
        } = self.memory.windows().event_stats();
        let (window, _) = self.memory.windows().lengths();
        let snapshot = self.memory.snapshot();
        wire::DedupeStatus {
            id_count: number(ids),
            bytes: number(bytes),
            bytes_max: number(bytes_max),
            oldest_at: oldest_at.map(timestamp),
            snapshot_id_count: snapshot.map_or(0, |snapshot| snapshot.event_ids.len() as i64),
            window_seconds: seconds(window),
        }
    }

    fn request_window(&self) -> wire::RequestWindowStatus {
        let RequestStats {
            requests,
            bytes,
            bytes_max,
            oldest_at: _,
        } = self.memory.windows().request_stats();
        let (_, window) = self.memory.windows().lengths();
        wire::RequestWindowStatus {
            request_count: number(requests),
            bytes: number(bytes),
            bytes_max: number(bytes_max),
            window_seconds: seconds(window),
        }
    }
}

fn live_state(stats: LiveStats) -> wire::LiveStateStatus {
    let LiveStats {
        users,
        events,
        items: _,
        facts,
        bytes,
        bytes_max,
        evicted_users,
    } = stats;
    wire::LiveStateStatus {
        user_count: number(users),
        event_count: number(events),
        item_count: number(facts),
        bytes: number(bytes),
        bytes_max: number(bytes_max),
        evicted_users: number(evicted_users),
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(length: DurationUs) -> i64 {
    length.0 / 1_000_000
}
