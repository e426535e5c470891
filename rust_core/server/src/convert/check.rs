//! The limits of requests, each refused by path, value and limit.

use promosvc_engine::decision::ID_BYTES_MAX;
use promosvc_engine::error::{Error, Result};

/// A text that names something: at most 128 UTF-8 bytes (`ID_TOO_LONG`).
pub(super) fn name(text: &str, field: impl FnOnce() -> String) -> Result<&str> {
    if text.len() <= ID_BYTES_MAX {
        return Ok(text);
    }
    let field = field();
    Err(Error::invalid(
        field.clone(),
        "ID_TOO_LONG",
        format!(
            "{field} is {} bytes; the maximum is {ID_BYTES_MAX}",
            text.len()
        ),
    )
    .with("value", text.len())
    .with("limit", ID_BYTES_MAX))
}

/// An id: 1 to 128 UTF-8 bytes (`ID_EMPTY`, `ID_TOO_LONG`).
pub(super) fn id(text: &str, field: impl FnOnce() -> String) -> Result<&str> {
    if text.is_empty() {
        let field = field();
        return Err(Error::invalid(
            field.clone(),
            "ID_EMPTY",
            format!("{field} is empty; it must have 1 to {ID_BYTES_MAX} bytes"),
        )
        .with("limit", ID_BYTES_MAX));
    }
    name(text, field)
}

/// Each text of a list, where at most `max` are allowed (`LIST_TOO_LONG`).
pub(super) fn list<'a>(
    texts: &'a [String],
    field: &str,
    max: usize,
    check: impl Fn(&'a str, &dyn Fn() -> String) -> Result<&'a str>,
) -> Result<Vec<&'a str>> {
    length(texts.len(), field, max)?;
    texts
        .iter()
        .enumerate()
        .map(|(at, text)| check(text, &|| format!("{field}[{at}]")))
        .collect()
}

/// The length of a list (`LIST_TOO_LONG`).
pub(super) fn length(length: usize, field: &str, max: usize) -> Result<()> {
    if length <= max {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        "LIST_TOO_LONG",
        format!("{field} has {length} entries; the maximum is {max}"),
    )
    .with("value", length)
    .with("limit", max))
}

/// A number from `min` to `max`.
pub(super) fn number(
    value: i64,
    field: impl FnOnce() -> String,
    (min, max): (i64, i64),
    reason: &'static str,
) -> Result<i64> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let field = field();
    let (limit, sentence) = if value < min {
        (min, format!("{field} is {value}; the minimum is {min}"))
    } else {
        (max, format!("{field} is {value}; the maximum is {max}"))
    };
    Err(Error::invalid(field, reason, sentence)
        .with("value", value)
        .with("limit", limit))
}
