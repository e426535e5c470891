//! Items similar to what the user chose and has in the cart.

use super::{HotLists, ScoreBoard};
use crate::snapshot::Neighbours;
use crate::types::Taste;

/// `item_knn(i) = Σ over h in H of weight_h · sim(h, i)`, in the order of H.
pub fn add_similar_items(
    board: &mut ScoreBoard,
    tastes: &[Taste],
    item_neighbours: &Neighbours,
    hot_neighbours: &HotLists,
) {
    for taste in tastes {
        let row = taste.item as usize;
        let (_, similarities) = item_neighbours.of(row);
        board.add_weighted(hot_neighbours.of(row), similarities, taste.weight);
    }
}
