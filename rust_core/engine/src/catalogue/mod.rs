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
//! Cost: a view takes 13 bytes an item, shared page by page with the view before it (`types::Pages`). A change of
//! stock or price copies one page (about 5 us, whatever the size of the catalogue), a change of category also the
//! lists of the two groups. A new item numbers all extras anew: 0.2 us for each of them. Readers pay two loads
//! where a plain column costs one.
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
