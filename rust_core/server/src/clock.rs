//! The one clock: `now` for every decision.
//!
//! An offset clock is the machine's plus a fixed offset, so that data that end years ago can be served as
//! if it were then. A manual clock stands still until `SetClock` moves it, never backwards.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::TimeUs;

use crate::config::{ClockConfig, ClockMode};

/// The clock of one door.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    offset_us: i64,
    manual_now_us: AtomicI64,
}

impl Clock {
    /// A clock as configured.
    pub(crate) fn new(config: ClockConfig) -> Self {
        let ClockConfig {
            mode,
            offset_us,
            manual_now_us,
        } = config;
        Self {
            mode,
            offset_us,
            manual_now_us: AtomicI64::new(manual_now_us),
        }
    }

    /// The time that decisions are made for.
    pub(crate) fn now(&self) -> TimeUs {
        match self.mode {
            ClockMode::Offset => TimeUs(machine_now().0.saturating_add(self.offset_us)),
            ClockMode::Manual => TimeUs(self.manual_now_us.load(Ordering::Acquire)),
        }
    }

    /// What moves it.
    pub(crate) fn mode(&self) -> ClockMode {
        self.mode
    }

    /// Clock minus the machine's time; 0 for a manual clock.
    pub(crate) fn offset_us(&self) -> i64 {
        match self.mode {
            ClockMode::Offset => self.offset_us,
            ClockMode::Manual => 0,
        }
    }

    /// Moves a manual clock forward (or nowhere). `CLOCK_NOT_MANUAL`, `CLOCK_BACKWARDS`.
    pub(crate) fn set(&self, now: TimeUs) -> Result<()> {
        if self.mode != ClockMode::Manual {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                "CLOCK_NOT_MANUAL",
                "the clock runs by itself; only a server with clock.start = \"manual\" can be moved",
            ));
        }
        let before = self.manual_now_us.fetch_max(now.0, Ordering::AcqRel);
        if now.0 < before {
            return Err(Error::invalid(
                "now",
                "CLOCK_BACKWARDS",
                format!(
                    "now is {} us; the clock already stands at {before} us",
                    now.0
                ),
            )
            .with("value", now.0)
            .with("limit", before));
        }
        Ok(())
    }
}

/// The machine's own time.
pub(crate) fn machine_now() -> TimeUs {
    TimeUs(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_forward_only() {
        let clock = Clock::new(ClockConfig {
            mode: ClockMode::Manual,
            offset_us: 99,
            manual_now_us: 10,
        });
        assert_eq!((clock.now(), clock.offset_us()), (TimeUs(10), 0));
        clock.set(TimeUs(20)).expect("forward");
        clock.set(TimeUs(20)).expect("nowhere");
        let error = clock.set(TimeUs(19)).unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::InvalidArgument, "CLOCK_BACKWARDS")
        );
        assert_eq!(clock.now(), TimeUs(20));
    }

    #[test]
    fn an_offset_clock_follows_the_machine() {
        let clock = Clock::new(ClockConfig {
            mode: ClockMode::Offset,
            offset_us: -1_000_000,
            manual_now_us: 0,
        });
        let before = machine_now();
        let now = clock.now();
        assert!(now.0 >= before.0 - 1_000_000 && now.0 <= machine_now().0 - 1_000_000);
        let error = clock.set(TimeUs(0)).unwrap_err();
        assert_eq!(error.reason, "CLOCK_NOT_MANUAL");
    }
}
