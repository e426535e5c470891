//! Which items of the user's own history are hidden.

use serde::Deserialize;

use crate::snapshot::UserEvents;
use crate::types::{DurationUs, ItemSet, TimeUs};

/// Which items of the user's own history are hidden.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenRule {
    /// Whether seen items are hidden at all.
    pub hide_seen: bool,
    /// Event names that make an item seen.
    pub event_names: Vec<String>,
    /// Only events younger than this hide an item; `None` means of any age.
    #[serde(rename = "window_days", deserialize_with = "window_from_days")]
    pub window: Option<DurationUs>,
}

fn window_from_days<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DurationUs>, D::Error> {
    let days = i64::deserialize(deserializer)?;
    if days < 0 {
        return Err(serde::de::Error::custom(format!(
            "window_days is {days}; it must be 0 (of any age) or more"
        )));
    }
    Ok((days > 0).then(|| DurationUs::from_days(days)))
}

/// A seen rule for one request: which events of which age make an item seen.
#[derive(Clone, Debug)]
pub struct SeenEvents {
    /// For each name of the history.
    is_seen: Vec<bool>,
    /// Events after this hide an item.
    after: Option<TimeUs>,
}

impl SeenEvents {
    /// Resolves event names against those of a history; names that it does not know hide nothing.
    pub fn new(
        history_events: &[String],
        names: &[&str],
        window: Option<DurationUs>,
        now: TimeUs,
    ) -> Self {
        Self {
            is_seen: history_events
                .iter()
                .map(|event| names.contains(&event.as_str()))
                .collect(),
            after: window.map(|window| now.before(window)),
        }
    }

    /// Whether an event of a history hides its item.
    #[inline]
    pub fn hides(&self, event: u8, at: TimeUs) -> bool {
        let is_young = self.after.is_none_or(|after| at > after);
        is_young && self.is_seen.get(usize::from(event)) == Some(&true)
    }

    /// Blocks what the user has seen.
    pub fn block(&self, events: UserEvents, blocked: &mut ItemSet) {
        let UserEvents {
            items,
            events,
            last_at_us,
            counts: _,
        } = events;
        for ((&item, &event), &last_at) in items.iter().zip(events).zip(last_at_us) {
            if self.hides(event, TimeUs(last_at)) {
                blocked.insert(item);
            }
        }
    }
}
