//! Which writes were answered, and how: a request sent again gets the first answer, byte for byte.
//!
//! No promise is broken for want of memory: past `bytes_max` new writes are refused (`check_room`, asked before
//! anything is written), while an answer that the log holds is always taken in. Only time forgets.
//!
//! One map and one queue, owned by the sequencer; about 150 bytes for each answer and its own bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::checkpoint::{AnsweredWrite, RequestShard, invalid, not_empty};
use crate::error::{Error, ErrorKind, Result};
use crate::types::TimeUs;

/// An entry of the map that is little more than half full, its key, a place in the queue, allocations.
const REQUEST_BYTES: u64 = 150;
/// Longest request id in UTF-8 bytes, as on the wire.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Answers of writes.
#[derive(Debug)]
pub struct RequestWindow {
    /// In the order in which they were given.
    queue: VecDeque<AnsweredWrite>,
    /// Number of an answer, counted from the first ever.
    numbers: HashMap<Box<str>, u64>,
    /// Number of the oldest.
    first: u64,
    bytes: u64,
    bytes_max: u64,
    position: u64,
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownRequest {
    /// Nothing.
    Unknown,
    /// It was answered so.
    SameBody(Arc<[u8]>),
    /// Its id was used for another body.
    OtherBody,
}

/// How much a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Answers.
    pub requests: u64,
    /// Memory.
    pub bytes: u64,
    /// The most.
    pub bytes_max: u64,
    /// When the oldest answer was given.
    pub oldest_at: Option<TimeUs>,
}

impl RequestWindow {
    /// An empty window.
    pub fn new(bytes_max: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            numbers: HashMap::new(),
            first: 0,
            bytes: 0,
            bytes_max,
            position: 0,
        }
    }

    /// What is known of a request.
    pub fn find(&self, request_id: &str, body_hash: [u8; 16]) -> KnownRequest {
        let known = self.numbers.get(request_id);
        match known.and_then(|number| self.queue.get((number - self.first) as usize)) {
            None => KnownRequest::Unknown,
            Some(known) if known.body_hash == body_hash => {
                KnownRequest::SameBody(known.answer.clone())
            }
            Some(_) => KnownRequest::OtherBody,
        }
    }

    /// What an answer will weigh.
    pub fn cost(request_id: &str, answer_bytes: usize) -> u64 {
        REQUEST_BYTES + 2 * request_id.len() as u64 + answer_bytes as u64
    }

    /// Whether answers of `bytes` in all (`cost`, of those that are not durable yet too) can be taken in.
    ///
    /// # Errors
    /// `Overloaded` when they cannot; room comes when answers grow old.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        if self.bytes.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        let message = format!(
            "{} bytes of answers are remembered; the maximum is {}, and none may be forgotten before its time",
            self.bytes, self.bytes_max
        );
        let error = Error::new(ErrorKind::Overloaded, "REQUEST_WINDOW_FULL", message);
        Err(error
            .with("value", self.bytes)
            .with("limit", self.bytes_max))
    }

    /// Remembers the durable answer at `position` of the log. What it holds already is passed over; an id that is known
    /// keeps its first answer.
    pub fn insert(
        &mut self,
        request_id: &str,
        body_hash: [u8; 16],
        answer: Arc<[u8]>,
        answered_at: TimeUs,
        position: u64,
    ) {
        if position < self.position {
            return;
        }
        self.position = position + 1;
        self.push(AnsweredWrite {
            request_id: request_id.into(),
            body_hash,
            answer,
            answered_at,
        });
    }

    /// Says that all answers before `position` were inserted.
    pub fn advance(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// Forgets what was answered before a time, in the order of answering, up to the first that was not.
    pub fn expire(&mut self, before: TimeUs) {
        let is_old = |oldest: &AnsweredWrite| oldest.answered_at < before;
        while self.queue.front().is_some_and(is_old)
            && let Some(oldest) = self.queue.pop_front()
        {
            self.numbers.remove(&oldest.request_id);
            self.bytes -= Self::cost(&oldest.request_id, oldest.answer.len());
            self.first += 1;
        }
    }

    /// How much it holds.
    pub fn stats(&self) -> RequestStats {
        RequestStats {
            requests: self.queue.len() as u64,
            bytes: self.bytes,
            bytes_max: self.bytes_max,
            oldest_at: self.queue.front().map(|oldest| oldest.answered_at),
        }
    }

    /// What a checkpoint holds.
    pub fn export(&self) -> RequestShard {
        RequestShard {
            position: self.position,
            requests: self.queue.iter().cloned().collect(),
        }
    }

    /// Takes the answers of a checkpoint into a new window.
    ///
    /// # Errors
    /// `DataLoss` for a checkpoint that cannot be true, `FailedPrecondition` for a window that took answers already.
    pub fn import(&mut self, shard: RequestShard) -> Result<()> {
        if self.position > 0 {
            return Err(not_empty("the request window", self.position));
        }
        let mut new = Self::new(self.bytes_max);
        for (at, request) in shard.requests.into_iter().enumerate() {
            let part = || format!("answered request {at}");
            let length = request.request_id.len();
            if length == 0 || length > REQUEST_ID_BYTES_MAX {
                let what = format!(
                    "its id has {length} bytes; 1 to {REQUEST_ID_BYTES_MAX} would be right"
                );
                return Err(invalid(&part(), what));
            }
            let request_id = request.request_id.clone();
            if !new.push(request) {
                return Err(invalid(&part(), format!("{request_id} stands twice")));
            }
        }
        new.position = shard.position;
        *self = new;
        Ok(())
    }

    fn push(&mut self, request: AnsweredWrite) -> bool {
        if self.numbers.contains_key(&request.request_id) {
            return false;
        }
        let number = self.first + self.queue.len() as u64;
        self.numbers.insert(request.request_id.clone(), number);
        self.bytes += Self::cost(&request.request_id, request.answer.len());
        self.queue.push_back(request);
        true
    }
}
