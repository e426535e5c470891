//! Items that the log knows and the snapshot does not yet.
//!
//! Nobody can be similar to them, so a popular prior alone ranks them: the mean score of the snapshot's items of
//! their category, window by window; of all its items where it has none of the category. Items without a score count
//! as 0. Sums are f32 and run by item.

use std::sync::Arc;

use super::groups::GroupColumn;
use crate::snapshot::{Popular, Snapshot};
use crate::types::RankKey;

/// Windows of popularity.
const WINDOWS: usize = Popular::WINDOWS_DAYS.len();

/// Mean popular scores of a snapshot.
#[derive(Debug)]
pub struct PopularMeans {
    /// Over all items; 0 without any.
    of_all: [f32; WINDOWS],
    /// Of each category that has items.
    of_category: Vec<Option<[f32; WINDOWS]>>,
}

/// Popular scores of extras, by their number.
#[derive(Debug, Default)]
pub struct ExtraPopular {
    scores: [Vec<f32>; WINDOWS],
    /// Item indices and scores above 0, best first.
    rankings: [(Vec<u32>, Vec<f32>); WINDOWS],
}

impl PopularMeans {
    /// The means of a snapshot, whose items are grouped by `categories`.
    pub(super) fn new(snapshot: &Snapshot, categories: &GroupColumn) -> Self {
        let item_count = snapshot.items.len();
        let mut of_category = vec![[0.0; WINDOWS]; categories.len()];
        let mut of_all = [0.0; WINDOWS];
        let mut scores = vec![0.0; item_count];
        for window in 0..WINDOWS {
            scores.fill(0.0);
            let (items, found) = snapshot.popular.of(window);
            for (&item, &score) in items.iter().zip(found) {
                scores[item as usize] = score;
            }
            for (item, &score) in (0..).zip(&scores) {
                of_all[window] += score;
                if let Some(group) = categories.of(item) {
                    of_category[group as usize][window] += score;
                }
            }
        }
        let mean = |sums: [f32; WINDOWS], count: usize| {
            (count > 0).then(|| sums.map(|sum| sum / count as f32))
        };
        let mean_of = |(group, sums)| mean(sums, categories.members(group).len());
        Self {
            of_all: mean(of_all, item_count).unwrap_or_default(),
            of_category: (0..).zip(of_category).map(mean_of).collect(),
        }
    }

    /// The prior of an item of a category, which may be new.
    fn of(&self, category: Option<u32>) -> [f32; WINDOWS] {
        let found = category.and_then(|group| *self.of_category.get(group as usize)?);
        found.unwrap_or(self.of_all)
    }
}

impl ExtraPopular {
    /// Priors of the items from `first` to the last of `categories`.
    pub(super) fn new(
        means: &PopularMeans,
        categories: &GroupColumn,
        items: std::ops::Range<u32>,
    ) -> Self {
        let mut popular = Self::default();
        for item in items.clone() {
            for (scores, prior) in popular.scores.iter_mut().zip(means.of(categories.of(item))) {
                scores.push(prior);
            }
        }
        for (scores, ranking) in popular.scores.iter().zip(&mut popular.rankings) {
            let scored = items.clone().zip(scores).filter(|&(_, &score)| score > 0.0);
            let mut keys: Vec<RankKey> = scored
                .map(|(item, &score)| RankKey::new(score, item))
                .collect();
            keys.sort_unstable_by(|a, b| b.cmp(a));
            *ranking = keys.iter().map(|key| (key.item(), key.score())).unzip();
        }
        popular
    }

    /// The score of the k-th extra in the window at a position of `Popular::WINDOWS_DAYS`; 0 if it has none.
    pub fn score(&self, window: usize, extra: usize) -> f32 {
        self.scores[window].get(extra).copied().unwrap_or(0.0)
    }

    /// Items and scores above 0 in a window, by score descending, then item ascending.
    pub fn ranking(&self, window: usize) -> (&[u32], &[f32]) {
        let (items, scores) = &self.rankings[window];
        (items, scores)
    }
}

/// Ids of the extras, ascending.
#[derive(Clone, Debug, Default)]
pub(super) struct ExtraIds(pub(super) Vec<Arc<str>>);

impl ExtraIds {
    /// The number of an extra.
    pub(super) fn find(&self, item_id: &str) -> Option<usize> {
        self.0.binary_search_by(|known| (**known).cmp(item_id)).ok()
    }
}
