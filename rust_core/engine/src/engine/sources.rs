//! All sources of one request, by one face.

use super::moment::Moment;
use super::prepared::Prepared;
use super::visitor::Visitor;
use crate::candidates::{self, ScoreBoard, TopItems};
use crate::catalogue::Catalogue;
use crate::ranking::{Evidence, Scales};
use crate::snapshot::Snapshot;
use crate::types::{ItemIdx, ItemSet, Source, Taste, TimeUs};

/// All sources of one request.
pub(super) struct Sources<'a> {
    prepared: &'a Prepared,
    pub(super) catalogue: &'a Catalogue,
    pub(super) visitor: Visitor<'a>,
    now: TimeUs,
    boards: &'a mut [ScoreBoard; 3],
}

impl<'a> Sources<'a> {
    /// The sources for a visitor; boards are cleared.
    pub(super) fn new(
        moment: Moment<'a>,
        visitor: Visitor<'a>,
        boards: &'a mut [ScoreBoard; 3],
    ) -> Self {
        let catalogue = &*moment.view.catalogue;
        boards
            .iter_mut()
            .for_each(|board| board.reset(catalogue.len()));
        Self {
            prepared: &moment.view.prepared,
            catalogue,
            visitor,
            now: moment.now,
            boards,
        }
    }

    /// Runs every source of weight above 0; the best `keep` of each become candidates. `within` holds all
    /// items that pass, where these are known to be few.
    pub(super) fn gather(
        &mut self,
        weights: [f32; Source::ALL.len()],
        keep: usize,
        top: &mut TopItems,
        candidates: &mut ItemSet,
        within: Option<&[u32]>,
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
            self.add_up(source);
            match within {
                Some(items) => self.offer_some(source, items, top),
                None => self.offer_all(source, keep, top, &passes),
            }
            for key in top.finish() {
                candidates.insert(key.item());
            }
            scales.maxima[source as usize] = top.score_max();
        }
        scales
    }

    /// Makes the scores of a source that has a board.
    fn add_up(&mut self, source: Source) {
        let Prepared {
            snapshot,
            hot_order,
            hot_neighbours,
            hot_newest,
            ..
        } = self.prepared;
        let Snapshot {
            blend,
            item_neighbours,
            user_neighbours,
            ..
        } = &**snapshot;
        let [item_knn, user_knn, repeat] = &mut *self.boards;
        match source {
            Source::ItemKnn => {
                candidates::add_similar_items(
                    item_knn,
                    self.visitor.tastes,
                    item_neighbours,
                    hot_neighbours,
                );
            }
            Source::UserKnn => {
                if let Some(user) = self.visitor.user {
                    let settings = &blend.user_knn;
                    candidates::add_similar_users(
                        user_knn,
                        user,
                        user_neighbours,
                        hot_newest,
                        settings,
                    );
                }
            }
            Source::Repeat => {
                let (history, now) = (self.visitor.history, self.now);
                let half_life_days = blend.repeat.half_life_days;
                candidates::add_repeats(repeat, history, hot_order, now, half_life_days);
            }
            Source::Popular1d | Source::Popular7d | Source::Popular30d => {}
        }
    }

    /// Offers a source's items that pass.
    fn offer_all(
        &self,
        source: Source,
        keep: usize,
        top: &mut TopItems,
        passes: impl Fn(u32) -> bool,
    ) {
        let popular = |window, top: &mut TopItems| {
            let ranking = self.prepared.snapshot.popular.of(window);
            candidates::top_popular(top, ranking, keep, &passes);
            let extras = self.catalogue.extra_popular().ranking(window);
            candidates::top_popular(top, extras, keep, &passes);
        };
        let order = &self.prepared.hot_order;
        match source {
            Source::ItemKnn => self.boards[0].offer_to(top, order, &passes),
            Source::UserKnn => self.boards[1].offer_to(top, order, &passes),
            Source::Repeat => self.boards[2].offer_to(top, order, &passes),
            Source::Popular1d => popular(0, top),
            Source::Popular7d => popular(1, top),
            Source::Popular30d => popular(2, top),
        }
    }

    /// Offers those of some items, all of which pass, that a source has a score for.
    fn offer_some(&self, source: Source, items: &[u32], top: &mut TopItems) {
        for &item in items {
            let score = self.score(source, item);
            if score > 0.0 {
                top.offer(score, item, |_| true);
            }
        }
    }

    /// Every source's score of an item, normalised.
    pub(super) fn normalised_scores(&self, scales: &Scales, item: u32) -> [f32; Source::ALL.len()] {
        Source::ALL.map(|source| scales.normalised(source, self.score(source, item)))
    }

    /// A source's score of an item, not normalised; 0 where the source did not run.
    #[inline]
    pub(super) fn score(&self, source: Source, item: u32) -> f32 {
        let Prepared {
            popular_scores,
            hot_order,
            ..
        } = self.prepared;
        let popular = |window| {
            let of_snapshot = popular_scores.score(window, item);
            of_snapshot.unwrap_or_else(|| self.catalogue.extra_score(window, item))
        };
        match source {
            Source::ItemKnn => self.boards[0].score(hot_order.heat_of(item)),
            Source::UserKnn => self.boards[1].score(hot_order.heat_of(item)),
            Source::Repeat => self.boards[2].score(hot_order.heat_of(item)),
            Source::Popular1d => popular(0),
            Source::Popular7d => popular(1),
            Source::Popular30d => popular(2),
        }
    }
}

impl Evidence for Sources<'_> {
    fn key_of(&self, item: ItemIdx) -> u32 {
        self.prepared.hot_order.heat_of(item.0)
    }

    fn tastes(&self) -> &[Taste] {
        self.visitor.tastes
    }

    fn neighbours_of(&self, item: ItemIdx) -> (&[u32], &[f32]) {
        let (_, similarities) = self.prepared.snapshot.item_neighbours.of(item.at());
        (self.prepared.hot_neighbours.of(item.at()), similarities)
    }

    fn items_of_similar_users(&self) -> impl Iterator<Item = &[u32]> {
        let snapshot = &self.prepared.snapshot;
        let user = self.visitor.user;
        let neighbours = user.map_or(&[][..], |user| snapshot.user_neighbours.of(user.at()).0);
        let used = neighbours
            .iter()
            .take(snapshot.blend.user_knn.neighbours_max as usize);
        used.map(|&neighbour| self.prepared.hot_newest.of(neighbour as usize))
    }

    fn score_of(&self, source: Source, item: ItemIdx) -> f32 {
        self.score(source, item.0)
    }

    fn choice_of(&self, item: ItemIdx) -> Option<(u32, TimeUs)> {
        let history = &self.visitor.history;
        let at = history.items.iter().position(|&chosen| chosen == item.0)?;
        Some((history.counts[at], TimeUs(history.last_at_us[at])))
    }
}
