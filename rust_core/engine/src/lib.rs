//! promosvc's engine: decides which items to show.
//!
//! Pure Rust over a verified snapshot: no Python, no network, no clock. Rooms and what they may
//! import are listed in `docs/architecture.md` and checked by a test.
pub mod error;
pub mod types;
