//! A snapshot and what is derived from it once, so that no request has to.

use std::sync::Arc;

use crate::candidates::PopularScores;
use crate::eligibility::ItemGroups;
use crate::history::MergedHistories;
use crate::snapshot::Snapshot;

/// A snapshot, ready to decide on.
pub(super) struct Prepared {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) histories: MergedHistories,
    pub(super) groups: ItemGroups,
    /// The group of items that have no category.
    pub(super) uncategorised: Option<u32>,
    pub(super) popular_scores: PopularScores,
}

impl Prepared {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        let groups = ItemGroups::new(&snapshot.items);
        Self {
            histories: MergedHistories::new(&snapshot),
            uncategorised: groups.categories.find(""),
            groups,
            popular_scores: PopularScores::new(&snapshot.popular, snapshot.items.len()),
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
