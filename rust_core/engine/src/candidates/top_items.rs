//! The best items of a source: by score descending, ties by item ascending.

use crate::types::RankKey;

/// Keeps the best of what it is offered.
///
/// Takes up to twice what it keeps and then drops what cannot be among the best, which also gives the
/// threshold that most of the later offers fail: O(offers) comparisons, O(log) selections for random
/// order.
#[derive(Debug, Default)]
pub struct TopItems {
    keys: Vec<RankKey>,
    keep: usize,
    threshold: Option<RankKey>,
}

impl TopItems {
    /// Forgets everything; from now on the best `keep` (at least 1) are kept.
    pub fn reset(&mut self, keep: usize) {
        self.keys.clear();
        self.keep = keep.max(1);
        self.threshold = None;
    }

    /// Offers an item with a score above 0; `passes` is asked only if the score is good enough.
    #[inline]
    pub fn offer(&mut self, score: f32, item: u32, passes: impl Fn(u32) -> bool) {
        let key = RankKey::new(score, item);
        if self.threshold.is_none_or(|threshold| key > threshold) && passes(item) {
            self.keys.push(key);
            if self.keys.len() >= 2 * self.keep {
                self.shrink();
            }
        }
    }

    /// A score below this cannot be among the best; always above 0.
    #[inline]
    pub fn score_min(&self) -> f32 {
        self.threshold.map_or(f32::from_bits(1), RankKey::score)
    }

    /// How many are kept at most.
    pub fn keep(&self) -> usize {
        self.keep
    }

    /// How many are kept now, or more.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The best, in no particular order.
    pub fn finish(&mut self) -> &[RankKey] {
        if self.keys.len() > self.keep {
            self.shrink();
        }
        &self.keys
    }

    /// The largest score kept; 0 without any.
    pub fn score_max(&self) -> f32 {
        self.keys.iter().max().map_or(0.0, |key| key.score())
    }

    fn shrink(&mut self) {
        let (_, last, _) = self
            .keys
            .select_nth_unstable_by(self.keep - 1, |a, b| b.cmp(a));
        self.threshold = Some(*last);
        self.keys.truncate(self.keep);
    }
}
