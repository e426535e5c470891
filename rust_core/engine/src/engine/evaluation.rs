//! What evaluation may ask of the served engine that a request may not.

use crate::error::{Error, Result};
use crate::snapshot::SourceWeights;
use crate::types::{ItemIdx, Source};

/// Selects sources and weights, for evaluation and for learning the weights. The default changes nothing:
/// the served decision.
///
/// As soon as a source or a weight is set, nothing but these sources gives items: no popular items for
/// users without a history, no filling up of a short page; so that a figure is the source's own.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationOptions {
    /// Only these; empty means those of the placement.
    pub sources: Vec<Source>,
    /// Instead of the snapshot's weights. Without weights, sources whose snapshot weights are all 0
    /// count 1 each.
    pub weights: Option<SourceWeights>,
    /// Candidates of each source, at least 1.
    pub candidates_max: usize,
}

/// Candidates of each source in serving.
pub(super) const CANDIDATES_MAX: usize = 200;

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            weights: None,
            candidates_max: CANDIDATES_MAX,
        }
    }
}

impl EvaluationOptions {
    /// Refuses weights that cannot weigh.
    pub(super) fn check(&self) -> Result<()> {
        if self.candidates_max == 0 {
            return Err(Error::invalid(
                "candidates",
                "CANDIDATES_INVALID",
                "candidates is 0; the minimum is 1",
            ));
        }
        let SourceWeights(weights) = self.weights.unwrap_or_default();
        for (source, weight) in Source::ALL.into_iter().zip(weights) {
            if !(weight.is_finite() && weight >= 0.0) {
                let message = format!("it is {weight}; it must be finite and not negative");
                return Err(Error::invalid(
                    format!("weights.{}", source.name()),
                    "WEIGHT_INVALID",
                    message,
                )
                .with("value", weight));
            }
        }
        Ok(())
    }
}

/// One candidate with what each source says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredCandidate {
    /// The item.
    pub item: ItemIdx,
    /// Normalised scores in the order of `Source::ALL`; 0 for sources that take no part.
    pub scores: [f32; 6],
}
