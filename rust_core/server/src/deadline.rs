//! How long a call may take: the `grpc-timeout` header and the checks against it.

use std::time::{Duration, Instant};

use promosvc_engine::error::{Error, ErrorKind, Result};

/// Reads `grpc-timeout`: 1 to 8 digits and a unit of H, M, S, m, u, n.
pub(crate) fn parse_timeout(value: &[u8]) -> Result<Duration> {
    read(value).ok_or_else(|| {
        let value = String::from_utf8_lossy(value);
        Error::invalid(
            "grpc-timeout",
            "TIMEOUT_MALFORMED",
            format!(
                "grpc-timeout is {value:?}; it must be 1 to 8 digits and one of H, M, S, m, u, n, such as 100m"
            ),
        )
        .with("value", value)
    })
}

fn read(value: &[u8]) -> Option<Duration> {
    let (&unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits
        .iter()
        .fold(0_u64, |amount, digit| amount * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3_600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Refuses to go on after the deadline (`DEADLINE_EXCEEDED`); `stage` says what was not begun.
pub(crate) fn check(deadline: Option<Instant>, stage: &'static str) -> Result<()> {
    match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(passed(stage)),
        _ => Ok(()),
    }
}

/// The deadline passed before `stage`.
pub(crate) fn passed(stage: &'static str) -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        format!("the caller's deadline passed before {stage}"),
    )
    .with("stage", stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        for (text, duration) in [
            ("1H", Duration::from_secs(3_600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("100m", Duration::from_millis(100)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()).expect(text), duration);
        }
        for text in ["", "m", "1", "-1m", "1.5S", "123456789m", "1s", "1 S"] {
            let error = parse_timeout(text.as_bytes()).unwrap_err();
            assert_eq!(error.reason, "TIMEOUT_MALFORMED", "{text}");
        }
    }

    #[test]
    fn a_deadline_that_passed_is_named() {
        check(None, "work").expect("no deadline");
        check(Some(Instant::now() + Duration::from_secs(60)), "work").expect("time left");
        let error = check(Some(Instant::now()), "work").unwrap_err();
        assert_eq!(error.kind, ErrorKind::DeadlineExceeded);
    }
}
