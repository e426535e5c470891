//! The blend of one request.

use crate::types::Source;

/// Weight and largest score of each source, in the order of `Source::ALL`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// 0 for a source that takes no part.
    pub weights: [f32; Source::ALL.len()],
    /// The largest score over the items that passed; 0 for a source without any.
    pub maxima: [f32; Source::ALL.len()],
}

impl Scales {
    /// A source's score in 0..1.
    pub fn normalised(&self, source: Source, score: f32) -> f32 {
        let largest = self.maxima[source as usize];
        if largest > 0.0 { score / largest } else { 0.0 }
    }

    /// What a source's score adds to an item's.
    pub fn contribution(&self, source: Source, score: f32) -> f32 {
        self.weights[source as usize] * self.normalised(source, score)
    }

    /// An item's score; asks for the scores of sources that take part.
    #[inline]
    pub fn score(&self, score_of: impl Fn(Source) -> f32) -> f32 {
        // Another source would add exactly 0.
        let has_part = |&source: &Source| self.maxima[source as usize] > 0.0;
        let add = |sum, source: Source| sum + self.contribution(source, score_of(source));
        Source::ALL.into_iter().filter(has_part).fold(0.0, add)
    }
}
