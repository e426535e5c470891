//! The limits of requests, each refused by path, value and limit.

use promosvc_engine::decision::ID_BYTES_MAX;
use promosvc_engine::error::{Error, Result};

/// A text that names something: at most 128 UTF-8 bytes (`ID_TOO_LONG`).
pub(crate) fn name(text: &str, field: impl FnOnce() -> String) -> Result<&str> {
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
pub(crate) fn id(text: &str, field: impl FnOnce() -> String) -> Result<&str> {
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
pub(crate) fn list<'a>(
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
pub(crate) fn length(length: usize, field: &str, max: usize) -> Result<()> {
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

/// That a list has entries at all (`LIST_EMPTY`).
pub(crate) fn not_empty(length: usize, field: &'static str, max: usize) -> Result<()> {
    if length > 0 {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        "LIST_EMPTY",
        format!("{field} is empty; it must have 1 to {max} entries"),
    )
    .with("value", 0)
    .with("limit", max))
}

/// A text for people or machines: at most `max` UTF-8 bytes (`TEXT_TOO_LONG`).
pub(crate) fn text(text: &str, field: impl FnOnce() -> String, max: usize) -> Result<&str> {
    if text.len() <= max {
        return Ok(text);
    }
    let field = field();
    Err(Error::invalid(
        field.clone(),
        "TEXT_TOO_LONG",
        format!("{field} is {} bytes; the maximum is {max}", text.len()),
    )
    .with("value", text.len())
    .with("limit", max))
}

/// A number from `min` to `max`.
pub(crate) fn number(
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
