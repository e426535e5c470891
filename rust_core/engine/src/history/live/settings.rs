//! What live state folds and how much of it.

use crate::error::{Error, Result};

/// Event names are told apart by one byte.
const EVENT_NAMES_MAX: usize = 255;

/// What is folded, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    /// Names of the events that are folded; at most 255, each once. Events of other names only move the position.
    pub event_names: Vec<String>,
    /// Memory of everything: six eighths for users and their events, one for items, one for catalogue facts.
    pub bytes_max: u64,
    /// The newest events kept of a user, by position.
    pub events_per_user_max: usize,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            event_names: Vec::new(),
            bytes_max: 512 << 20,
            events_per_user_max: 1000,
        }
    }
}

impl LiveSettings {
    pub(super) fn check(&self) -> Result<()> {
        let count = self.event_names.len();
        if count > EVENT_NAMES_MAX {
            return Err(Error::invalid(
                "event_names",
                "TOO_MANY_EVENT_NAMES",
                format!("event_names has {count} names; the maximum is {EVENT_NAMES_MAX}"),
            )
            .with("value", count)
            .with("limit", EVENT_NAMES_MAX));
        }
        for (at, name) in self.event_names.iter().enumerate() {
            if name.is_empty() || self.event_names[..at].contains(name) {
                return Err(Error::invalid(
                    format!("event_names[{at}]"),
                    "INVALID_EVENT_NAME",
                    format!(
                        "event_names[{at}] is \"{name}\"; each name stands once and is not empty"
                    ),
                )
                .with("value", name));
            }
        }
        if self.events_per_user_max == 0 {
            return Err(Error::invalid(
                "events_per_user_max",
                "INVALID_EVENTS_PER_USER_MAX",
                "events_per_user_max is 0; the minimum is 1",
            )
            .with("value", 0));
        }
        Ok(())
    }

    /// The part of the memory that users have.
    pub(super) fn user_bytes_max(&self) -> u64 {
        self.bytes_max / 8 * 6
    }

    /// The part of the memory that items have.
    pub(super) fn item_bytes_max(&self) -> u64 {
        self.bytes_max / 8
    }

    /// The part of the memory that catalogue facts have.
    pub(super) fn catalogue_bytes_max(&self) -> u64 {
        self.bytes_max / 8
    }
}
