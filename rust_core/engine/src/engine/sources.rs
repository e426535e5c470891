//! All sources of one request, by one face.

use super::prepared::Prepared;
use super::visitor::Visitor;
use crate::candidates::{self, ScoreBoard, TopItems};
use crate::ranking::Scales;
use crate::snapshot::Snapshot;
use crate::types::{ItemSet, Source, Taste, TimeUs, UserIdx};

/// All sources of one request.
pub(super) struct Sources<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) visitor: Visitor<'a>,
    pub(super) now: TimeUs,
    pub(super) tastes: &'a [Taste],
    pub(super) boards: &'a mut [ScoreBoard; 3],
}

impl Sources<'_> {
    /// Runs every source of weight above 0; the best `keep` of each become candidates.
    pub(super) fn gather(
        &mut self,
        weights: [f32; Source::ALL.len()],
        keep: usize,
        top: &mut TopItems,
        candidates: &mut ItemSet,
        passes: impl Fn(u32) -> bool,
    ) -> Scales {
        let mut scales = Scales {
            weights,
            maxima: [0.0; Source::ALL.len()],
        };
        for source in Source::ALL
            .into_iter()
            .filter(|&source| weights[source as usize] > 0.0)
        {
            top.reset(keep);
            self.run(source, keep, top, &passes);
            for key in top.finish() {
                candidates.insert(key.item());
            }
            scales.maxima[source as usize] = top.score_max();
        }
        scales
    }

    /// Makes a source's scores and offers its best `keep` that pass.
    fn run(
        &mut self,
        source: Source,
        keep: usize,
        top: &mut TopItems,
        passes: impl Fn(u32) -> bool,
    ) {
        let Snapshot {
            blend,
            item_neighbours,
            user_neighbours,
            popular,
            ..
        } = &*self.prepared.snapshot;
        let [item_knn, user_knn, repeat] = &mut *self.boards;
        match source {
            Source::ItemKnn => {
                candidates::add_similar_items(item_knn, self.tastes, item_neighbours);
                item_knn.offer_to(top, passes);
            }
            Source::UserKnn => {
                if let Some(user) = self.visitor.user {
                    let histories = &self.prepared.histories;
                    let settings = &blend.user_knn;
                    candidates::add_similar_users(
                        user_knn,
                        user,
                        user_neighbours,
                        histories,
                        settings,
                    );
                }
                user_knn.offer_to(top, passes);
            }
            Source::Repeat => {
                let half_life_days = blend.repeat.half_life_days;
                candidates::add_repeats(repeat, self.visitor.history, self.now, half_life_days);
                repeat.offer_to(top, passes);
            }
            Source::Popular1d => candidates::top_popular(top, popular, 0, keep, passes),
            Source::Popular7d => candidates::top_popular(top, popular, 1, keep, passes),
            Source::Popular30d => candidates::top_popular(top, popular, 2, keep, passes),
        }
    }

    /// Every source's score of an item, not normalised; 0 where a source did not run.
    pub(super) fn scores(&self, item: u32) -> [f32; Source::ALL.len()] {
        let popular = &self.prepared.popular_scores;
        let [item_knn, user_knn, repeat] = &*self.boards;
        [
            item_knn.score(item),
            user_knn.score(item),
            repeat.score(item),
            popular.score(0, item),
            popular.score(1, item),
            popular.score(2, item),
        ]
    }

    /// Adds every item that passes and has a score from a source of weight above 0.
    pub(super) fn add_all(
        &self,
        weights: &[f32; 6],
        into: &mut ItemSet,
        passes: impl Fn(u32) -> bool,
    ) {
        for source in Source::ALL
            .into_iter()
            .filter(|&source| weights[source as usize] > 0.0)
        {
            let items = match source {
                Source::ItemKnn => self.boards[0].touched(),
                Source::UserKnn => self.boards[1].touched(),
                Source::Repeat => self.boards[2].touched(),
                Source::Popular1d => self.popular_items(0),
                Source::Popular7d => self.popular_items(1),
                Source::Popular30d => self.popular_items(2),
            };
            for &item in items.iter().filter(|&&item| passes(item)) {
                into.insert(item);
            }
        }
    }

    fn popular_items(&self, window: usize) -> &[u32] {
        self.prepared.snapshot.popular.of(window).0
    }

    /// For each similar user the items that counted; none when that source takes no part.
    pub(super) fn items_of_similar_users(&self, takes_part: bool) -> Vec<&[u32]> {
        let Some(user) = self.visitor.user.filter(|_| takes_part) else {
            return Vec::new();
        };
        let snapshot = &self.prepared.snapshot;
        let settings = &snapshot.blend.user_knn;
        let (neighbours, _) = snapshot.user_neighbours.of(user.at());
        let newest = |&neighbour: &u32| {
            let items = self.prepared.histories.of(UserIdx(neighbour)).items;
            &items[..items.len().min(settings.history_max as usize)]
        };
        neighbours
            .iter()
            .take(settings.neighbours_max as usize)
            .map(newest)
            .collect()
    }
}
