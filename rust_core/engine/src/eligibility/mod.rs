//! Which items may be answered at all.
//!
//! A filter is made once for each request and asked for single items: early, while each source's best are
//! picked, so that a narrow category still fills a page; and once more for the finished page, so that no
//! path (fallback, filling up, a later stage with a defect) can answer a forbidden item.
//!
//! 1. The caller blocks items one by one: cart, excluded ids, seen items (`seen`).
//! 2. `filter` combines them with what the catalogue says now: availability, category and kind.
//!
//! Cost: two to four byte loads for each item asked for; a request pays one binary search for each excluded
//! id (about 0.3 us) and one byte store for each event of the user's history.

mod filter;
mod seen;

pub use filter::{ItemFilter, RequestedGroups};
pub use seen::{SeenEvents, SeenRule};
