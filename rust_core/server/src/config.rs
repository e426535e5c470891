//! The configuration of a server, as JSON.
//!
//! The Python configuration room merges flags, environment, file and defaults and hands over exactly
//! this; unknown names are refused, so the two cannot drift apart in silence. Each maximum has its reason beside it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use promosvc_engine::decision::Placement;
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

    #[test]
    fn unknown_names_are_refused() {
        let error = ServerConfig::from_json(r#"{"server": {"adress": "127.0.0.1"}}"#).unwrap_err();
        assert_eq!(error.reason, "CONFIG_INVALID");
        assert!(error.message.contains("adress"), "{error}");
    }
}
