//! From neighbours to predictions: sparse matrix products, the best of each row.
//!
//! All neighbourhood predictors are one product of two sparse matrices, L (rows x middle) and R (middle x columns):
//! - item neighbours: L = a user's history weights, R = item similarities;
//! - user neighbours: L = user similarities, R = interactions;
//! - explicit ratings: the same, divided by the similarity that had a say (the *normalised* weighted sum), and with
//!   mean-centred R the deviation from the user's mean (Herlocker et al., SIGIR 1999).
//!
//! The implicit sum grows with every neighbour that took the item, which is what ranking wants; the normalised one is a
//! rating on the scale of R, however few had a say.

use crate::error::Result;
use crate::similarity::matrix::{Csr, CsrView};
use crate::similarity::neighbours::{Rows, in_parallel, join};
use crate::similarity::select::{TopN, pack};
use crate::similarity::wrong;

/// Most results of one row.
pub const TOP_K_MAX: usize = 10_000;

/// How the terms of a prediction are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combination {
    /// Σ l·r: for implicit events. Only sums above 0 are answered.
    WeightedSum,
    /// Σ l·r / Σ |l| over the terms: for explicit ratings where L holds similarities. Any value is answered.
    NormalisedByLeft,
    /// Σ l·r / Σ |r| over the terms: for explicit ratings where R holds similarities. Any value is answered.
    NormalisedByRight,
}

impl Combination {
    /// The combination called `name`: "sum", "normalised_by_left" or "normalised_by_right".
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "sum" => Ok(Combination::WeightedSum),
            "normalised_by_left" => Ok(Combination::NormalisedByLeft),
            "normalised_by_right" => Ok(Combination::NormalisedByRight),
            _ => Err(wrong(
                "combination",
                "UNKNOWN_COMBINATION",
                format!(
                    "is {name:?}; known are \"sum\", \"normalised_by_left\" and \"normalised_by_right\""
                ),
            )
            .with("value", name)),
        }
    }

    #[inline(always)]
    fn weight(self, left: f32, right: f32) -> f32 {
        match self {
            // A term of the plain sum counts if both factors do.
            Combination::WeightedSum => (left * right).abs(),
            Combination::NormalisedByLeft => left.abs(),
            Combination::NormalisedByRight => right.abs(),
        }
    }
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductOptions {
    /// How terms are combined.
    pub combination: Combination,
    /// Most columns of each row, 1 to [`TOP_K_MAX`].
    pub top_k: usize,
    /// Threads; 0 is one for each core. The result does not depend on it.
    pub threads: usize,
}

/// The best columns of each row of L R that are not among `excluded`: value descending, then index ascending.
pub fn top_products(
    left: &CsrView<'_>,
    right: &CsrView<'_>,
    excluded: Option<&CsrView<'_>>,
    options: &ProductOptions,
) -> Result<Csr> {
    let ProductOptions {
        combination,
        top_k,
        threads,
    } = *options;
    if !(1..=TOP_K_MAX).contains(&top_k) {
        return Err(wrong(
            "top_k",
            "OUT_OF_RANGE",
            format!("is {top_k}; it must be from 1 to {TOP_K_MAX}"),
        )
        .with("value", top_k)
        .with("limit", TOP_K_MAX));
    }
    check_shapes(left, right)?;
    if let Some(excluded) = excluded
        && (excluded.rows() != left.rows() || excluded.columns() != right.columns())
    {
        return Err(wrong(
            "excluded",
            "SHAPES_DIFFER",
            format!(
                "is {} x {}; it must be {} x {} as the product is",
                excluded.rows(),
                excluded.columns(),
                left.rows(),
                right.columns()
            ),
        ));
    }
    let parts = in_parallel(threads, left.rows(), || {
        let mut sums = Sums::new(right.columns());
        let mut top = TopN::new(top_k);
        move |rows: std::ops::Range<usize>, found: &mut Rows| {
            for row in rows {
                sums.add_row(left, right, row, combination);
                if let Some(excluded) = excluded {
                    sums.forget(excluded.row(row).0);
                }
                sums.drain(combination, |column, value| {
                    if combination != Combination::WeightedSum || value > 0.0 {
                        top.offer_key(pack(value, column));
                    }
                });
                let before = found.indices.len();
                top.drain(|column, value| {
                    found.indices.push(column);
                    found.data.push(value);
                });
                let length = (found.indices.len() - before) as u32;
                found.lengths.push((row as u32, length));
            }
        }
    })?;
    Ok(join(left.rows(), parts))
}

