//! Checks a list of (index, score) that must be a ranking.
//!
//! Used for neighbours and popular items. A stamp for each index finds repetitions without sorting: one
//! write and one read for each entry.

/// Largest score: keeps sums of f32 far from infinity.
const SCORE_MAX: f32 = 1e24;

/// Stamps for the indices `0..count`.
pub(super) struct RankingCheck {
    stamps: Vec<u32>,
    stamp: u32,
}

impl RankingCheck {
    pub(super) fn new(count: usize) -> Self {
        Self {
            stamps: vec![0; count],
            stamp: 0,
        }
    }

    /// What is wrong with a list, if anything: indices in range and unique; scores finite, > 0 and
    /// descending, equal ones by index.
    pub(super) fn first_fault(&mut self, indices: &[u32], scores: &[f32]) -> Option<String> {
        // Rows are fewer than 2^32: their offsets are 32-bit.
        self.stamp += 1;
        let mut last: Option<(f32, u32)> = None;
        for (&index, &score) in indices.iter().zip(scores) {
            let Some(stamp) = self.stamps.get_mut(index as usize) else {
                return Some(format!(
                    "index {index} is out of range; there are {}",
                    self.stamps.len()
                ));
            };
            if *stamp == self.stamp {
                return Some(format!("index {index} is repeated"));
            }
            *stamp = self.stamp;
            if !(score > 0.0 && score <= SCORE_MAX) {
                return Some(format!(
                    "score {score} is not above 0 and at most {SCORE_MAX}"
                ));
            }
            if last.is_some_and(|(before, at)| score > before || (score == before && index < at)) {
                return Some(format!("index {index} is not in order"));
            }
            last = Some((score, index));
        }
        None
    }
}
