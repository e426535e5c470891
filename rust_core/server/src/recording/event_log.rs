//! The event log as the rest of the server knows it: one writer behind a lock, and what everybody may know of it.
//!
//! The sequencer appends and the keeper trims; they meet here, and nobody else waits for either. How far the log is
//! durable, and whether it still takes writes, is read without waiting for the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use promosvc_engine::error::{Error, ErrorKind, Result};

use crate::log::{self, Level};
use crate::storage::{Log, LogStatus, RecordHead};

/// The log, and what is known of it.
pub(super) struct EventLog {
    writer: Mutex<Box<dyn Log>>,
    durable_position: AtomicU64,
    first_position: AtomicU64,
    checkpoint_position: AtomicU64,
    segments: AtomicU64,
    newest_segment_bytes: AtomicU64,
    segment_bytes: u64,
    cut_bytes: u64,
    failure: Mutex<Option<Error>>,
}

impl EventLog {
    /// A log that was read to its end, the position of its newest checkpoint, and what its opening cut off.
    pub(super) fn new(
        writer: Box<dyn Log>,
        segment_bytes: u64,
        checkpoint_position: u64,
        cut_bytes: u64,
    ) -> Self {
        let status = writer.status();
        Self {
            writer: Mutex::new(writer),
            durable_position: AtomicU64::new(status.durable_position),
            first_position: AtomicU64::new(status.first_position),
            checkpoint_position: AtomicU64::new(checkpoint_position),
            segments: AtomicU64::new(status.segments as u64),
            newest_segment_bytes: AtomicU64::new(status.newest_segment_bytes),
            segment_bytes,
            cut_bytes,
            failure: Mutex::new(None),
        }
    }

    /// Appends a record that was decided for the position `durable_position()`, and returns when it is durable. Any
    /// failure is the last: nothing is written after it.
    pub(super) fn append(&self, head: &RecordHead, payload: &[u8]) -> Result<()> {
        self.check()?;
        self.try_append(head, payload)
            .map_err(|error| self.fail(&error))
    }

    /// Lets readers go on to `position`.
    pub(super) fn advance(&self, position: u64) {
        self.durable_position.store(position, Ordering::Release);
    }

    /// Removes whole segments before `position`; says how many.
    pub(super) fn trim(&self, position: u64) -> Result<usize> {
        let mut writer = lock(&self.writer);
        let removed = writer.trim(position);
        self.note(&writer.status());
        removed.map_err(|error| self.fail(&error))
    }

    /// Everything before it is durable and in every answer.
    pub(super) fn durable_position(&self) -> u64 {
        self.durable_position.load(Ordering::Acquire)
    }

    /// First position that is still kept.
    pub(super) fn first_position(&self) -> u64 {
        self.first_position.load(Ordering::Acquire)
    }

    /// Segment files.
    pub(super) fn segments(&self) -> u64 {
        self.segments.load(Ordering::Acquire)
    }

    /// Bytes of records in them, where a full one counts with its configured size.
    pub(super) fn bytes(&self) -> u64 {
        let full = self.segments().saturating_sub(1);
        full.saturating_mul(self.segment_bytes)
            .saturating_add(self.newest_segment_bytes.load(Ordering::Acquire))
    }

    /// Bytes that were cut from a half-written tail when the log was opened.
    pub(super) fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    /// Position of the newest checkpoint.
    pub(super) fn checkpoint_position(&self) -> u64 {
        self.checkpoint_position.load(Ordering::Acquire)
    }

    /// Notes a checkpoint.
    pub(super) fn note_checkpoint(&self, position: u64) {
        self.checkpoint_position.store(position, Ordering::Release);
    }

    /// Refuses writes once one has failed (`LOG_FAILED`).
    pub(super) fn check(&self) -> Result<()> {
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    /// Takes no more writes. The first failure is the one that everybody is told.
    pub(super) fn fail(&self, error: &Error) -> Error {
        let mut failure = lock(&self.failure);
        failure
            .get_or_insert_with(|| {
                let position = self.durable_position();
                log::line(
                    Level::Error,
                    "log_failed",
                    &[("error", error), ("durable_position", &position)],
                );
                log_failed(error)
            })
            .clone()
    }

    /// Why nothing is written any more; empty while all is well.
    pub(super) fn failure(&self) -> String {
        let failure = lock(&self.failure);
        let message = failure.as_ref().map(|error| error.message.clone());
        message.unwrap_or_default()
    }

    fn note(&self, status: &LogStatus) {
        self.first_position
            .store(status.first_position, Ordering::Release);
        self.segments
            .store(status.segments as u64, Ordering::Release);
        self.newest_segment_bytes
            .store(status.newest_segment_bytes, Ordering::Release);
    }

    fn try_append(&self, head: &RecordHead, payload: &[u8]) -> Result<()> {
        let mut writer = lock(&self.writer);
        let decided_for = self.durable_position();
        let position = writer.append(head, payload)?;
        writer.sync()?;
        self.note(&writer.status());
        if position == decided_for {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Internal,
            "POSITION_MOVED",
            format!(
                "a record was appended at position {position}; it was decided for {decided_for}"
            ),
        ))
    }
}

const LOG_FAILED: &str = "LOG_FAILED";

/// What callers are told. Where the log lies is for the operator alone, who reads it in the server's output. The log
/// says itself what failed there; anything else is put into the same words.
fn log_failed(error: &Error) -> Error {
    let directory = error.metadata.iter().find(|(name, _)| *name == "directory");
    let cause = match directory {
        Some((_, directory)) => error.message.replace(&format!("{directory}/"), ""),
        None => error.message.clone(),
    };
    let message = if error.reason == LOG_FAILED {
        cause
    } else {
        format!("{cause}; the log takes nothing more until the server is restarted")
    };
    Error::new(ErrorKind::Unavailable, LOG_FAILED, message)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
