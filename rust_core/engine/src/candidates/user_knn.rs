//! Items that similar users chose lately.

use super::ScoreBoard;
use crate::history::MergedHistories;
use crate::snapshot::{Neighbours, UserKnnBlend};
use crate::types::UserIdx;

/// `user_knn(i) = Σ over neighbours n of sim(u, n) · [i among the newest of n's history]`, most similar
/// neighbour first.
pub fn add_similar_users(
    board: &mut ScoreBoard,
    user: UserIdx,
    user_neighbours: &Neighbours,
    histories: &MergedHistories,
    settings: &UserKnnBlend,
) {
    let (neighbours, similarities) = user_neighbours.of(user.at());
    let used = neighbours
        .iter()
        .zip(similarities)
        .take(settings.neighbours_max as usize);
    for (&neighbour, &similarity) in used {
        let items = histories.of(UserIdx(neighbour)).items;
        let newest = &items[..items.len().min(settings.history_max as usize)];
        board.add_same(newest, similarity);
    }
}
