//! What a start reads back: the newest checkpoint, and the log behind it.
//!
//! Stages: take the lock; find how far the snapshots hold the log; open the log, which checks it and cuts a half-written
//! tail; import the checkpoint; replay what came after. Cost: about 2.7 µs for each event in the log behind the
//! checkpoint: to decode, to hash its key, and to fold it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::history::{AnsweredRequest, Effect, LiveSettings, LiveState};
use prost::Message;

use super::checkpoint::{Import, body_hash_from};
use super::entry;
use super::event_log::EventLog;
use super::record_events::{event_effect, event_key};
use super::snapshot_positions;
use super::upsert_items::item_effect;
use super::vocabulary::Vocabulary;
use super::windows::Windows;
use crate::config::EventsConfig;
use crate::log::{self, Level};
use crate::storage::checkpoints::{self, Checkpoint};
use crate::storage::{Files, KIND_EVENTS, LogLock, LogOptions, LogReader, LogWriter, Record};
use crate::wire::promosvc::log::v1 as wire;
use crate::wire::promosvc::log::v1::event_log_entry::Entry;

/// What a start read back.
pub(crate) struct Recovered {
    /// Users and items. The engine reads it.
    pub(crate) live: Arc<LiveState>,
    pub(super) windows: Windows,
    pub(super) log: EventLog,
    pub(super) files: Arc<dyn Files>,
    pub(super) lock: LogLock,
}

/// Opens the log in `files`, which is what `config.directory` holds, and folds it.
///
/// # Errors
/// `LOG_LOCKED` names the process that writes it; `LOG_CORRUPT` the file and the offset; `LOG_BEHIND_SNAPSHOT` a snapshot
/// on disk, published or not, that holds more of the log than there is: new entries would get positions that it has.
pub(crate) fn recover(
    config: &EventsConfig,
    snapshots: &Path,
    files: Arc<dyn Files>,
) -> Result<Recovered> {
    let began = Instant::now();
    let lock = LogLock::acquire(&config.directory)?;
    let log_first = LogReader::open(Arc::clone(&files))?.first_position()?;
    let held = snapshot_positions::read(snapshots)?;
    let checkpoint = match log_first {
        Some(first) => newest_checkpoint(&files, first)?,
        None => {
            // A log that is gone while its checkpoints are there.
            check_checkpoint(0, checkpoints::positions(&*files)?.pop())?;
            None
        }
    };
    let checkpoint_position = checkpoint.as_ref().map(|checkpoint| checkpoint.position);
    let options = LogOptions {
        segment_bytes: config.segment_bytes,
        first_position: held.as_ref().map_or(0, |held| held.newest),
        verify_from: checkpoint_position.unwrap_or(0),
        ..LogOptions::default()
    };
    let (writer, opened) = LogWriter::open(Arc::clone(&files), options)?;
    log::line(
        match &opened.cut {
            Some(_) => Level::Warning,
            None => Level::Info,
        },
        "log_opened",
        &[
            ("directory", &files.directory()),
            ("first_position", &opened.first_position),
            ("next_position", &opened.next_position),
            ("segments", &opened.segments),
            ("cut_bytes", &opened.cut.as_ref().map_or(0, |cut| cut.bytes)),
            (
                "cut",
                &opened
                    .cut
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ),
        ],
    );
    check_checkpoint(opened.next_position, checkpoint_position)?;
    if let Some(held) = &held {
        check_snapshot(opened.next_position, &held.newest_id, held.newest)?;
    }
    let live = Arc::new(LiveState::new(LiveSettings {
        event_names: Vocabulary::new(&config.custom_events).names().to_vec(),
        bytes_max: config.live_state_bytes_max,
        events_per_user_max: config.events_per_user_max,
    })?);
    let windows = Windows::new(config)?;
    if let Some(checkpoint) = &checkpoint {
        let mut import = Import::default();
        for part in checkpoint.parts() {
            import.take(&part?, &live, &windows)?;
        }
    }
    if let Some(held) = &held {
        // What every snapshot holds would only be forgotten at once.
        live.set_floor(held.oldest);
    }
    let from = checkpoint_position.unwrap_or(opened.first_position);
    replay(&files, from, opened.next_position, &live, &windows)?;
    log::line(
        Level::Info,
        "recovered",
        &[
            ("position", &opened.next_position),
            ("checkpoint_position", &checkpoint_position.unwrap_or(0)),
            ("events", &opened.next_position.saturating_sub(from)),
            ("milliseconds", &began.elapsed().as_millis()),
        ],
    );
    let cut_bytes = opened.cut.map_or(0, |cut| cut.bytes);
    Ok(Recovered {
        live,
        windows,
        log: EventLog::new(
            Box::new(writer),
            config.segment_bytes,
            checkpoint_position.unwrap_or(0),
            cut_bytes,
        ),
        files,
        lock,
    })
}

