//! The keeper: writes checkpoints, and gives up what nobody needs any more.
//!
//! A checkpoint bounds recovery: what it holds need not be read again. It is written shard by shard while the fold goes
//! on, each shard with its own position, by a thread that holds at most one shard's lock at a time. After it, live
//! state forgets what every snapshot on disk holds, and whole segments go that nobody can ask for: below the older
//! of the two checkpoints that are kept, below the oldest snapshot that a rollback may find, and older than the
//! retention.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use promosvc_engine::error::Result;
use promosvc_engine::types::DurationUs;

use super::checkpoint;
use super::event_log::EventLog;
use super::memory::Memory;
use super::snapshot_positions;
use crate::clock::Clock;
use crate::log::{self, Level};
use crate::storage::{Files, LogReader, checkpoints};

/// How often live state forgets what every snapshot on disk holds: snapshots come each minute, checkpoints more rarely.
const FORGET_EVERY: Duration = Duration::from_secs(15);

/// What the keeper works with.
pub(super) struct Keeper {
    pub(super) files: Arc<dyn Files>,
    pub(super) log: Arc<EventLog>,
    pub(super) memory: Arc<Memory>,
    pub(super) clock: Arc<Clock>,
    /// Where snapshots lie.
    pub(super) snapshots: PathBuf,
    pub(super) retention: DurationUs,
    pub(super) every: Duration,
}

/// How the keeper is told to end.
#[derive(Debug, Default)]
pub(super) struct KeeperSwitch {
    state: Mutex<SwitchState>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SwitchState {
    #[default]
    Running,
    LastRound,
    Ended,
}

impl KeeperSwitch {
    /// Ends the thread, after a last round if there is time for one.
    pub(super) fn end(&self, has_time: bool) {
        *self.lock() = if has_time {
            SwitchState::LastRound
        } else {
            SwitchState::Ended
        };
        self.changed.notify_all();
    }

    /// What is to be done, after waiting so long for the end.
    fn wait(&self, at_most: Duration) -> SwitchState {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), at_most, |state| *state == SwitchState::Running)
            .unwrap_or_else(PoisonError::into_inner);
        *state
    }

    fn lock(&self) -> MutexGuard<'_, SwitchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Works until it is told to end.
    pub(super) fn run(self, switch: &KeeperSwitch) {
        let mut checkpoint_at = Instant::now() + self.every;
        loop {
            let state = switch.wait(self.every.min(FORGET_EVERY));
            if state == SwitchState::Ended {
                return;
            }
            let now = Instant::now();
            let is_due = now >= checkpoint_at || state == SwitchState::LastRound;
            if is_due {
                checkpoint_at = now + self.every;
            }
            if let Err(error) = self.round(is_due) {
                // What was not given up stays, and the next round tries again.
                log::line(Level::Error, "keeper_failed", &[("error", &error)]);
            }
            if state == SwitchState::LastRound {
                return;
            }
        }
    }

    fn round(&self, is_checkpoint_due: bool) -> Result<()> {
        if is_checkpoint_due && self.log.durable_position() > self.log.checkpoint_position() {
            self.write_checkpoint()?;
        }
        let Some(held) = snapshot_positions::read(&self.snapshots)? else {
            return Ok(());
        };
        // The running snapshot may be gone from the disk already.
        let running = self.memory.snapshot();
        let running = running.map_or(u64::MAX, |snapshot| snapshot.manifest.events_position);
        let floor = held.oldest.min(running);
        self.memory.set_floor(floor);
        self.trim(floor)
    }

    fn write_checkpoint(&self) -> Result<()> {
        let began = Instant::now();
        // The fold goes before the position, so everything before it is in every part.
        let position = self.log.durable_position();
        checkpoints::try_write(
            &*self.files,
            position,
            checkpoint::parts(&self.memory, position),
        )?;
        self.log.note_checkpoint(position);
        log::line(
            Level::Info,
            "checkpoint_written",
            &[
                ("position", &position),
                ("milliseconds", &began.elapsed().as_millis()),
            ],
        );
        Ok(())
    }

    /// Removes segments that nobody can ask for.
    fn trim(&self, snapshots_hold: u64) -> Result<()> {
        let kept = checkpoints::positions(&*self.files)?;
        // With one checkpoint the log must be able to stand in for it, should it be damaged.
        let [.., older, _] = kept.as_slice() else {
            return Ok(());
        };
        let before = self.retained_from()?.min(*older).min(snapshots_hold);
        if before <= self.log.first_position() {
            return Ok(());
        }
        let removed = self.log.trim(before)?;
        if removed > 0 {
            log::line(
                Level::Info,
                "segments_trimmed",
                &[
                    ("segments", &removed),
                    ("first_position", &self.log.first_position()),
                ],
            );
        }
        Ok(())
    }

    /// The first position that the retention still covers, as far as segments tell: all before it is older.
    fn retained_from(&self) -> Result<u64> {
        let kept_after = self.clock.now().before(self.retention);
        let reader = LogReader::open(Arc::clone(&self.files))?;
        let mut retained_from = 0;
        for first in reader.segments()? {
            let Some(record) = reader.records(first, None)?.next().transpose()? else {
                break;
            };
            if record.at > kept_after {
                break;
            }
            retained_from = first;
        }
        Ok(retained_from)
    }
}
