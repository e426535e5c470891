//! Events that a snapshot brings and the log brings too.
//!
//! An event can come by a file import and over the wire. Mostly the running snapshot knows the import, and the second
//! one is a duplicate. But when the import was made behind the server's back, or the server went back to a snapshot from
//! before it, the event is accepted; and a snapshot that holds the import and not yet that part of the log would count
//! it twice. So when a snapshot is taken, the positions of such events are found, and decisions on it leave them out.
//!
//! No moment is missed: first the sequencer judges by the new snapshot's ids (`Work::Snapshot`), and only then
//! are those looked for that were accepted before. Cost: one look into the dedupe window for each imported id, about
//! 0.1 us; the log is read again only where there is such an event.

use std::collections::HashSet;
use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::snapshot::Snapshot;
use prost::Message;

use super::record_events::event_key;
use super::windows::Windows;
use crate::storage::{Files, LogReader};
use crate::wire::promosvc::log::v1::EventLogRecord;
use crate::wire::promosvc::log::v1::event_log_entry::Entry;

/// Log positions, before `until` and not in the snapshot's part of the log, of events that it brings from imports.
pub(super) fn doubled(
    snapshot: &Snapshot,
    windows: &Windows,
    files: &Arc<dyn Files>,
    until: u64,
) -> Result<Vec<u64>> {
    let imported = snapshot.event_ids.iter();
    let both: HashSet<_> = imported
        .filter(|&key| windows.events.contains(key))
        .collect();
    let from = snapshot.manifest.events_position;
    let mut positions = Vec::new();
    if both.is_empty() || from >= until {
        return Ok(positions);
    }
    for record in LogReader::open(Arc::clone(files))?.records(from, Some(until))? {
        let record = record?;
        let EventLogRecord { entries } =
            EventLogRecord::decode(&*record.payload).map_err(|error| {
                Error::new(
                    ErrorKind::DataLoss,
                    "LOG_FORMAT",
                    format!("the record at position {}: {error}", record.position),
                )
            })?;
        for (position, entry) in (record.position..).zip(entries) {
            if let Some(Entry::Event(event)) = entry.entry
                && position >= from
                && both.contains(&event_key(&event))
            {
                positions.push(position);
            }
        }
    }
    Ok(positions)
}
