//! Items that similar users chose lately.

use super::{HotLists, ScoreBoard};
use crate::snapshot::{Neighbours, UserKnnBlend};
use crate::types::UserIdx;

/// `user_knn(i) = Σ over neighbours n of sim(u, n) · [i among the newest of n's history]`, most similar
/// neighbour first.
pub fn add_similar_users(
    board: &mut ScoreBoard,
    user: UserIdx,
    user_neighbours: &Neighbours,
    hot_newest: &HotLists,
    settings: &UserKnnBlend,
) {
    let (neighbours, similarities) = user_neighbours.of(user.at());
    let used = neighbours
        .iter()
        .zip(similarities)
        .take(settings.neighbours_max as usize);
    for (&neighbour, &similarity) in used {
        board.add_same(hot_newest.of(neighbour as usize), similarity);
    }
}
