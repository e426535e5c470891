//! promosvc's native door: accept loop, HTTP/2, gRPC, limits, health, reflection, admin.
//!
//! The way of a call: `accept` gives its connection to a worker; `connection` reads its stream;
//! `dispatch` judges the headers, lets it in (`admission`) and reads its message (`framing`); `worker` lets it
//! take its turn; `call` answers it at the `door`: `convert` in, engine, `convert` out. `status` turns errors into gRPC's.
//! A durable write goes on through `recording` and is answered by the ticket that it ends in.
//! Beside that way stand `clock`, `health`, `reflection`, `admin`, `streams`, `snapshots` and `storage`;
//! `log_rows` gives the event log to the offline plane.
//!
//! It knows the wire and nothing of the business. The grpcio door takes the same way from `call` on, so that both
//! answer the same bytes.

// Test support is shared with other crates and names this one.
#[cfg(test)]
extern crate self as promosvc_server;

mod accept;
mod admin;
mod admission;
mod attribution;
mod call;
mod clock;
mod config;
mod connection;
mod convert;
mod deadline;
mod decisions;
mod dispatch;
mod door;
mod ends;
mod fork;
mod framing;
mod health;
mod log;
mod log_rows;
mod method;
mod recording;
mod reflection;
mod replay;
mod server;
mod snapshots;
mod status;
pub mod storage;
mod streams;
mod wire;
mod worker;

pub use attribution::{Attribution, Issuer};
pub use call::CallResult;
pub use config::{
    AttributionConfig, ClockConfig, ClockMode, DecisionsConfig, EventsConfig, ListenConfig,
    ServerConfig, SnapshotsConfig,
};
pub use decisions::{CANDIDATE_SOURCES, DecisionReader, DecisionRow};
pub use door::Door;
pub use log_rows::{EventRow, ItemRow, LogRow, read_log_rows};
pub use replay::{ReplayFolders, Replayed, Verdict, Which, replay, replayed_to_json};
pub use server::Server;
