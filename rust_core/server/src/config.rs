//! The configuration of a server, as JSON.
//!
//! The Python configuration room merges flags, environment, file and defaults and hands over exactly
//! this; unknown names are refused, so the two cannot drift apart in silence. Each maximum has its reason beside it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use promosvc_engine::decision::{ID_BYTES_MAX, Placement};
use promosvc_engine::error::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Largest request message in bytes: gRPC's own default, and what the protocol promises.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Everything that a server or a door is told at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address, workers and limits.
    pub server: ListenConfig,
    /// How `now` is known.
    pub clock: ClockConfig,
    /// Where snapshots come from.
    pub snapshots: SnapshotsConfig,
    /// The named places that show items.
    pub placements: BTreeMap<String, Placement>,
    /// The event log; without it this server records nothing.
    pub events: Option<EventsConfig>,
    /// The decision log; without it no decision is kept.
    pub decisions: Option<DecisionsConfig>,
    /// Attribution tokens; without it none are issued, and none are accepted.
    pub attribution: Option<AttributionConfig>,
}

/// Where the server listens, and what bounds a peer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// IPv4 or IPv6 address.
    pub address: String,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
    /// Threads that answer calls; 0 is one for each CPU.
    pub workers: usize,
    /// Allows an address that others can reach, without TLS.
    pub insecure: bool,
    /// Calls accepted and not yet answered, over all connections; one more is shed. Bounds the
    /// memory of requests that wait, and how long a call can wait for its turn.
    pub in_flight_calls_max: usize,
    /// Open calls of one connection; a peer that opens more is refused by HTTP/2 itself.
    pub streams_per_connection_max: u32,
    /// Open connections; the next is closed at once. Bounds file descriptors.
    pub connections_max: usize,
    /// A connection without a call for so long is told to go. 0 is never.
    pub idle_seconds_max: u64,
    /// Size of the header list of one call.
    pub header_bytes_max: u32,
    /// Calls that the peer took back before they were accepted; more is an attack and closes the
    /// connection. Hedging clients cancel losers, so it is well above the 20 of the HTTP/2 library.
    pub pending_resets_max: usize,
    /// A connection that has not finished the HTTP/2 handshake by then is closed.
    pub handshake_seconds_max: u64,
}

/// How `now` is known.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockConfig {
    /// What moves the clock.
    pub mode: ClockMode,
    /// Added to the machine's time, for `offset`.
    pub offset_us: i64,
    /// Where a `manual` clock begins.
    pub manual_now_us: i64,
}

/// What moves the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockMode {
    /// The machine's clock plus a fixed offset.
    Offset,
    /// Only `AdminService.SetClock`.
    Manual,
}

/// Where snapshots come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsConfig {
    /// The directory that holds `CURRENT`.
    pub directory: PathBuf,
    /// How often `CURRENT` is read.
    pub poll_ms: u64,
}

/// What is recorded, how long it is kept, and how much of it stays in memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// The directory of the log.
    pub directory: PathBuf,
    /// The source of events whose request names none.
    pub source: String,
    /// Event names besides the public vocabulary, and whether each needs an item.
    pub custom_events: BTreeMap<String, bool>,
    /// Size at which a segment of the log is full.
    pub segment_bytes: u64,
    /// Segments younger than this are kept, whatever the snapshots hold.
    pub retention_hours: u64,
    /// How often a checkpoint is written while the log moves.
    pub checkpoint_seconds: u64,
    /// Commands that may wait to be written; one more is shed.
    pub queue_commands_max: usize,
    /// How long an event's id is remembered.
    pub dedupe_hours: u64,
    /// Memory of event ids; past it the oldest are forgotten early.
    pub dedupe_bytes_max: u64,
    /// How long the answer to a write is remembered.
    pub request_window_hours: u64,
    /// Memory of answers; past it a new write is refused.
    pub request_window_bytes_max: u64,
    /// Memory of users' recent events and of item facts; past it the least recent users fall back.
    pub live_state_bytes_max: u64,
    /// Recent events of one user that are remembered.
    pub events_per_user_max: usize,
    /// Events before this time are refused.
    pub earliest_us: i64,
}

