//! A snapshot and what is derived from it once, so that no request has to.

use std::sync::Arc;

use crate::candidates::{HotLists, HotOrder, PopularScores};
use crate::eligibility::ItemGroups;
use crate::history::MergedHistories;
use crate::snapshot::Snapshot;
use crate::types::UserIdx;

/// A snapshot, ready to decide on.
pub(super) struct Prepared {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) histories: MergedHistories,
    pub(super) groups: ItemGroups,
    /// The group of items that have no category.
    pub(super) uncategorised: Option<u32>,
    pub(super) popular_scores: PopularScores,
    pub(super) hot_order: HotOrder,
    /// Neighbours of each item, by heat.
    pub(super) hot_neighbours: HotLists,
    /// The newest items of each user that count for similar users, by heat.
    pub(super) hot_newest: HotLists,
}

impl Prepared {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        let groups = ItemGroups::new(&snapshot.items);
        let histories = MergedHistories::new(&snapshot);
        let (items, users) = (snapshot.items.len(), snapshot.users.len());
        let hot_order = HotOrder::new(&snapshot.item_neighbours, &histories, users);
        let neighbours = (0..items).map(|row| snapshot.item_neighbours.of(row).0);
        let newest_max = snapshot.blend.user_knn.history_max as usize;
        let newest = |user| {
            let items = histories.of(UserIdx(user)).items;
            &items[..items.len().min(newest_max)]
        };
        Self {
            hot_neighbours: HotLists::new(neighbours, &hot_order),
            hot_newest: HotLists::new((0..users as u32).map(newest), &hot_order),
            hot_order,
            histories,
            uncategorised: groups.categories.find(""),
            groups,
            popular_scores: PopularScores::new(&snapshot.popular, items),
            snapshot,
        }
    }

    /// The category of an item that the cap counts; none for an item without a category.
    pub(super) fn category_of(&self, item: u32) -> Option<u32> {
        self.groups
            .categories
            .of(item)
            .filter(|&group| Some(group) != self.uncategorised)
    }
}
