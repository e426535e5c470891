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
    sieve: Sieve,
}

/// Memory of `ScoreBoard::offer_to`, kept here because one `TopItems` serves all boards of a thread.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    pub(super) good_blocks: Vec<u32>,
    /// Heat and score.
    pub(super) good_scores: Vec<(u32, f32)>,
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

    pub(super) fn take_sieve(&mut self) -> Sieve {
        std::mem::take(&mut self.sieve)
    }

    pub(super) fn return_sieve(&mut self, sieve: Sieve) {
        self.sieve = sieve;
    }

    fn shrink(&mut self) {
        let (_, last, _) = self
            .keys
            .select_nth_unstable_by(self.keep - 1, |a, b| b.cmp(a));
        self.threshold = Some(*last);
        self.keys.truncate(self.keep);
    }
}
