//! promosvc's engine: decides which items to show.
//!
//! Pure Rust over a verified snapshot: no Python, no network, no clock. Rooms and what they may
//! import are listed in `docs/architecture.md` and checked by a test.
pub mod candidates;
pub mod catalogue;
pub mod decision;
pub mod eligibility;
pub mod engine;
pub mod error;
pub mod features;
pub mod history;
pub mod ranking;
pub mod similarity;
pub mod snapshot;
pub mod types;
