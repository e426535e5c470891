//! What both doors stand on: one engine with its clock, snapshots, limits and health.

use std::sync::Arc;

use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::Result;
use promosvc_engine::types::TimeUs;

use crate::admission::Admission;
use crate::attribution::Attribution;
use crate::clock::{Clock, machine_now};
use crate::config::ServerConfig;
use crate::fork::Owner;
use crate::health::{Health, Life};
use crate::reflection::Reflection;
use crate::snapshots::Snapshots;
use crate::wire::DESCRIPTORS;

/// The engine with all that a call needs: clock, snapshots, limits, health.
pub struct Door {
    owner: Owner,
    engine: Arc<Engine>,
    clock: Clock,
    admission: Arc<Admission>,
    health: Arc<Health>,
    reflection: Reflection,
    snapshots: Snapshots,
    attribution: Option<Attribution>,
    started_at: TimeUs,
}

impl Door {
    /// Makes a door without a listener: takes the published snapshot, if there is one, and starts the
    /// thread that follows publications. A snapshot that does not verify is no error here: the door
    /// answers UNAVAILABLE and GetStatus says why.
    pub fn new(config: ServerConfig) -> Result<Door> {
        config.check()?;
        let ServerConfig {
            server,
            clock,
            snapshots,
            placements,
            events: _,
            decisions: _,
            attribution,
        } = config;
        let attribution = attribution
            .map(|config| Attribution::open(&config.keys_file))
            .transpose()?;
        let settings = EngineSettings { placements };
        let engine = Arc::new(Engine::new(settings.clone())?);
        let health = Arc::new(Health::starting());
        Ok(Door {
            owner: Owner::this_process(),
            reflection: Reflection::new(DESCRIPTORS)?,
            snapshots: Snapshots::follow(snapshots, settings, &engine, &health)?,
            engine,
            clock: Clock::new(clock),
            admission: Admission::new(server.in_flight_calls_max),
            attribution,
            health,
            started_at: machine_now(),
        })
    }

    /// Says NOT_SERVING from now on; what is asked is still answered.
    pub fn drain(&self) {
        self.health.advance(Life::Draining);
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