/// What is kept of decisions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionsConfig {
    /// The directory of the log.
    pub directory: PathBuf,
    /// Share of decisions that are written, above 0 and at most 1.
    pub sample_rate: f64,
    /// Records that may wait to be written; one more is dropped and counted.
    pub queue_records_max: usize,
    /// Size at which a segment of the log is full.
    pub segment_bytes: u64,
    /// Older segments are deleted.
    pub retention_hours: u64,
}

/// How answers and events are tied together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributionConfig {
    /// The file with the keys that tokens are signed with.
    pub keys_file: PathBuf,
}

impl ServerConfig {
    /// Reads the JSON form. Errors name what is wrong (`CONFIG_INVALID`).
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| {
            Error::invalid(
                "config",
                "CONFIG_INVALID",
                format!("the configuration is not what the server expects: {error}"),
            )
        })
    }

    /// Refuses what could not work, by path (`CONFIG_INVALID`).
    pub(crate) fn check(&self) -> Result<()> {
        self.server.check()?;
        if let Some(events) = &self.events {
            events.check()?;
        }
        if let Some(decisions) = &self.decisions {
            decisions.check()?;
        }
        Ok(())
    }
}

impl EventsConfig {
    /// Refuses what could not work, by path.
    pub(crate) fn check(&self) -> Result<()> {
        id_length("events.source", &self.source)?;
        if self.custom_events.len() > CUSTOM_EVENTS_MAX {
            return Err(out_of_range(
                "events.custom_events",
                format!("{} names", self.custom_events.len()),
                (0, CUSTOM_EVENTS_MAX as u64),
            ));
        }
        for name in self.custom_events.keys() {
            id_length("events.custom_events", name)?;
        }
        segment("events.segment_bytes", self.segment_bytes)?;
        let numbers = [
            ("retention_hours", self.retention_hours, (0, HOURS_MAX)),
            (
                "checkpoint_seconds",
                self.checkpoint_seconds,
                (1, CHECKPOINT_SECONDS_MAX),
            ),
            (
                "queue_commands_max",
                self.queue_commands_max as u64,
                (1, QUEUE_MAX),
            ),
            ("dedupe_hours", self.dedupe_hours, (1, HOURS_MAX)),
            (
                "dedupe_bytes_max",
                self.dedupe_bytes_max,
                (WINDOW_BYTES_MIN, MEMORY_BYTES_MAX),
            ),
            (
                "request_window_hours",
                self.request_window_hours,
                (REQUEST_WINDOW_HOURS_MIN, HOURS_MAX),
            ),
            (
                "request_window_bytes_max",
                self.request_window_bytes_max,
                (WINDOW_BYTES_MIN, MEMORY_BYTES_MAX),
            ),
            (
                "live_state_bytes_max",
                self.live_state_bytes_max,
                (WINDOW_BYTES_MIN, MEMORY_BYTES_MAX),
            ),
            (
                "events_per_user_max",
                self.events_per_user_max as u64,
                (1, EVENTS_PER_USER_MAX),
            ),
        ];
        for (name, value, range) in numbers {
            number(&format!("events.{name}"), value, range)?;
        }
        Ok(())
    }
}

impl DecisionsConfig {
    /// Refuses what could not work, by path.
    pub(crate) fn check(&self) -> Result<()> {
        if !(self.sample_rate > 0.0 && self.sample_rate <= 1.0) {
            return Err(Error::invalid(
                "decisions.sample_rate",
                "CONFIG_INVALID",
                format!(
                    "decisions.sample_rate is {}; it must be above 0 and at most 1",
                    self.sample_rate
                ),
            )
            .with("value", self.sample_rate));
        }
        segment("decisions.segment_bytes", self.segment_bytes)?;
        number(
            "decisions.queue_records_max",
            self.queue_records_max as u64,
            (1, QUEUE_MAX),
        )?;
        number(
            "decisions.retention_hours",
            self.retention_hours,
            (1, HOURS_MAX),
        )
    }
}

