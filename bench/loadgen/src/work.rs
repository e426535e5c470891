//! What a caller sends next, and what an answer means.

use std::cell::{Cell, RefCell};

use bytes::Bytes;

use crate::arguments::Task;
use crate::events::{Events, Expected, Tally};
use crate::requests;

/// Where requests come from.
pub(crate) enum Work {
    /// A list, round and round.
    List {
        requests: Vec<Bytes>,
        next: Cell<usize>,
    },
    /// New events; every answer is looked into.
    Events {
        events: Events,
        batch: usize,
        expected: Expected,
        failure: RefCell<Option<String>>,
    },
}

/// What was recorded.
pub(crate) struct Recorded {
    pub(crate) batch: usize,
    pub(crate) tally: Tally,
    pub(crate) event_bytes: f64,
    /// The first thing that was not as expected.
    pub(crate) complaint: Option<String>,
}

impl Work {
    /// Reads or makes what is needed before the run.
    pub(crate) fn new(task: &Task) -> Result<Self, String> {
        Ok(match task {
            Task::Send(file) => Work::List {
                requests: requests::load(file)?,
                next: Cell::new(0),
            },
            Task::Record(recording) | Task::RecordThenRecommend(recording) => Work::Events {
                events: Events::new(recording)?,
                batch: recording.batch,
                expected: recording.expected,
                failure: RefCell::default(),
            },
        })
    }

    /// The next request, behind gRPC's prefix.
    pub(crate) fn request(&self) -> Bytes {
        match self {
            Work::List { requests, next } => {
                let at = next.get();
                next.set((at + 1) % requests.len());
                requests[at].clone()
            }
            Work::Events { events, .. } => events.request(),
        }
    }

    /// Looks into an answer.
    pub(crate) fn answered(&self, status: u16, answer: &[u8]) {
        if let Work::Events {
            events,
            batch: _,
            expected,
            failure,
        } = self
        {
            if status == 0 {
                events.count(answer, *expected);
            } else {
                failure
                    .borrow_mut()
                    .get_or_insert_with(|| format!("a call failed with status {status}"));
            }
        }
    }

    /// What was recorded; none where nothing was to be.
    pub(crate) fn recorded(&self) -> Option<Recorded> {
        let Work::Events {
            events,
            batch,
            expected: _,
            failure,
        } = self
        else {
            return None;
        };
        Some(Recorded {
            batch: *batch,
            tally: events.tally(),
            event_bytes: events.event_bytes(),
            complaint: failure.borrow().clone().or_else(|| events.complaint()),
        })
    }
}
