//! Items similar to what the user chose and has in the cart.

use super::ScoreBoard;
use crate::snapshot::Neighbours;
use crate::types::Taste;

/// `item_knn(i) = Σ over h in H of weight_h · sim(h, i)`, in the order of H.
pub fn add_similar_items(board: &mut ScoreBoard, tastes: &[Taste], item_neighbours: &Neighbours) {
    for taste in tastes {
        let (neighbours, similarities) = item_neighbours.of(taste.item as usize);
        board.add_weighted(neighbours, similarities, taste.weight);
    }
}