/// L R as a dense matrix in row-major order; columns that no term reaches are 0.
///
/// For a few rows at a time: the answer takes 4 bytes x rows x columns.
pub fn dense_products(
    left: &CsrView<'_>,
    right: &CsrView<'_>,
    combination: Combination,
) -> Result<Vec<f32>> {
    check_shapes(left, right)?;
    let columns = right.columns();
    let size = left
        .rows()
        .checked_mul(columns)
        .filter(|&size| size <= DENSE_MAX);
    let Some(size) = size else {
        return Err(wrong(
            "left",
            "DENSE_RESULT_TOO_LARGE",
            format!(
                "makes {} rows x {columns} columns; the maximum is {DENSE_MAX} values: ask for fewer rows at a time",
                left.rows()
            ),
        )
        .with("limit", DENSE_MAX));
    };
    let mut dense = vec![0.0; size];
    let mut sums = Sums::new(columns);
    for row in 0..left.rows() {
        sums.add_row(left, right, row, combination);
        sums.drain(combination, |column, value| {
            dense[row * columns + column as usize] = value;
        });
    }
    Ok(dense)
}

/// Most values of a dense answer: 2 GB.
const DENSE_MAX: usize = 1 << 29;

fn check_shapes(left: &CsrView<'_>, right: &CsrView<'_>) -> Result<()> {
    if left.columns() != right.rows() {
        return Err(wrong(
            "right",
            "SHAPES_DIFFER",
            format!(
                "has {} rows; left has {} columns, and the two must be equal",
                right.rows(),
                left.columns()
            ),
        )
        .with("rows", right.rows())
        .with("columns", left.columns()));
    }
    Ok(())
}

/// Accumulators of one row of the product.
struct Sums {
    values: Vec<f32>,
    weights: Vec<f32>,
    is_touched: Vec<bool>,
    touched: Vec<u32>,
}

impl Sums {
    fn new(columns: usize) -> Self {
        Self {
            values: vec![0.0; columns],
            weights: vec![0.0; columns],
            is_touched: vec![false; columns],
            touched: Vec::new(),
        }
    }

    fn add_row(
        &mut self,
        left: &CsrView<'_>,
        right: &CsrView<'_>,
        row: usize,
        combination: Combination,
    ) {
        let (middles, factors) = left.row(row);
        for (&middle, &factor) in middles.iter().zip(factors) {
            let (columns, values) = right.row(middle as usize);
            for (&column, &value) in columns.iter().zip(values) {
                let at = column as usize;
                self.values[at] += factor * value;
                self.weights[at] += combination.weight(factor, value);
                if !self.is_touched[at] {
                    self.is_touched[at] = true;
                    self.touched.push(column);
                }
            }
        }
    }

    /// Leaves these columns out of the answer.
    fn forget(&mut self, columns: &[u32]) {
        for &column in columns {
            self.values[column as usize] = 0.0;
            self.weights[column as usize] = 0.0;
        }
    }

    /// Hands out every column that some weight reached, and begins anew.
    fn drain(&mut self, combination: Combination, mut take: impl FnMut(u32, f32)) {
        for &column in &self.touched {
            let at = column as usize;
            let value = std::mem::take(&mut self.values[at]);
            let weight = std::mem::take(&mut self.weights[at]);
            self.is_touched[at] = false;
            if weight > 0.0 {
                take(
                    column,
                    match combination {
                        Combination::WeightedSum => value,
                        Combination::NormalisedByLeft | Combination::NormalisedByRight => {
                            value / weight
                        }
                    },
                );
            }
        }
        self.touched.clear();
    }
}
