//! What both doors stand on: one engine with its clock, snapshots, limits and health.

use std::sync::Arc;
use std::time::Duration;

use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::TimeUs;

use crate::admission::Admission;
use crate::attribution::Attribution;
use crate::clock::{Clock, machine_now};
use crate::config::ServerConfig;
use crate::decisions::DecisionLog;
use crate::fork::Owner;
use crate::health::{Health, Life};
use crate::recording::{Recording, recover};
use crate::reflection::Reflection;
use crate::snapshots::Snapshots;
use crate::storage::{DiskFiles, Files};
use crate::wire::DESCRIPTORS;

/// The engine with all that a call needs: clock, snapshots, limits, health.
pub struct Door {
    owner: Owner,
    engine: Arc<Engine>,
    clock: Arc<Clock>,
    admission: Arc<Admission>,
    health: Arc<Health>,
    reflection: Reflection,
    snapshots: Snapshots,
    attribution: Option<Attribution>,
    recording: Option<Arc<Recording>>,
    decisions: Option<DecisionLog>,
    started_at: TimeUs,
}

impl Door {
    /// Makes a door without a listener: reads the event log back, takes the published snapshot, if there is one, and
    /// starts the threads that write the log and follow publications. A snapshot that does not verify is no error
    /// here: the door answers UNAVAILABLE and GetStatus says why.
    pub fn new(config: ServerConfig) -> Result<Door> {
        config.check()?;
        let files: Option<Arc<dyn Files>> = match &config.events {
            Some(events) => Some(Arc::new(DiskFiles::create(&events.directory)?)),
            None => None,
        };
        Self::on_files(config, files)
    }

    /// Makes a door whose event log lies in `files`; its lock still lies in the configured directory. For tests that put
    /// another disk below it.
    #[doc(hidden)]
    pub fn with_files(config: ServerConfig, files: Arc<dyn Files>) -> Result<Door> {
        config.check()?;
        Self::on_files(config, Some(files))
    }

    fn on_files(config: ServerConfig, files: Option<Arc<dyn Files>>) -> Result<Door> {
        let ServerConfig {
            server,
            clock,
            snapshots,
            placements,
            events,
            decisions,
            attribution,
        } = config;
        let attribution = attribution
            .map(|config| Attribution::open(&config.keys_file))
            .transpose()?;
        let decisions = decisions
            .map(|config| DecisionLog::open(&config, &placements))
            .transpose()?;
        let settings = EngineSettings { placements };
        let clock = Arc::new(Clock::new(clock));
        let (engine, recording) = match (events, files) {
            (Some(events), Some(files)) => {
                let recovered = recover(&events, &snapshots.directory, files)?;
                let live = Arc::clone(&recovered.live);
                let engine = Arc::new(Engine::with_live(settings.clone(), live)?);
                let directory = snapshots.directory.clone();
                let recording = Recording::start(events, directory, recovered, &engine, &clock)?;
                (engine, Some(Arc::new(recording)))
            }
            (None, _) | (_, None) => (Arc::new(Engine::new(settings.clone())?), None),
        };
        let health = Arc::new(Health::starting());
        Ok(Door {
            owner: Owner::this_process(),
            reflection: Reflection::new(DESCRIPTORS)?,
            snapshots: Snapshots::follow(snapshots, settings, &engine, &health, recording.clone())?,
            engine,
            clock,
            admission: Admission::new(server.in_flight_calls_max),
            attribution,
            recording,
            decisions,
            health,
            started_at: machine_now(),
        })
    }

    /// Says NOT_SERVING from now on; what is asked is still answered.
    pub fn drain(&self) {
        self.health.advance(Life::Draining);
    }

    /// Ends recording once what waits is written; whether that was done, with a last checkpoint, within the grace. Reads
    /// are still answered.
    pub fn close(&self, grace: Duration) -> bool {
        self.recording
            .as_ref()
            .is_none_or(|recording| recording.close(grace))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// What issues and verifies attribution tokens; none where it is switched off.
    pub(crate) fn attribution(&self) -> Option<&Attribution> {
        self.attribution.as_ref()
    }

    /// What takes durable writes (`RECORDING_OFF`).
    pub(crate) fn recording(&self) -> Result<&Recording> {
        self.recording.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::FailedPrecondition,
                "RECORDING_OFF",
                "this server records nothing; send writes to the one that has the event log",
            )
        })
    }

    /// What keeps decisions; none where it is switched off.
    pub(crate) fn decisions(&self) -> Option<&DecisionLog> {
        self.decisions.as_ref()
    }

    pub(crate) fn started_at(&self) -> TimeUs {
        self.started_at
    }

    pub(crate) fn reflection(&self) -> &Reflection {
        &self.reflection
    }

    /// Refuses a forked child by name.
    pub(crate) fn check_owner(&self) -> Result<()> {
        self.owner.check()
    }
}

impl Drop for Door {
    /// The thread that follows snapshots may hold on to recording for a moment; whoever opens the log next must not
    /// find it locked by then.
    fn drop(&mut self) {
        // In a forked child there are no threads to end.
        if self.owner.is_here() {
            self.close(Duration::ZERO);
        }
    }
}
