//! A snapshot and what is derived from it once, so that no request has to.

use std::sync::Arc;

use super::translation::Translation;
use crate::candidates::{HotLists, HotOrder, PopularScores};
use crate::history::MergedHistories;
use crate::snapshot::Snapshot;
use crate::types::UserIdx;

/// A snapshot, ready to decide on.
pub(super) struct Prepared {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) histories: MergedHistories,
    pub(super) popular_scores: PopularScores,
    pub(super) hot_order: HotOrder,
    /// Neighbours of each item, by heat.
    pub(super) hot_neighbours: HotLists,
    /// The newest items of each user that count for similar users, by heat.
    pub(super) hot_newest: HotLists,
    /// Weight of each event name of live state.
    pub(super) live_weights: Vec<f32>,
    pub(super) translation: Translation,
    /// Log positions of live events that the snapshot holds by another way, ascending.
    pub(super) doubled: Vec<u64>,
}

impl Prepared {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        doubled: Vec<u64>,
        live_event_names: &[String],
    ) -> Self {
        let histories = MergedHistories::new(&snapshot);
        let (items, users) = (snapshot.items.len(), snapshot.users.len());
        let hot_order = HotOrder::new(&snapshot.item_neighbours, &histories, users);
        let neighbours = (0..items).map(|row| snapshot.item_neighbours.of(row).0);
        let newest_max = snapshot.blend.user_knn.history_max as usize;
        let newest = |user| {
            let items = histories.of(UserIdx(user)).items;
            &items[..items.len().min(newest_max)]
        };
        let weight_of = |name| snapshot.blend.event_weights.get(name).copied();
        let live_weights = live_event_names.iter().map(weight_of);
        Self {
            live_weights: live_weights.map(Option::unwrap_or_default).collect(),
            translation: Translation::default(),
            doubled,
            hot_neighbours: HotLists::new(neighbours, &hot_order),
            hot_newest: HotLists::new((0..users as u32).map(newest), &hot_order),
            hot_order,
            histories,
            popular_scores: PopularScores::new(&snapshot.popular, items),
            snapshot,
        }
    }
}
