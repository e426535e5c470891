//! Which items (or users) are alike: all-pairs neighbours of a sparse matrix, and what they predict.
//!
//! **Problem.** Given interactions X (users in rows, items in columns, f32 weights), find for each column i the
//! `top_n` other columns j with the largest similarity s(i, j) > 0, ties by the lower index. Neighbours of users are
//! the same problem on the transpose.
//!
//! **Stages**, one file each: [`matrix`] checks the input and turns it; [`measure`] weighs values and finishes a dot
//! product into a similarity; [`neighbours`] makes all dot products of one column at a time; `scan` finishes them; [`select`] keeps
//! the best.
//! [`product`] turns neighbours into predictions, [`textbook`] is the compatibility mode. `reference` is the slow twin
//! that defines them all: dense loops, full sort.
//!
//! **Cost.** One multiply-add for each pair of interactions of one user: Σ_u n_u². 25,000 users with 42 interactions each,
//! skewed, make 105 million: .08 s at two cycles each if their operands are there, which is why cells are fetched ahead and
//! the 60 KB accumulator of a row stays in the second cache. Reading every accumulator twice is 15,000² · 8 bytes = 1.8 GB from
//! that cache, .03 s. Choosing 100 out of a row takes about 3 µs if almost nothing below the hundredth is looked at
//! twice, .05 s for all rows. Measured on one core: about .25 s, of which two thirds are adds that wait for memory.
//!
//! **The trade-off.** s(i, j) = s(j, i), so half of the multiply-adds could be saved. Handing the other half over to
//! its row costs a cache miss for each candidate (about 500 a row before its threshold settles), more than the adds that it
//! saves; so each row is computed whole by one thread, which also makes the result independent of the number of threads:
//! a dot product always sums its users in ascending order.
//!
//! Columns are renumbered by falling popularity inside the kernel, which keeps the accumulators that are hit most in a few
//! cache lines; results carry the caller's numbers.

pub mod matrix;
pub mod measure;
pub mod neighbours;
pub mod product;
#[cfg(test)]
mod reference;
mod scan;
pub mod select;
pub mod textbook;

pub use matrix::{Csr, CsrView};
pub use measure::{Bm25, Similarity};
pub use neighbours::{NeighbourOptions, column_neighbours, row_neighbours, turned_neighbours};
pub use product::{Combination, ProductOptions, dense_products, top_products};
pub use textbook::textbook_neighbours;

use crate::error::Error;

/// An argument that can never be right: the message begins with its name. `what` begins with a verb, or with the
/// position of an entry in brackets.
pub(crate) fn wrong(
    field: impl Into<String>,
    reason: &'static str,
    what: impl AsRef<str>,
) -> Error {
    let (field, what) = (field.into(), what.as_ref());
    let gap = if what.starts_with('[') { "" } else { " " };
    let message = format!("{field}{gap}{what}");
    Error::invalid(field, reason, message)
}
