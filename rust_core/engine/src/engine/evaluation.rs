//! What evaluation may ask of the served engine that a request may not.

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

/// One candidate with what each source says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredCandidate {
    /// The item.
    pub item: ItemIdx,
    /// Normalised scores in the order of `Source::ALL`; 0 for sources that take no part.
    pub scores: [f32; 6],
}