/// Smaller ones would be made all the time; larger ones, which are deleted whole, would stay too long.
const SEGMENT_BYTES: (u64, u64) = (1024 * 1024, 4 * 1024 * 1024 * 1024);
/// Ten years, so that hours in microseconds stay far from overflowing.
const HOURS_MAX: u64 = 87_600;
/// What the protocol promises of repeated writes.
const REQUEST_WINDOW_HOURS_MIN: u64 = 24;
/// A day: recovery replays what came after the newest checkpoint.
const CHECKPOINT_SECONDS_MAX: u64 = 86_400;
/// Far more than can be in flight, and a bound for a slip of the finger.
const QUEUE_MAX: u64 = 1 << 20;
/// Less would not hold what one call may bring.
const WINDOW_BYTES_MIN: u64 = 1024 * 1024;
/// 1 TiB: a bound for a slip of the finger, far from overflowing.
const MEMORY_BYTES_MAX: u64 = 1 << 40;
/// One user is read whole for each answer, which must stay some tens of microseconds.
const EVENTS_PER_USER_MAX: u64 = 10_000;
/// An event name is one byte in live state; the public vocabulary takes the rest.
const CUSTOM_EVENTS_MAX: usize = 200;

fn id_length(field: &str, value: &str) -> Result<()> {
    if (1..=ID_BYTES_MAX).contains(&value.len()) {
        return Ok(());
    }
    let shown: String = value.chars().take(256).collect();
    Err(Error::invalid(
        field,
        "CONFIG_INVALID",
        format!(
            "{field} has {shown:?} of {} bytes; it must have 1 to {ID_BYTES_MAX}",
            value.len()
        ),
    )
    .with("value", shown)
    .with("limit", ID_BYTES_MAX))
}

fn segment(field: &str, value: u64) -> Result<()> {
    number(field, value, SEGMENT_BYTES)
}

fn number(field: &str, value: u64, (min, max): (u64, u64)) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(out_of_range(field, value.to_string(), (min, max)))
}

fn out_of_range(field: &str, value: String, (min, max): (u64, u64)) -> Error {
    Error::invalid(
        field,
        "CONFIG_INVALID",
        format!("{field} is {value}; it must be {min} to {max}"),
    )
    .with("value", value)
    .with("minimum", min)
    .with("maximum", max)
}

impl ListenConfig {
    /// The address to bind; refuses one that others can reach unless `insecure` says so.
    pub(crate) fn socket_address(&self) -> Result<SocketAddr> {
        let ip = match self.address.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            address => address.parse().map_err(|_| {
                Error::invalid(
                    "server.address",
                    "ADDRESS_INVALID",
                    format!(
                        "server.address is {address:?}; it must be an IPv4 or IPv6 address such as 127.0.0.1"
                    ),
                )
                .with("value", address)
            })?,
        };
        if ip.is_loopback() || self.insecure {
            return Ok(SocketAddr::new(ip, self.port));
        }
        Err(Error {
            field: "server.address".to_owned(),
            ..Error::new(
                ErrorKind::FailedPrecondition,
                "ADDRESS_NOT_LOOPBACK",
                format!(
                    "server.address is {ip}, which others can reach, and the wire is not encrypted; \
                     listen on 127.0.0.1, or allow it with --insecure"
                ),
            )
            .with("value", ip)
        })
    }

    /// Refuses limits that no call could pass.
    pub(crate) fn check(&self) -> Result<()> {
        let at_least_one = [
            (
                "server.in_flight_calls_max",
                self.in_flight_calls_max as u64,
            ),
            (
                "server.streams_per_connection_max",
                u64::from(self.streams_per_connection_max),
            ),
            ("server.connections_max", self.connections_max as u64),
            ("server.pending_resets_max", self.pending_resets_max as u64),
            ("server.handshake_seconds_max", self.handshake_seconds_max),
        ];
        for (field, value) in at_least_one {
            if value == 0 {
                return Err(Error::invalid(
                    field,
                    "CONFIG_INVALID",
                    format!("{field} is 0; it must be at least 1"),
                )
                .with("value", value));
            }
        }
        if self.workers > WORKERS_MAX {
            return Err(Error::invalid(
                "server.workers",
                "CONFIG_INVALID",
                format!("workers is {}; the maximum is {WORKERS_MAX}", self.workers),
            )
            .with("value", self.workers)
            .with("limit", WORKERS_MAX));
        }
        Ok(())
    }

    /// How many workers to start.
    pub(crate) fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}

