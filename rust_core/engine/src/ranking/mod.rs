//! Ranking.

mod reason;

pub use reason::{Basis, Reason};

use crate::types::ItemIdx;

/// One item of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedItem {
    /// The item.
    pub item: ItemIdx,
    /// Blended score before diversity.
    pub score: f32,
    /// Contributions that add up to the score within 1e-4, largest first; empty unless asked for.
    pub reasons: Vec<Reason>,
}
