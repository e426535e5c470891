//! What the event log says about items, between two positions.
//!
//! Decisions are replayed in the order in which they were made, so what one of them needs of the log the next one needs
//! too: facts are kept, and only what comes behind them is read.

use std::path::Path;
use std::sync::Arc;

use promosvc_engine::error::{Error, Result};
use prost::Message;

use crate::storage::{DiskFiles, KIND_EVENTS, LogReader};
use crate::wire::promosvc::log::v1::event_log_entry::Entry;
use crate::wire::promosvc::log::v1::{EventLogRecord, ItemFact};

/// Facts of one event log.
pub(super) struct Facts<'a> {
    events: &'a Path,
    since: u64,
    /// The log was read up to here.
    until: u64,
    /// By position.
    facts: Vec<(u64, ItemFact)>,
}

/// Facts, or what is missing of the log that had them.
pub(super) enum Found<'a> {
    Here(&'a [(u64, ItemFact)]),
    Gone(String),
}

impl<'a> Facts<'a> {
    /// Of the log in a directory; nothing is read yet.
    pub(super) fn of(events: &'a Path) -> Self {
        Self {
            events,
            since: 0,
            until: 0,
            facts: Vec::new(),
        }
    }

    /// Facts with positions from `since` on and below `until`.
    pub(super) fn between(&mut self, since: u64, until: u64) -> Result<Found<'_>> {
        if self.since != since {
            (self.since, self.until) = (since, since);
            self.facts.clear();
        }
        if until > self.until.max(since)
            && let Some(what) = self.read(self.until.max(since), until)?
        {
            return Ok(Found::Gone(what));
        }
        let end = self
            .facts
            .partition_point(|(position, _)| *position < until);
        Ok(Found::Here(&self.facts[..end]))
    }

    /// Reads on; says what is missing, if anything is.
    fn read(&mut self, from: u64, until: u64) -> Result<Option<String>> {
        if !self.events.is_dir() {
            return Ok(Some(format!("{} is no directory", self.events.display())));
        }
        let log = LogReader::open(Arc::new(DiskFiles::open(self.events)?))?;
        let records = match log.records(from, Some(until)) {
            Ok(records) => records,
            Err(error) => return gone(error),
        };
        let mut read = Vec::new();
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => return gone(error),
            };
            if record.kind != KIND_EVENTS {
                continue;
            }
            let decoded = EventLogRecord::decode(record.payload.as_slice()).map_err(|error| {
                let what = format_args!("{}: record {}", self.events.display(), record.position);
                Error::data_loss(what, "RECORD_INVALID", error)
            })?;
            for (position, entry) in (record.position..).zip(decoded.entries) {
                if let Some(Entry::Item(fact)) = entry.entry
                    && (from..until).contains(&position)
                {
                    read.push((position, fact));
                }
            }
        }
        self.facts.append(&mut read);
        self.until = until;
        Ok(None)
    }
}

/// What was deleted, or never reached, is an answer; everything else stays an error.
fn gone(error: Error) -> Result<Option<String>> {
    match error.reason {
        "LOG_TRIMMED" | "LOG_SHORT" => Ok(Some(error.message)),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use promosvc_engine::types::TimeUs;

    use super::*;
    use crate::storage::{Log, LogOptions, LogWriter, RecordHead};
    use crate::wire::promosvc::log::v1::{EventLogEntry, RecordedEvent};

    const RECORDS: u64 = 60;

    /// Records of an event and a fact, so that facts stand at odd positions, in segments of some few records.
    fn log(directory: &Path) -> LogWriter {
        let files = Arc::new(DiskFiles::open(directory).expect("opens"));
        let options = LogOptions {
            segment_bytes: 1024,
            step_bytes: 512,
            ..LogOptions::default()
        };
        let (mut log, _) = LogWriter::open(files, options).expect("opens");
        for number in 0..RECORDS {
            let event = Entry::Event(RecordedEvent::default());
            let fact = Entry::Item(ItemFact {
                item_id: format!("item-{number}"),
                ..ItemFact::default()
            });
            let entry = |entry| EventLogEntry { entry: Some(entry) };
            let record = EventLogRecord {
                entries: vec![entry(event), entry(fact)],
            };
            let head = RecordHead {
                at: TimeUs(0),
                kind: KIND_EVENTS,
                version: 1,
                entries: 2,
            };
            log.append(&head, &record.encode_to_vec()).expect("appends");
            log.sync().expect("syncs");
        }
        log
    }

    fn positions(found: Result<Found<'_>>) -> Vec<u64> {
        match found.expect("reads") {
            Found::Here(facts) => {
                assert!(
                    facts.iter().all(|(position, fact)| {
                        fact.item_id == format!("item-{}", position / 2)
                    })
                );
                facts.iter().map(|(position, _)| *position).collect()
            }
            Found::Gone(what) => panic!("{what}"),
        }
    }

    #[test]
    fn reading_on_gives_what_reading_at_once_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let _log = log(directory.path());
        let mut facts = Facts::of(directory.path());
        for (since, until) in [
            (0, 0),
            (0, 7),
            (0, 8),
            (0, 120),
            (0, 50),
            (40, 41),
            (40, 90),
            (3, 3),
            (3, 4),
            (9, 5),
        ] {
            let expected: Vec<u64> = (since..until)
                .filter(|position| position % 2 == 1)
                .collect();
            assert_eq!(
                positions(facts.between(since, until)),
                expected,
                "{since} to {until}"
            );
        }
    }

    #[test]
    fn what_was_trimmed_or_never_reached_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = log(directory.path());
        assert!(log.trim(60).expect("trims") > 0);
        let first = log.status().first_position;
        let mut facts = Facts::of(directory.path());
        let mut gone = |since, until| match facts.between(since, until).expect("reads") {
            Found::Gone(what) => what,
            Found::Here(facts) => panic!("{facts:?}"),
        };
        assert!(gone(0, 120).contains("begins at"));
        assert!(gone(first, 121).contains("ends at position 120"));
        let kept = (120 - first) as usize / 2;
        assert_eq!(positions(facts.between(first, 120)).len(), kept);
    }
}
