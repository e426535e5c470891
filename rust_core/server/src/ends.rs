//! Waiting for threads to end, with a bound: the standard library joins without one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many threads have not ended, for those who wait for all to end.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    state: Mutex<EndState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct EndState {
    running: usize,
    unfinished: usize,
}

/// Held by a thread; tells its end, also by a panic.
#[derive(Debug)]
pub(crate) struct End {
    ends: Arc<Ends>,
}

impl End {
    /// Tells the end, and how much was left unfinished.
    pub(crate) fn note(self, unfinished: usize) {
        lock(&self.ends.state).unfinished += unfinished;
    }
}

impl Ends {
    /// Counts a thread until its guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> End {
        lock(&self.state).running += 1;
        End {
            ends: Arc::clone(self),
        }
    }

    /// Waits for all threads to end; whether they did.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let until = Instant::now().checked_add(at_most);
        let mut state = lock(&self.state);
        while state.running > 0 {
            let left = match until {
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3_600),
            };
            if left.is_zero() {
                return false;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// How much all threads that told left unfinished.
    pub(crate) fn unfinished(&self) -> usize {
        lock(&self.state).unfinished
    }
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.ends.state).running -= 1;
        self.ends.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
