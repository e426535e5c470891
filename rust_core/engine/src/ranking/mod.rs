//! From candidates to a page: blend, limit per category, reasons.
//!
//! 1. `scales`: each source's score is divided by the source's largest and weighed; the sum in the fixed
//!    order of sources is the item's score.
//! 2. `page`: by score descending, ties by item; no category more often than the cap allows.
//! 3. `explain`: what each score is made of, in parts that add up to it.
//!
//! Cost: up to 1,200 candidates x 6 loads, a partial selection, and with reasons one more pass over the
//! neighbour lists that the scores were made from (about as long as making them).
//!
//! The trade-off: a linear blend of max-normalised scores, because its parts add up, so that reasons are
//! the score and not a story about it. Price: a source's scale depends on its one best item.

mod explain;
mod page;
mod reason;
mod scales;

pub use explain::{Evidence, ItemSlots, explain};
pub use page::{CategoryCounts, pick_page};
pub use reason::{Basis, RankedItem, Reason};
pub use scales::Scales;
