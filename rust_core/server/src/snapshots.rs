//! Follows publications: opens a new snapshot aside, verifies and warms it, then swaps.
//!
//! One thread reads `CURRENT` every `poll_ms`. Whatever is wrong with a new snapshot, the running one
//! stays; the reason goes to the log once and to GetStatus until it is over. A request finishes on the
//! snapshot that it began with, because it holds it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use promosvc_engine::decision::RecommendRequest;
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::snapshot::{Snapshot, current};
use promosvc_engine::types::TimeUs;

use crate::clock::machine_now;
use crate::config::SnapshotsConfig;
use crate::health::{Health, Life};
use crate::log::{self, Level};
use crate::recording::Recording;

/// A refused snapshot is tried again so late: an id names its content, so only a repaired copy of
/// the same files could do better.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// `CURRENT` is not read more often than this, whatever the configuration says.
const POLL_MIN: Duration = Duration::from_millis(5);

/// What is known of the published snapshot.
pub(crate) struct Snapshots {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    taken_at: Option<TimeUs>,
    refusal: Option<Refusal>,
    has_ended: bool,
}

struct Refusal {
    /// The refused id; empty when `CURRENT` itself could not be read.
    id: String,
    text: String,
    at: Instant,
}

/// What the following thread works with.
struct Follower {
    config: SnapshotsConfig,
    settings: EngineSettings,
    engine: Arc<Engine>,
    health: Arc<Health>,
    recording: Option<Arc<Recording>>,
    shared: Arc<Shared>,
}

impl Snapshots {
    /// Takes what is published now, then follows in a thread.
    pub(crate) fn follow(
        config: SnapshotsConfig,
        settings: EngineSettings,
        engine: &Arc<Engine>,
        health: &Arc<Health>,
        recording: Option<Arc<Recording>>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            ended: Condvar::new(),
        });
        let follower = Follower {
            config,
            settings,
            engine: Arc::clone(engine),
            health: Arc::clone(health),
            recording,
            shared: Arc::clone(&shared),
        };
        follower.look();
        thread::Builder::new()
            .name("promosvc-snapshots".to_owned())
            .spawn(move || follower.run())
            .map_err(|error| Error::io("the snapshot thread", &error))?;
        Ok(Self { shared })
    }

    /// Why the newest published snapshot was not taken; empty when it was.
    pub(crate) fn refusal(&self) -> String {
        let state = self.shared.lock();
        state
            .refusal
            .as_ref()
            .map(|refusal| refusal.text.clone())
            .unwrap_or_default()
    }

    /// When the running snapshot was taken, by the machine's clock.
    pub(crate) fn taken_at(&self) -> Option<TimeUs> {
        self.shared.lock().taken_at
    }
}

impl Drop for Snapshots {
    /// Ends the thread; one that is reading a snapshot ends when it has read it.
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.ended.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    fn run(self) {
        let pause = Duration::from_millis(self.config.poll_ms).max(POLL_MIN);
        loop {
            let state = self.shared.lock();
            let (state, _) = self
                .shared
                .ended
                .wait_timeout_while(state, pause, |state| !state.has_ended)
                .unwrap_or_else(PoisonError::into_inner);
            if state.has_ended {
                return;
            }
            drop(state);
            self.look();
        }
    }

    /// Looks once, and takes what is new.
    fn look(&self) {
        let published = match current(&self.config.directory) {
            Ok(Some(id)) => id,
            Ok(None) => return,
            Err(error) => return self.refuse(String::new(), &error),
        };
        let running = self.engine.snapshot();
        if running.is_some_and(|snapshot| snapshot.id == published) {
            self.shared.lock().refusal = None;
            return;
        }
        if self.was_refused_lately(&published) {
            return;
        }
        let began = Instant::now();
        let admitted = self.open(&published).and_then(|snapshot| {
            let recording = self.recording.as_ref();
            let doubled =
                recording.map_or(Ok(Vec::new()), |recording| recording.admit(&snapshot))?;
            Ok((snapshot, doubled))
        });
        match admitted {
            Ok((snapshot, doubled)) => self.take(snapshot, doubled, began),
            Err(error) => self.refuse(published, &error),
        }
    }

    fn was_refused_lately(&self, id: &str) -> bool {
        self.shared
            .lock()
            .refusal
            .as_ref()
            .is_some_and(|refusal| refusal.id == id && refusal.at.elapsed() < RETRY_AFTER)
    }

    fn open(&self, id: &str) -> Result<Arc<Snapshot>> {
        // A reader must not panic on hostile files; if it does after all, the server lives on.
        catch_unwind(AssertUnwindSafe(|| {
            let snapshot = Arc::new(Snapshot::open(&self.config.directory.join(id))?);
            if let Some(recording) = &self.recording {
                recording.check_snapshot(id, snapshot.manifest.events_position)?;
            }
            self.warm(&snapshot)?;
            Ok(snapshot)
        }))
        .unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Internal,
                "PANIC",
                "reading it failed; the log says where",
            ))
        })
    }

    /// Asks each placement once, aside: pages are touched before the first caller needs them, and a
    /// snapshot that cannot answer is found before it is served.
    fn warm(&self, snapshot: &Arc<Snapshot>) -> Result<()> {
        let engine = Engine::new(self.settings.clone())?;
        engine.publish(Arc::clone(snapshot));
        let now = snapshot.manifest.watermark_at;
        for placement in engine.placement_names() {
            engine.recommend(placement, &RecommendRequest::default(), now)?;
        }
        Ok(())
    }

    fn take(&self, snapshot: Arc<Snapshot>, doubled: Vec<u64>, began: Instant) {
        log::line(
            Level::Info,
            "snapshot_taken",
            &[
                ("snapshot_id", &snapshot.id),
                ("milliseconds", &began.elapsed().as_millis()),
            ],
        );
        let mut state = self.shared.lock();
        self.engine.publish_without(snapshot, doubled);
        state.taken_at = Some(machine_now());
        state.refusal = None;
        drop(state);
        self.health.advance(Life::Serving);
    }

    fn refuse(&self, id: String, error: &Error) {
        let text = if id.is_empty() {
            error.to_string()
        } else {
            format!("{id}: {error}")
        };
        let mut state = self.shared.lock();
        let is_news = state
            .refusal
            .as_ref()
            .is_none_or(|refusal| refusal.text != text);
        if is_news {
            log::line(
                Level::Error,
                "snapshot_refused",
                &[("reason", &error.reason), ("error", &text)],
            );
        }
        state.refusal = Some(Refusal {
            id,
            text,
            at: Instant::now(),
        });
    }
}
