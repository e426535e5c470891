//! What the sequencer is asked to do.

use std::sync::Arc;
use std::time::Instant;

use promosvc_engine::snapshot::Snapshot;

use super::record_events::JudgedEvents;
use super::ticket::Reply;
use super::upsert_items::CheckedItems;

/// A write on its way to the log.
#[derive(Debug)]
pub(super) struct Command {
    /// What to write.
    pub(super) work: Work,
    /// When the caller will not wait any more; looked at before the append and never after.
    pub(super) deadline: Option<Instant>,
    /// Where the outcome goes.
    pub(super) reply: Reply,
}

/// What to write.
#[derive(Debug)]
pub(super) enum Work {
    /// Events, unless they were recorded before.
    Events(JudgedEvents),
    /// Facts about items, unless the request was answered before.
    Items(CheckedItems),
    /// Nothing: from now on events are judged by the ids that this snapshot brings from file imports.
    Snapshot(Arc<Snapshot>),
}

impl Command {
    /// Entries that it may add to the log.
    pub(super) fn entries(&self) -> usize {
        match &self.work {
            Work::Events(judged) => judged.candidates().len(),
            Work::Items(checked) => checked.facts.len() + 1,
            Work::Snapshot(_) => 0,
        }
    }

    /// Bytes that it may add to the log, nearly.
    pub(super) fn bytes(&self) -> usize {
        match &self.work {
            Work::Events(judged) => judged.entry_bytes(),
            Work::Items(checked) => checked.entries.len(),
            Work::Snapshot(_) => 0,
        }
    }
}
