//! The decision log: of a share of all decisions, what each was made from and what it was.
//!
//! 1. `sampling` says which decisions are kept, before they are made: only those are traced.
//! 2. A kept decision goes, with its trace, into a bounded queue; the call is answered meanwhile. Where the queue is
//!    full it is dropped, and counted.
//! 3. `writer`, a thread, turns it into a record (`record`), appends it to a log of `storage` that is not synced, and
//!    deletes what is older than the retention.
//! 4. `reading` gives records back; the replay decides from them again.
//!
//! Cost: a decision that is not kept pays one addition and one comparison. One that is kept pays for its trace on the
//! thread that answers; encoding and writing are the writer's, on another core if there is one.
//!
//! The trade-off: a crash of the machine may lose the last seconds, and a burst beyond the queue is dropped, so that
//! no answer ever waits for this log. What must not be lost is in the event log.

mod placement;
mod reading;
mod record;
mod sampling;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use promosvc_engine::decision::{DecisionTrace, Placement, Recommendation};
use promosvc_engine::error::{Error, Result};

use crate::config::DecisionsConfig;
use crate::fork::Owner;
use crate::wire::promosvc::v1 as wire;
use record::Decided;
use sampling::Sampler;
use writer::{Counts, Writer};

pub(crate) use placement::placement_from_json;
pub use reading::{CANDIDATE_SOURCES, DecisionReader, DecisionRow};

/// Bytes of decisions that may wait, besides their number: about a thousand of the usual size.
const QUEUE_BYTES_MAX: u64 = 64 << 20;

/// Keeps decisions.
pub(crate) struct DecisionLog {
    owner: Owner,
    sampler: Sampler,
    sample_rate: f64,
    /// As configured, JSON.
    placements: BTreeMap<String, Arc<str>>,
    counts: Arc<Counts>,
    queue: Option<SyncSender<Box<Decided>>>,
    thread: Option<JoinHandle<()>>,
}

impl DecisionLog {
    /// Opens the log, alone, and starts its thread.
    pub(crate) fn open(
        config: &DecisionsConfig,
        placements: &BTreeMap<String, Placement>,
    ) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let writer = Writer::open(config, Arc::clone(&counts))?;
        Self::start(writer, counts, config, placements)
    }

    fn start(
        writer: Writer,
        counts: Arc<Counts>,
        config: &DecisionsConfig,
        placements: &BTreeMap<String, Placement>,
    ) -> Result<Self> {
        let (queue, decided) = sync_channel(config.queue_records_max);
        let thread = thread::Builder::new()
            .name("promosvc-decisions".to_owned())
            .spawn(move || writer.run(&decided))
            .map_err(|error| Error::io("the decision log's thread", &error))?;
        Ok(Self {
            owner: Owner::this_process(),
            sampler: Sampler::new(config.sample_rate),
            sample_rate: config.sample_rate,
            placements: placements
                .iter()
                .map(|(name, placement)| {
                    (name.clone(), placement::placement_to_json(placement).into())
                })
                .collect(),
            counts,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Whether the decision that is about to be made is to be kept.
    pub(crate) fn samples(&self) -> bool {
        self.sampler.samples()
    }

    /// Keeps a decision, if there is room for it. Never waits.
    pub(crate) fn keep(
        &self,
        request: &[u8],
        placement: &str,
        answer: Recommendation,
        trace: DecisionTrace,
    ) {
        let decided = Box::new(Decided {
            request: request.to_vec(),
            placement: placement.to_owned(),
            placement_json: self.placements.get(placement).cloned().unwrap_or_default(),
            answer,
            trace,
            sample_rate: self.sample_rate,
        });
        let bytes = decided.bytes();
        let is_taken = self.counts.reserve(bytes, QUEUE_BYTES_MAX)
            && match self.queue.as_ref().map(|queue| queue.try_send(decided)) {
                Some(Ok(())) => true,
                Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
                    self.counts.release(bytes);
                    false
                }
            };
        if !is_taken {
            self.counts.drop_one();
        }
    }

    /// What there is to say about it.
    pub(crate) fn status(&self) -> wire::DecisionLogStatus {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        wire::DecisionLogStatus {
            sample_rate: self.sample_rate,
            written: count(self.counts.written()),
            dropped: count(self.counts.dropped()),
        }
    }
}

impl Drop for DecisionLog {
    /// Writes what waits. In a forked child there is no thread to wait for.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && self.owner.is_here()
        {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
