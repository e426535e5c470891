//! The order of a ranking as one number.

/// Score and item in one number that orders as the ranking does: a larger key is better.
///
/// Scores are at least 0; then the bits of an f32 order as the number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RankKey(u64);

impl RankKey {
    /// The key of an item with a score of at least 0.
    pub fn new(score: f32, item: u32) -> Self {
        Self(u64::from(score.to_bits()) << 32 | u64::from(!item))
    }

    /// The score.
    pub fn score(self) -> f32 {
        f32::from_bits((self.0 >> 32) as u32)
    }

    /// The item.
    pub fn item(self) -> u32 {
        !(self.0 as u32)
    }
}
