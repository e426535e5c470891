//! Items similar to what the user chose and has in the cart.

use super::{HotLists, LISTS_AHEAD, ScoreBoard};
use crate::snapshot::Neighbours;
use crate::types::{Taste, prefetch};

/// `item_knn(i) = Σ over h in H of weight_h · sim(h, i)`, in the order of H.
pub fn add_similar_items(
    board: &mut ScoreBoard,
    tastes: &[Taste],
    item_neighbours: &Neighbours,
    hot_neighbours: &HotLists,
) {
    // One look-up finds both lists: they were made row by row from the same rows.
    let all_similarities = item_neighbours.similarities();
    let lists_of = |taste: &Taste| {
        let row = taste.item as usize;
        let similarities = all_similarities.get(hot_neighbours.range(row));
        (hot_neighbours.of(row), similarities.unwrap_or_default())
    };
    let ask_for_range = |taste: &Taste| hot_neighbours.prefetch_range(taste.item as usize);
    let ask_for = |taste: &Taste| {
        let (heats, similarities) = lists_of(taste);
        prefetch(heats);
        prefetch(similarities);
    };
    tastes.iter().take(2 * LISTS_AHEAD).for_each(ask_for_range);
    tastes.iter().take(LISTS_AHEAD).for_each(ask_for);
    for (at, taste) in tastes.iter().enumerate() {
        tastes
            .get(at + 2 * LISTS_AHEAD)
            .into_iter()
            .for_each(ask_for_range);
        tastes.get(at + LISTS_AHEAD).into_iter().for_each(ask_for);
        let (heats, similarities) = lists_of(taste);
        board.add_weighted(heats, similarities, taste.weight);
    }
}
