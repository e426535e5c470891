//! Logs on disk: what was acknowledged is there after anything.
//!
//! A log is a directory of `segment`s, each a row of `record`s; a record is what was made durable at once. One
//! `writer` appends and syncs, under a `lock`; any number of `reader`s `walk` the records. `recovery` finds where a
//! writer goes on; `checkpoints` spare it the long way. Nothing here knows what a payload means.
//!
//! Everything goes through `files`, a flat directory behind a trait: tests put a disk behind it that loses, tears and
//! reorders what was not synced, and prove that leaving out any one sync loses something. The format is documented in
//! docs/logs.md.
//!
//! The trade-off: one file format and one writer, in exchange for a sync that costs one write of one buffer. Cost of
//! 500 events (60 kB): a copy and a checksum, 5 µs each, one write, one sync.

pub mod checkpoints;
mod files;
mod header;
mod lock;
#[cfg(test)]
mod proofs;
mod reader;
mod record;
mod recovery;
mod segment;
mod walk;
mod writer;

use promosvc_engine::error::Result;

pub use files::{DiskFiles, FileHandle, Files};
pub use lock::LogLock;
pub use reader::{LogReader, Records};
pub use record::{PAYLOAD_BYTES_MAX, Record, RecordHead};
pub use recovery::{Cut, Recovered};
pub use writer::{LogOptions, LogStatus, LogWriter};

/// The payload is a `promosvc.log.v1.EventLogRecord`.
pub const KIND_EVENTS: u16 = 1;
/// The payload is a `promosvc.log.v1.DecisionRecord`.
pub const KIND_DECISION: u16 = 2;

/// A log that can be appended to and read.
pub trait Log: Send {
    /// Writes a record and gives the position of its first entry. It is durable after `sync`.
    ///
    /// In a durable log an append syncs what was appended before it. Entries are at least 1 and at most the bytes of
    /// the payload, which has at most `PAYLOAD_BYTES_MAX`. After a failed write or sync everything that writes
    /// answers LOG_FAILED until the log is opened again; reading goes on.
    fn append(&mut self, head: &RecordHead, payload: &[u8]) -> Result<u64>;
    /// Returns when everything appended is durable.
    fn sync(&mut self) -> Result<()>;
    /// Position of the next append.
    fn next_position(&self) -> u64;
    /// Durable records that hold positions from `position` on.
    fn read_from(&self, position: u64) -> Result<Records>;
    /// Removes whole segments with positions below `before` only, never the last one; says how many.
    fn trim(&mut self, before: u64) -> Result<usize>;
    /// What there is to say about it.
    fn status(&self) -> LogStatus;
}
