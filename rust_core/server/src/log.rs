//! Log lines: JSON objects on standard error, one for each thing that an operator must know.
//!
//! Nothing is written for a call that went well, and no line ever names a user.

use std::io::Write;

use serde_json::{Map, Value};

use crate::clock::machine_now;

/// How much an operator should care.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// Writes one line. A log that cannot be written is no reason to fail.
pub(crate) fn line(level: Level, event: &str, values: &[(&str, &dyn std::fmt::Display)]) {
    let mut object = Map::new();
    object.insert("at_us".to_owned(), Value::from(machine_now().0));
    object.insert(
        "level".to_owned(),
        Value::from(match level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }),
    );
    object.insert("event".to_owned(), Value::from(event));
    for (name, value) in values {
        object.insert((*name).to_owned(), Value::from(value.to_string()));
    }
    let mut text = Value::Object(object).to_string();
    text.push('\n');
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
