//! promosvc's native door: accept loop, HTTP/2, gRPC, limits, health, reflection, admin.
//!
//! It knows the wire and nothing of the business: a call is decoded, handed to the engine as the
//! engine's own types, and the answer is encoded.

mod call;
mod config;
mod fork;
mod server;
#[allow(dead_code)]
mod wire;

pub use call::{CallResult, Door};
pub use config::{ClockConfig, ClockMode, ListenConfig, ServerConfig, SnapshotsConfig};
pub use server::Server;