fn newest_checkpoint(files: &Arc<dyn Files>, log_first: u64) -> Result<Option<Checkpoint>> {
    let found = checkpoints::newest(files, log_first)?;
    for error in &found.damaged {
        log::line(Level::Error, "checkpoint_damaged", &[("error", error)]);
    }
    Ok(found.checkpoint)
}

/// A log that ends before what was made of it has lost its end: going on would give its positions away twice
/// (`LOG_BEHIND_CHECKPOINT`).
fn check_checkpoint(log_end: u64, checkpoint_position: Option<u64>) -> Result<()> {
    match checkpoint_position {
        Some(position) if position > log_end => Err(Error::new(
            ErrorKind::DataLoss,
            "LOG_BEHIND_CHECKPOINT",
            format!(
                "the event log ends at position {log_end}, but its checkpoint was made at {position}: the end of the \
                 log is lost; restore the log, or move its directory away to begin anew"
            ),
        )
        .with("position", log_end)
        .with("checkpoint_position", position)),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a snapshot that holds more of the log than there is (`LOG_BEHIND_SNAPSHOT`).
pub(super) fn check_snapshot(log_end: u64, snapshot_id: &str, position: u64) -> Result<()> {
    if position <= log_end {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DataLoss,
        "LOG_BEHIND_SNAPSHOT",
        format!(
            "the event log ends at position {log_end}, but snapshot {snapshot_id} holds events up to {position}: restore \
             the log, or move its directory away to begin anew at {position}"
        ),
    )
    .with("position", log_end)
    .with("snapshot_id", snapshot_id)
    .with("events_position", position))
}

/// Folds the records from `from` on as the sequencer did when it wrote them.
fn replay(
    files: &Arc<dyn Files>,
    from: u64,
    until: u64,
    live: &LiveState,
    windows: &Windows,
) -> Result<()> {
    if from < until {
        for record in LogReader::open(Arc::clone(files))?.records(from, Some(until))? {
            let record = record?;
            fold(&record, &files.directory(), live, windows)?;
        }
    }
    // Also where nothing came after the checkpoint.
    live.apply(until, &[]);
    windows.advance(until);
    Ok(())
}

fn fold(record: &Record, directory: &str, live: &LiveState, windows: &Windows) -> Result<()> {
    let unreadable = |what: String| {
        Error::data_loss(directory, "LOG_RECORD_UNREADABLE", &what)
            .with("position", record.position)
    };
    let at_position = record.position;
    if (record.kind, record.version) != (KIND_EVENTS, entry::VERSION) {
        return Err(unreadable(format!(
            "the record at position {at_position} has kind {} and version {}; this program reads kind {KIND_EVENTS} and \
             version {} (is it older than the log?)",
            record.kind,
            record.version,
            entry::VERSION
        )));
    }
    let wire::EventLogRecord { entries } = wire::EventLogRecord::decode(record.payload.as_slice())
        .map_err(|error| {
            unreadable(format!(
                "the record at position {at_position} cannot be decoded: {error}"
            ))
        })?;
    if entries.len() != record.entries as usize {
        return Err(unreadable(format!(
            "the record at position {at_position} has {} entries; its header says {}",
            entries.len(),
            record.entries
        )));
    }
    let mut effects = Vec::with_capacity(entries.len());
    for (position, entry) in (record.position..).zip(&entries) {
        let effect = match &entry.entry {
            Some(Entry::Event(event)) => {
                windows.insert_event(event_key(event), record.at, position);
                event_effect(event)
            }
            Some(Entry::Item(fact)) => item_effect(fact),
            Some(Entry::Request(request)) => {
                let body_hash = body_hash_from(&request.body_hash)?;
                let answer = request.answer.as_slice();
                windows.insert_request(
                    &request.request_id,
                    body_hash,
                    answer.into(),
                    record.at,
                    position,
                );
                Effect::Answered(AnsweredRequest {
                    request_id: &request.request_id,
                    body_hash,
                    answer,
                })
            }
            // Passing over it would lose what it says.
            None => {
                return Err(unreadable(format!(
                    "the entry at position {position} is of a kind that this program does not know; is it older than \
                     the log?"
                )));
            }
        };
        effects.push(effect);
    }
    live.apply(record.position, &effects);
    Ok(())
}
