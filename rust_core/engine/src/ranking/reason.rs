//! Why an item is in the answer: parts of its score, and what each rests on.

use crate::types::{ItemIdx, TimeUs};

/// What a part of a score rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// Similar to an item of the history or the cart.
    BecauseOfItem {
        /// That item.
        item: ItemIdx,
        /// How similar.
        similarity: f32,
        /// Whether it lies in the cart.
        is_in_cart: bool,
    },
    /// Chosen by similar users.
    SimilarUsers {
        /// How many of the neighbours chose it.
        user_count: u32,
    },
    /// Popular in a window.
    PopularItem {
        /// Length of the window.
        window_days: u32,
    },
    /// The user's own earlier choice.
    ChosenBefore {
        /// How often.
        event_count: u32,
        /// When last.
        last_event_at: TimeUs,
    },
    /// History items that are not named one by one.
    OtherHistory {
        /// How many.
        item_count: u32,
    },
}

/// One part of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    /// What it adds.
    pub contribution: f32,
    /// What it rests on.
    pub basis: Basis,
}

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
