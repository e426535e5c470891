//! What a user did, and what the catalogue says now.
//!
//! Decisions ask two traits, never a store: `Histories` for a user's events and `Catalogue` for price and
//! availability. Today the snapshot answers both; the fold over the event log will answer them later
//! without a change to anybody who asks.
//!
//! `MergedHistories` is the derived form that candidates are made from: the events of one item become one
//! entry. It is made once for each snapshot (about 1M entries: 30 ms, 20 bytes each), because a request
//! reads 80 histories of similar users and could not merge them in time.

mod catalogue;
mod effect;
mod merged;

pub use catalogue::Catalogue;
pub use effect::{AnsweredRequest, Effect, ItemFact, RecordedEvent};
pub use merged::{MergedHistories, MergedHistory, decay};

use crate::snapshot::{Snapshot, UserEvents};
use crate::types::UserIdx;

/// Who knows what users did.
pub trait Histories {
    /// The events of one user, newest first.
    fn events_of(&self, user: UserIdx) -> UserEvents<'_>;
}

impl Histories for Snapshot {
    fn events_of(&self, user: UserIdx) -> UserEvents<'_> {
        self.history.of(user)
    }
}
