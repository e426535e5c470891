//! How many calls may be in flight at once, over all connections.
//!
//! A call is in flight from the moment its headers are accepted until its answer is handed to the
//! connection; so the count holds the calls that wait for their turn, and the cap bounds that wait. A call over
//! the cap is shed at once, before its body is decoded. Health and admin are exempt: an overloaded
//! server must still say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use promosvc_engine::error::{Error, ErrorKind, Result};

/// When a shed call may come back: long enough for a queue of a thousand calls of some tens of
/// microseconds to empty.
const RETRY_AFTER_MS: u64 = 100;

/// The counters of one door.
#[derive(Debug)]
pub(crate) struct Admission {
    in_flight: AtomicUsize,
    in_flight_max: usize,
    shed: AtomicU64,
}

/// One call in flight; ends when dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    admission: Arc<Admission>,
}

impl Admission {
    /// Nobody in flight yet.
    pub(crate) fn new(in_flight_max: usize) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            in_flight_max,
            shed: AtomicU64::new(0),
        })
    }

    /// Lets one more call in, or sheds it (`OVERLOADED`).
    pub(crate) fn enter(self: &Arc<Self>) -> Result<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        if before < self.in_flight_max {
            return Ok(InFlight {
                admission: Arc::clone(self),
            });
        }
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.shed.fetch_add(1, Ordering::Relaxed);
        Err(Error {
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..Error::new(
                ErrorKind::Overloaded,
                "OVERLOADED",
                format!(
                    "{} calls are in flight, which is the maximum; come back in {RETRY_AFTER_MS} ms",
                    self.in_flight_max
                ),
            )
            .with("limit", self.in_flight_max)
            .with("retry_after_ms", RETRY_AFTER_MS)
        })
    }

    /// Calls in flight now.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// The most at once.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }

    /// Calls shed since the start.
    pub(crate) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.admission.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_maximum_is_shed() {
        let admission = Admission::new(2);
        let near = admission.enter().expect("the first");
        let _far = admission.enter().expect("the second");
        let error = admission.enter().unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::Overloaded, "OVERLOADED")
        );
        assert_eq!(error.retry_after_ms, Some(RETRY_AFTER_MS));
        assert_eq!((admission.in_flight(), admission.shed()), (2, 1));
        drop(near);
        admission.enter().expect("there is room again");
    }
}
