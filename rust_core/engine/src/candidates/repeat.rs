//! Items the user chose before.

use super::{HotOrder, ScoreBoard};
use crate::history::{MergedHistory, decay};
use crate::types::{DurationUs, TimeUs};

/// Adds `repeat(i)` for every item of the whole history.
pub fn add_repeats(
    board: &mut ScoreBoard,
    history: MergedHistory,
    order: &HotOrder,
    now: TimeUs,
    half_life_days: f32,
) {
    for (at, &item) in history.items.iter().enumerate() {
        let last_at = TimeUs(history.last_at_us[at]);
        let score = repeat_score(history.counts[at], last_at, now, half_life_days);
        board.add(order.heat_of(item), score);
    }
}

/// `ln(1 + count) · 2^(−(now − last_at) / half_life)`.
pub fn repeat_score(count: u32, last_at: TimeUs, now: TimeUs, half_life_days: f32) -> f32 {
    let age = DurationUs(now.0.saturating_sub(last_at.0));
    (count as f32).ln_1p() * decay(age, half_life_days)
}
