//! Checkpoints of the fold as owned values, one for each part of `promosvc.log.v1`'s checkpoint messages.
//!
//! They mirror the messages column by column, and nothing in them is believed: importing checks every length, order,
//! index and bound, answers `DataLoss` (reason CHECKPOINT_INVALID) at the first that is wrong and leaves the state as
//! it was.
//!
//! A part holds the log before a position of its own, so that parts are taken one after the other while the fold goes
//! on; replaying begins at the lowest of these positions, and each part passes over what it holds already. A part that
//! nothing of late belonged to is as far as the fold is: its position is that of the whole, *read before the part's
//! lock is taken* (under the lock would do as well). Everything below the whole's position had been handed to the parts
//! before it was published, so that the part holds it; read after the lock was given back, the position could stand
//! past an entry that came in between. Entries of the part itself may be newer than that position, and then the last of
//! them decides.

use std::sync::Arc;

use super::LiveFact;
use crate::error::{Error, ErrorKind};
use crate::types::TimeUs;

/// Users of one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserShard {
    /// The shard.
    pub shard: u32,
    /// It holds the log before this position.
    pub position: u64,
    /// Users whose newest event was before this position may have been forgotten.
    pub evicted_before: u64,
    /// Users, by the position of their newest event, ascending.
    pub users: Vec<CheckpointUser>,
}

/// A user's events in columns of equal length, oldest first by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointUser {
    /// User.
    pub user_id: String,
    /// Positions of the events, ascending.
    pub positions: Vec<u64>,
    /// Indices into `item_ids`; one more than the last means no item.
    pub items: Vec<u32>,
    /// Indices into the names of the checkpoint.
    pub names: Vec<u32>,
    /// Times in microseconds since 1970-01-01 UTC.
    pub event_at_us: Vec<i64>,
    /// Items of this user, each once.
    pub item_ids: Vec<Arc<str>>,
    /// Events before this position may have been forgotten.
    pub truncated_before: u64,
}

/// Catalogue facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueShard {
    /// It holds the log before this position.
    pub position: u64,
    /// Facts, in the order in which the log first told of their items.
    pub items: Vec<Arc<LiveFact>>,
}

/// Ids of recorded events of one shard, in the order in which they were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DedupeShard {
    /// The shard.
    pub shard: u32,
    /// It holds the log before this position.
    pub position: u64,
    /// 16 bytes each, most significant first.
    pub ids: Vec<u8>,
    /// When each was recorded, in microseconds since 1970-01-01 UTC.
    pub recorded_at_us: Vec<i64>,
}

/// Answers of writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestShard {
    /// It holds the log before this position.
    pub position: u64,
    /// Answers, in the order in which they were given.
    pub requests: Vec<AnsweredWrite>,
}

/// The answer that a write got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredWrite {
    /// The caller's id.
    pub request_id: Box<str>,
    /// First 16 bytes of the SHA-256 of method and canonical body.
    pub body_hash: [u8; 16],
    /// The encoded answer.
    pub answer: Arc<[u8]>,
    /// When it was given.
    pub answered_at: TimeUs,
}

/// A checkpoint that cannot be true.
pub(super) fn invalid(part: &str, what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::DataLoss,
        "CHECKPOINT_INVALID",
        format!("checkpoint: {part}: {what}"),
    )
    .with("part", part)
}

/// A part that is imported where something is already.
pub(super) fn not_empty(part: &str, position: u64) -> Error {
    Error::new(
        ErrorKind::FailedPrecondition,
        "CHECKPOINT_TOO_LATE",
        format!("{part} holds the log before {position} already; a checkpoint is imported into a new state"),
    )
    .with("part", part)
    .with("position", position)
}
