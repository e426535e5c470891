//! The thread that writes decisions, and what it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use promosvc_engine::error::Result;
use promosvc_engine::types::{DurationUs, TimeUs};

use super::record::Decided;
use crate::config::DecisionsConfig;
use crate::log::{self, Level};
use crate::storage::{
    DiskFiles, Files, KIND_DECISION, Log, LogLock, LogOptions, LogReader, LogWriter, RecordHead,
};

/// The only version of a decision's record so far.
const VERSION: u16 = 1;
const HOUR_US: i64 = 3_600_000_000;

/// What became of decisions.
#[derive(Default)]
pub(super) struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    /// Bytes of decisions that wait.
    waiting: AtomicU64,
}

impl Counts {
    /// Takes room in the queue, if it has as much.
    pub(super) fn reserve(&self, bytes: u64, max: u64) -> bool {
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= max;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives room back.
    pub(super) fn release(&self, bytes: u64) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts a decision that is not kept after all.
    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Records written.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Decisions dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes decisions.
pub(super) struct Writer {
    _lock: LogLock,
    files: Arc<dyn Files>,
    log: LogWriter,
    retention: DurationUs,
    counts: Arc<Counts>,
    has_failed: bool,
}

impl Writer {
    /// Opens the log, alone; a half-written end is cut.
    pub(super) fn open(config: &DecisionsConfig, counts: Arc<Counts>) -> Result<Self> {
        let disk = DiskFiles::create(&config.directory)?;
        let lock = LogLock::acquire(&config.directory)?;
        Self::on(Arc::new(disk), lock, config, counts)
    }

    /// The same on files of the caller's.
    pub(super) fn on(
        files: Arc<dyn Files>,
        lock: LogLock,
        config: &DecisionsConfig,
        counts: Arc<Counts>,
    ) -> Result<Self> {
        let DecisionsConfig {
            directory: _,
            sample_rate: _,
            queue_records_max: _,
            segment_bytes,
            retention_hours,
        } = config;
        let options = LogOptions {
            segment_bytes: *segment_bytes,
            is_durable: false,
            ..LogOptions::default()
        };
        let (log, recovered) = LogWriter::open(Arc::clone(&files), options)?;
        if let Some(cut) = recovered.cut {
            log::line(
                Level::Warning,
                "decision_log_cut",
                &[
                    ("file", &cut.file),
                    ("offset", &cut.offset),
                    ("bytes", &cut.bytes),
                    ("why", &cut.why),
                ],
            );
        }
        let hours = i64::try_from(*retention_hours).unwrap_or(i64::MAX);
        Ok(Self {
            _lock: lock,
            files,
            log,
            retention: DurationUs(hours.saturating_mul(HOUR_US)),
            counts,
            has_failed: false,
        })
    }

    /// Writes until nobody can send any more, and what waits then.
    pub(super) fn run(mut self, decided: &Receiver<Box<Decided>>) {
        let mut segments = 0;
        while let Ok(decided) = decided.recv() {
            let bytes = decided.bytes();
            let at = decided.answer.decided_at;
            let written = self.write(*decided, at);
            self.counts.release(bytes);
            match written {
                Ok(()) => {
                    self.counts.written.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    self.counts.drop_one();
                    // The log takes nothing more after a failure: once is enough.
                    if !std::mem::replace(&mut self.has_failed, true) {
                        self.say("decision_log_failed", &error);
                    }
                    continue;
                }
            }
            if self.log.status().segments != segments {
                if let Err(error) = self.delete_old(at) {
                    self.say("decision_log_not_trimmed", &error);
                }
                segments = self.log.status().segments;
            }
        }
    }

    fn write(&mut self, decided: Decided, at: TimeUs) -> Result<()> {
        let head = RecordHead {
            at,
            kind: KIND_DECISION,
            version: VERSION,
            entries: 1,
        };
        self.log.append(&head, &decided.encode())?;
        self.log.sync()
    }

    /// Deletes segments of which even the newest decision is older than the retention. Age is told by the clock of
    /// decisions, so that data of a past year are not old at once.
    fn delete_old(&mut self, now: TimeUs) -> Result<()> {
        let cutoff = now.before(self.retention);
        let reader = LogReader::open(Arc::clone(&self.files))?;
        let mut before = 0;
        for first in reader.segments()? {
            // What stands before this segment is older than its first record.
            match reader.records(first, None)?.next().transpose()? {
                Some(record) if record.at < cutoff => before = first,
                Some(_) | None => break,
            }
        }
        self.log.trim(before)?;
        Ok(())
    }

    fn say(&self, event: &str, error: &promosvc_engine::error::Error) {
        log::line(
            Level::Error,
            event,
            &[("reason", &error.reason), ("error", error)],
        );
    }
}
