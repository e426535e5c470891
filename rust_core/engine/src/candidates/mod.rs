//! Where candidates come from: similar items, similar users, earlier choices, popular items.
//!
//! Each source adds up a score for every item it knows of in a dense `ScoreBoard` (personal sources) or
//! reads it from the snapshot (popular), then picks its best items that pass the filter (`TopItems`).
//! `docs/snapshot-format.md`, "How a score is made", defines every sum.
//!
//! Notation: H the user's history and cart, K neighbours of an item, N similar users, L their history
//! items that are used, n items. Cost of a request: |H|·K + N·L additions into boards of n floats
//! (100·100 + 80·100 = 18,000 additions of 2 to 3 ns), one pass over the marked blocks and a partial
//! selection. Failure mode: a large catalogue without popular items makes every addition a cache miss (10
//! to 20 ns in place of 2).
//!
//! Papers: Sarwar et al. 2001, "Item-based collaborative filtering"; Jannach and Ludewig 2017 and VMIS-kNN
//! (Kersbergen et al. 2022) for sums over the most recent part of a history.
//!
//! The trade-off: boards are dense and belong to a thread, so that no request allocates for a candidate;
//! a thread pays 18 bytes for each item of the catalogue.

mod hot_order;
mod item_knn;
mod popular;
mod repeat;
mod score_board;
mod top_items;
mod user_knn;

pub use hot_order::{HotLists, HotOrder};
pub use item_knn::add_similar_items;
pub use popular::{PopularScores, top_popular};
pub use repeat::{add_repeats, repeat_score};
pub use score_board::ScoreBoard;
pub use top_items::TopItems;
pub use user_knn::add_similar_users;

/// How many lists ahead memory is asked for one. The lists of a history are spread over tens of megabytes; one takes
/// longer to add (300 ns) than memory to answer, so more changes nothing.
const LISTS_AHEAD: usize = 2;
