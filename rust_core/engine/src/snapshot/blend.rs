//! `blend.json`: how sources are weighed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::types::Source;

pub(super) const FILE: &str = "blend.json";
/// Longest history, most neighbours and so on: bounds what one request may cost.
const LENGTH_MAX: u32 = 10_000;
/// Largest weight of a source: keeps a score's parts adding up to it within 1e-4.
const SOURCE_WEIGHT_MAX: f32 = 10.0;
/// Largest weight of an event: keeps sums of f32 far from infinity.
const EVENT_WEIGHT_MAX: f32 = 1e6;

/// How sources are weighed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// Settings of similar items.
    pub item_knn: ItemKnnBlend,
    /// Settings of similar users.
    pub user_knn: UserKnnBlend,
    /// Settings of earlier choices.
    pub repeat: RepeatBlend,
    /// Weights of the sources.
    weights: WeightsByCase,
    /// How much one event says; an event that is not named says nothing.
    pub event_weights: BTreeMap<String, f32>,
}

/// Settings of similar items.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemKnnBlend {
    /// Newest history items that are used.
    pub history_max: u32,
    /// Age at which an item counts half.
    pub history_half_life_days: f32,
}

/// Settings of similar users.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserKnnBlend {
    /// Neighbours that are used.
    pub neighbours_max: u32,
    /// Newest history items of a neighbour that are used.
    pub history_max: u32,
}

/// Settings of earlier choices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatBlend {
    /// Age at which a choice counts half.
    pub half_life_days: f32,
}

/// A weight for each source, in the order of `Source::ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Default, Deserialize)]
#[serde(from = "NamedWeights")]
pub struct SourceWeights(pub [f32; 6]);

impl SourceWeights {
    /// The weight of a source.
    pub fn of(&self, source: Source) -> f32 {
        self.0[source as usize]
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsByCase {
    unseen: SourceWeights,
    repeats: SourceWeights,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedWeights {
    item_knn: f32,
    user_knn: f32,
    repeat: f32,
    popular_1d: f32,
    popular_7d: f32,
    popular_30d: f32,
}

impl From<NamedWeights> for SourceWeights {
    fn from(named: NamedWeights) -> Self {
        let NamedWeights {
            item_knn,
            user_knn,
            repeat,
            popular_1d,
            popular_7d,
            popular_30d,
        } = named;
        Self([
            item_knn,
            user_knn,
            repeat,
            popular_1d,
            popular_7d,
            popular_30d,
        ])
    }
}

impl Blend {
    /// The weights for a decision that hides seen items, or does not.
    pub fn weights(&self, hide_seen: bool) -> &SourceWeights {
        if hide_seen {
            &self.weights.unseen
        } else {
            &self.weights.repeats
        }
    }
}

/// Parses and checks the blend.
pub(super) fn parse(bytes: &[u8]) -> Result<Blend> {
    let blend: Blend = serde_json::from_slice(bytes)
        .map_err(|error| Error::data_loss(FILE, "BLEND_INVALID", error))?;
    let Blend {
        item_knn,
        user_knn,
        repeat,
        weights,
        event_weights,
    } = &blend;
    for (name, length) in [
        ("item_knn.history_max", item_knn.history_max),
        ("user_knn.neighbours_max", user_knn.neighbours_max),
        ("user_knn.history_max", user_knn.history_max),
    ] {
        if length > LENGTH_MAX {
            return Err(invalid(format!(
                "{name} is {length}; the maximum is {LENGTH_MAX}"
            )));
        }
    }
    for (name, days) in [
        (
            "item_knn.history_half_life_days",
            item_knn.history_half_life_days,
        ),
        ("repeat.half_life_days", repeat.half_life_days),
    ] {
        if !(days.is_finite() && days > 0.0) {
            return Err(invalid(format!(
                "{name} is {days}; it must be finite and above 0"
            )));
        }
    }
    let cases = [("unseen", &weights.unseen), ("repeats", &weights.repeats)];
    for (case, weights) in cases {
        for source in Source::ALL {
            check_weight(
                &format!("weights.{case}.{}", source.name()),
                weights.of(source),
                SOURCE_WEIGHT_MAX,
            )?;
        }
    }
    for (event, &weight) in event_weights {
        check_weight(&format!("event_weights.{event}"), weight, EVENT_WEIGHT_MAX)?;
    }
    Ok(blend)
}

fn check_weight(name: &str, weight: f32, largest: f32) -> Result<()> {
    if weight.is_finite() && (0.0..=largest).contains(&weight) {
        Ok(())
    } else {
        Err(invalid(format!(
            "{name} is {weight}; it must be 0 to {largest}"
        )))
    }
}

fn invalid(what: String) -> Error {
    Error::data_loss(FILE, "BLEND_INVALID", what)
}
