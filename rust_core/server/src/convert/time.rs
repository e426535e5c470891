//! Times on the wire and in the engine.

use promosvc_engine::error::{Error, Result};
use promosvc_engine::types::{DurationUs, TimeUs};
use prost_types::{Duration, Timestamp};

const US_PER_SECOND: i64 = 1_000_000;
/// `google.protobuf.Duration` spans 10,000 years.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;
/// `google.protobuf.Timestamp` goes from year 1 to year 9999.
const TIMESTAMP_SECONDS: (i64, i64) = (-62_135_596_800, 253_402_300_799);

/// A time as a message.
pub(crate) fn timestamp(time: TimeUs) -> Timestamp {
    Timestamp {
        seconds: time.0.div_euclid(US_PER_SECOND),
        nanos: (time.0.rem_euclid(US_PER_SECOND) * 1_000) as i32,
    }
}

/// A message as a time; what is finer than a microsecond is cut off (`TIMESTAMP_INVALID`).
pub(crate) fn time_from(timestamp: &Timestamp, field: &'static str) -> Result<TimeUs> {
    time_of(timestamp).ok_or_else(|| {
        let Timestamp { seconds, nanos } = *timestamp;
        let (first, last) = TIMESTAMP_SECONDS;
        Error::invalid(
            field,
            "TIMESTAMP_INVALID",
            format!(
                "{field} is {seconds} s and {nanos} ns; seconds must be {first} to {last} and nanos 0 to 999999999"
            ),
        )
        .with("seconds", seconds)
        .with("nanos", nanos)
    })
}

/// A message as a time, cut to microseconds; `None` for one that no calendar has.
pub(crate) fn time_of(timestamp: &Timestamp) -> Option<TimeUs> {
    let Timestamp { seconds, nanos } = *timestamp;
    let (first, last) = TIMESTAMP_SECONDS;
    ((first..=last).contains(&seconds) && (0..1_000_000_000).contains(&nanos))
        .then(|| TimeUs(seconds * US_PER_SECOND + i64::from(nanos / 1_000)))
}

/// A message as a length of time that is not negative (`DURATION_INVALID`).
pub(super) fn duration_from(duration: &Duration, field: &'static str) -> Result<DurationUs> {
    let Duration { seconds, nanos } = *duration;
    if !(0..=DURATION_SECONDS_MAX).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return Err(Error::invalid(
            field,
            "DURATION_INVALID",
            format!(
                "{field} is {seconds} s and {nanos} ns; it must be 0 to {DURATION_SECONDS_MAX} s, with nanos 0 to 999999999"
            ),
        )
        .with("seconds", seconds)
        .with("nanos", nanos));
    }
    Ok(DurationUs(
        seconds * US_PER_SECOND + i64::from(nanos / 1_000),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for time in [TimeUs(0), TimeUs(-1), TimeUs(1_514_779_280_000_001)] {
            assert_eq!(time_from(&timestamp(time), "now").expect("a time"), time);
        }
        assert_eq!(
            timestamp(TimeUs(-1)),
            Timestamp {
                seconds: -1,
                nanos: 999_999_000
            }
        );
    }

    #[test]
    fn impossible_times_are_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            let error = time_from(&Timestamp { seconds, nanos }, "now").unwrap_err();
            assert_eq!(
                (error.field.as_str(), error.reason),
                ("now", "TIMESTAMP_INVALID")
            );
            let error = duration_from(&Duration { seconds, nanos }, "window").unwrap_err();
            assert_eq!(error.reason, "DURATION_INVALID");
        }
        let error = duration_from(
            &Duration {
                seconds: -1,
                nanos: 0,
            },
            "window",
        )
        .unwrap_err();
        assert!(error.message.contains("-1 s"), "{error}");
    }
}
