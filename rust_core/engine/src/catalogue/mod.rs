//! The items as they are now: a snapshot's rows under what the event log said since.
//!
//! A `Catalogue` is an immutable view. One is made when a snapshot is published, and a new one from the last
//! whenever the log says something about items (`with`); a decision holds one from beginning to end. What a
//! reader may ask of it:
//!
//! 1. `ItemTable`: availability, category and kind of every item, for filters and caps; its facts, for answers.
//! 2. `Extras`: items that the log knows and the snapshot does not. They stand behind the snapshot's items, by
//!    item id, so that item N + k is the k-th of them; each has a popular prior until a snapshot knows it.
//! 3. `FactsHash`: by what one state of the catalogue is told from another.
//!
//! A fact counts field by field, where its position is not below the snapshot's `events_position`: what is below
//! is in the snapshot already.
//!
//! Cost, by `examples/recommend_bench` with 68,000 items: a view takes 17 bytes an item, shared page by page with the
//! view before it (`types::Pages`). A change of stock or price costs 14 us, for one counter of each page and a copy of
//! one; a change of category 21 us, with the lists of its two groups. A record that tells of many items costs the
//! counters once. A new item numbers all extras anew, 0.25 us for each. Readers pay two loads where a plain column costs
//! one, and the availability of all items fits the first-level cache.
//!
//! The trade-off: extras are numbered by id and not in the order in which they came, so that the same facts
//! give the same answer whatever way they were told; new items are few between two snapshots.

mod extras;
mod facts_hash;
mod groups;
mod item_table;
mod view;

pub use extras::{ExtraPopular, PopularMeans};
pub use groups::{GroupColumn, ItemGroups, NO_CATEGORY};
pub use view::Catalogue;
