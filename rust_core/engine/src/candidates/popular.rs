//! Items that are popular with everybody.

use super::TopItems;
use crate::snapshot::Popular;

/// Popularity by item and window, so that any candidate's score is one load.
#[derive(Debug)]
pub struct PopularScores([Vec<f32>; Popular::WINDOWS_DAYS.len()]);

impl PopularScores {
    /// Spreads the lists over `item_count` items.
    pub fn new(popular: &Popular, item_count: usize) -> Self {
        let mut by_window = [(); Popular::WINDOWS_DAYS.len()].map(|()| vec![0.0; item_count]);
        for (window, scores_of_items) in by_window.iter_mut().enumerate() {
            let (items, scores) = popular.of(window);
            for (&item, &score) in items.iter().zip(scores) {
                scores_of_items[item as usize] = score;
            }
        }
        Self(by_window)
    }

    /// The score of an item of the snapshot in the window at a position of `Popular::WINDOWS_DAYS`; `None` for
    /// other items.
    #[inline]
    pub fn score(&self, window: usize, item: u32) -> Option<f32> {
        self.0[window].get(item as usize).copied()
    }
}

/// Offers the most popular items that pass of a ranking; walks it no further than `keep` of them.
pub fn top_popular(
    top: &mut TopItems,
    (items, scores): (&[u32], &[f32]),
    keep: usize,
    passes: impl Fn(u32) -> bool,
) {
    let passing = items.iter().zip(scores).filter(|&(&item, _)| passes(item));
    for (&item, &score) in passing.take(keep) {
        top.offer(score, item, |_| true);
    }
}
