//! Which items of the user's own history are hidden.

use serde::Deserialize;

use crate::types::DurationUs;

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
