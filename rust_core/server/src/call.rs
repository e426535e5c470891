//! One call, whatever door it came through.
//!
//! Both doors hand bytes to `Door::call` and get bytes back, so that code, message, details and body
//! are equal by construction.

use std::time::Instant;

use promosvc_engine::error::{Error, ErrorKind, Result};

use crate::config::ServerConfig;
use crate::fork::Owner;

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// gRPC status code; 0 is OK.
    pub code: i32,
    /// For people; empty when OK.
    pub message: String,
    /// Trailing metadata. Keys that end in `-bin` hold raw bytes.
    pub trailing_metadata: Vec<(String, Vec<u8>)>,
    /// The encoded answer; empty unless OK.
    pub response: Vec<u8>,
}

/// The engine with all that a call needs: clock, snapshot, limits.
pub struct Door {
    owner: Owner,
}

impl Door {
    /// Makes a door without a listener.
    pub fn new(_config: ServerConfig) -> Result<Door> {
        Ok(Door {
            owner: Owner::this_process(),
        })
    }

    /// Answers one call. `method` is the path without or with its leading slash
    /// ("/promosvc.v1.PromoService/Recommend"); never panics, never waits.
    pub fn call(
        &self,
        method: &str,
        _request: &[u8],
        _metadata: &[(String, Vec<u8>)],
        _deadline: Option<Instant>,
    ) -> CallResult {
        let error = self.owner.check().err().unwrap_or_else(|| {
            Error::new(
                ErrorKind::Unimplemented,
                "METHOD_UNKNOWN",
                format!("{method} is not a method of this server"),
            )
        });
        CallResult {
            code: 12,
            message: error.to_string(),
            trailing_metadata: Vec::new(),
            response: Vec::new(),
        }
    }
}
