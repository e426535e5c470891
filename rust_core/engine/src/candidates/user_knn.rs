//! Items that similar users chose lately.

use super::{HotLists, LISTS_AHEAD, ScoreBoard};
use crate::snapshot::{Neighbours, UserKnnBlend};
use crate::types::{UserIdx, prefetch};

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
    let used = neighbours.len().min(settings.neighbours_max as usize);
    let (neighbours, similarities) = (&neighbours[..used], &similarities[..used]);
    let ask_for = |&neighbour: &u32| prefetch(hot_newest.of(neighbour as usize));
    neighbours.iter().take(LISTS_AHEAD).for_each(ask_for);
    for (at, (&neighbour, &similarity)) in neighbours.iter().zip(similarities).enumerate() {
        neighbours
            .get(at + LISTS_AHEAD)
            .into_iter()
            .for_each(ask_for);
        board.add_same(hot_newest.of(neighbour as usize), similarity);
    }
}