/// Most worker threads: far above the cores of any machine this was measured on, and a bound for
/// a slip of the finger.
const WORKERS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str, insecure: bool) -> ListenConfig {
        ListenConfig {
            address: address.to_owned(),
            port: 0,
            workers: 1,
            insecure,
            in_flight_calls_max: 1_024,
            streams_per_connection_max: 256,
            connections_max: 10_000,
            idle_seconds_max: 300,
            header_bytes_max: 16_384,
            pending_resets_max: 512,
            handshake_seconds_max: 5,
        }
    }

    #[test]
    fn an_address_that_others_can_reach_needs_insecure() {
        let error = listen("0.0.0.0", false).socket_address().unwrap_err();
        assert_eq!(error.reason, "ADDRESS_NOT_LOOPBACK");
        assert!(error.message.contains("--insecure"), "{error}");
        assert!(listen("0.0.0.0", true).socket_address().is_ok());
        for loopback in ["127.0.0.1", "127.8.0.1", "::1", "localhost"] {
            assert!(
                listen(loopback, false).socket_address().is_ok(),
                "{loopback}"
            );
        }
        let error = listen("shop.example", true).socket_address().unwrap_err();
        assert_eq!(error.reason, "ADDRESS_INVALID");
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let mut config = listen("127.0.0.1", false);
        config.connections_max = 0;
        let error = config.check().unwrap_err();
        assert_eq!(error.field, "server.connections_max");
    }

    fn events() -> serde_json::Value {
        serde_json::json!({
            "directory": "events", "source": "live", "custom_events": {"enroll": true},
            "segment_bytes": 268435456, "retention_hours": 168, "checkpoint_seconds": 300,
            "queue_commands_max": 1024, "dedupe_hours": 168, "dedupe_bytes_max": 268435456,
            "request_window_hours": 24, "request_window_bytes_max": 67108864,
            "live_state_bytes_max": 536870912, "events_per_user_max": 1000, "earliest_us": 0
        })
    }

    #[test]
    fn what_could_not_be_recorded_is_refused_by_name() {
        let read = |value| serde_json::from_value::<EventsConfig>(value).expect("reads");
        read(events()).check().expect("the defaults");
        for (name, value) in [
            ("source", serde_json::json!("")),
            ("source", serde_json::json!("s".repeat(129))),
            ("custom_events", serde_json::json!({"": true})),
            (
                "custom_events",
                (0..=CUSTOM_EVENTS_MAX)
                    .map(|at| (at.to_string(), true.into()))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            ),
            ("segment_bytes", 1.into()),
            ("retention_hours", 1_000_000.into()),
            ("checkpoint_seconds", 0.into()),
            ("queue_commands_max", 0.into()),
            ("dedupe_hours", 0.into()),
            ("dedupe_bytes_max", 0.into()),
            ("request_window_hours", 23.into()),
            ("request_window_bytes_max", 0.into()),
            ("live_state_bytes_max", 0.into()),
            ("events_per_user_max", 0.into()),
        ] {
            let mut changed = events();
            changed[name] = value;
            let error = read(changed).check().expect_err(name);
            assert_eq!(error.field, format!("events.{name}"));
            assert!(error.message.contains("must"), "{error}");
        }
    }

    #[test]
    fn a_sample_of_decisions_is_a_share() {
        let read = |sample_rate: f64| DecisionsConfig {
            directory: "decisions".into(),
            sample_rate,
            queue_records_max: 1,
            segment_bytes: SEGMENT_BYTES.0,
            retention_hours: 1,
        };
        read(1.0).check().expect("all");
        for wrong in [0.0, 1.001, f64::NAN, -0.1] {
            let error = read(wrong).check().unwrap_err();
            assert_eq!(error.field, "decisions.sample_rate");
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = ServerConfig::from_json(r#"{"server": {"adress": "127.0.0.1"}}"#).unwrap_err();
        assert_eq!(error.reason, "CONFIG_INVALID");
        assert!(error.message.contains("adress"), "{error}");
    }
}
