//! What users did, and what the event log says of items.
//!
//! The snapshot answers for what it holds (`Histories`); what came after it is in `LiveState`, the fold over the
//! event log (`live`), and `JoinedHistory` makes one history of both. Beside it the fold keeps what a server must remember to record each event once (`dedupe`) and
//! to answer a repeated write alike (`request_window`); `checkpoint` holds all three as values.
//!
//! `MergedHistories` is the derived form that candidates are made from: the events of one item become one
//! entry. It is made once for each snapshot (about 1M entries: 30 ms, 20 bytes each), because a request
//! reads 80 histories of similar users and could not merge them in time.

mod checkpoint;
mod dedupe;
mod effect;
mod event_key_set;
mod joined;
mod live;
mod merged;
mod request_window;
mod text_hash;

use crate::snapshot::{Snapshot, UserEvents};
pub use crate::types::EventKey;
use crate::types::UserIdx;
pub use checkpoint::{
    AnsweredWrite, CatalogueShard, CheckpointUser, DedupeShard, RequestShard, UserShard,
};
pub use dedupe::{DedupeStats, DedupeWindow};
pub use effect::{AnsweredRequest, Effect, ItemFact, RecordedEvent};
pub use event_key_set::{EventKeySet, KeyHasher};
pub use joined::JoinedHistory;
pub use live::{
    LiveCatalogue, LiveEvent, LiveFact, LiveItem, LivePrice, LiveSettings, LiveState, LiveStats,
    Told, UserCompleteness,
};
pub use merged::{MergedHistories, MergedHistory, decay};
pub use request_window::{KnownRequest, RequestStats, RequestWindow};

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
