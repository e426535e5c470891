//! Similarity measures: how values are weighed before the dot product, and how a dot product becomes a similarity.
//!
//! With x_i the column of item i, n_i its number of entries and λ the shrinkage (0 is none):
//!
//! | Measure | s(i, j) |
//! |---|---|
//! | linear kernel | x_i·x_j · n/(n + λ), n = users that i and j share (Bell and Koren, 2007) |
//! | cosine | x_i·x_j / (‖x_i‖‖x_j‖ + λ) (Ferrari Dacrema et al., TOIS 39(2), 2021, eq. 1) |
//! | Jaccard | n / (n_i + n_j − n + λ); values do not matter |
//! | BM25 | w_i·w_j · n/(n + λ), w = x (k1 + 1) / (x + k1 (1 − b + b l_i / mean l)) · idf_u, l_i = Σ_u x_ui |
//!
//! BM25 takes items as documents and users as terms, then the dot product, as the library `implicit` does; idf_u = ln N − ln(1 + n_u),
//! N items, so that users who take everything count little (Robertson and Zaragoza, 2009). A user with every item has
//! a slightly negative idf there; it is 0 here.
//!
//! Shrinkage pulls down similarities that rest on few users. λ stands in the denominator where there is one.

use crate::error::Result;
use crate::similarity::matrix::Csr;
use crate::similarity::wrong;

/// Parameters of BM25.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// Saturation of repeated interactions; finite, ≥ 0.
    pub k1: f32,
    /// Strength of the length normalisation, 0 to 1.
    pub b: f32,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// How alike two columns are; see the table above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Similarity {
    /// The plain dot product.
    Linear,
    /// The dot product of unit vectors.
    Cosine,
    /// Shared users among all users of the two.
    Jaccard,
    /// The dot product of BM25 weights.
    Bm25(Bm25),
}

impl Similarity {
    /// The measure called `name`: "linear", "cosine", "jaccard" or "bm25".
    pub fn from_name(name: &str, bm25: Bm25) -> Result<Self> {
        match name {
            "linear" => Ok(Similarity::Linear),
            "cosine" => Ok(Similarity::Cosine),
            "jaccard" => Ok(Similarity::Jaccard),
            "bm25" => Ok(Similarity::Bm25(bm25)),
            _ => Err(wrong(
                "similarity",
                "UNKNOWN_SIMILARITY",
                format!("is {name:?}; known are \"linear\", \"cosine\", \"jaccard\" and \"bm25\""),
            )
            .with("value", name)),
        }
    }

    /// Weighs the values of `columns` (one row for each column of the interactions) in place; `rows` is how
    /// many rows the interactions have.
    pub(super) fn weigh(self, columns: &mut Csr, rows: usize) -> Result<()> {
        match self {
            Similarity::Linear | Similarity::Cosine => Ok(()),
            Similarity::Jaccard => {
                columns.data.fill(1.0);
                Ok(())
            }
            Similarity::Bm25(parameters) => weigh_bm25(columns, rows, parameters),
        }
    }

    /// Whether the number of shared rows is needed besides the dot product.
    pub(super) fn needs_count(self, shrinkage: f32) -> bool {
        match self {
            Similarity::Linear | Similarity::Bm25(_) => shrinkage > 0.0,
            Similarity::Cosine | Similarity::Jaccard => false,
        }
    }

    /// What a column brings into [`Finish`], from its weighed values.
    pub(super) fn column_size(self, shrinkage: f32, values: &[f32]) -> f32 {
        match self {
            Similarity::Linear | Similarity::Bm25(_) => 1.0,
            // An empty column meets dot products of 0 only; sizes are chosen so that 0/0 cannot come up.
            Similarity::Jaccard => values.len().max(1) as f32,
            Similarity::Cosine if values.is_empty() => 0.0,
            Similarity::Cosine => {
                let squares: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
                let norm = squares.sqrt();
                // A product is cheaper than a quotient for each pair, where there is no shrinkage.
                (if shrinkage > 0.0 { norm } else { 1.0 / norm }) as f32
            }
        }
    }
}

/// How one pair's dot product becomes its similarity. `size` values come from [`Similarity::column_size`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Finish {
    /// The dot product itself.
    Plain,
    /// dot · n / (n + λ)
    Counted(f32),
    /// dot · (1/‖i‖ · 1/‖j‖)
    Unit,
    /// dot / (‖i‖‖j‖ + λ)
    Norms(f32),
    /// n / (n_i + n_j − n + λ)
    Union(f32),
}

impl Finish {
    pub(super) fn new(similarity: Similarity, shrinkage: f32) -> Self {
        match similarity {
            Similarity::Linear | Similarity::Bm25(_) if shrinkage > 0.0 => {
                Finish::Counted(shrinkage)
            }
            Similarity::Linear | Similarity::Bm25(_) => Finish::Plain,
            Similarity::Cosine if shrinkage > 0.0 => Finish::Norms(shrinkage),
            Similarity::Cosine => Finish::Unit,
            Similarity::Jaccard => Finish::Union(shrinkage),
        }
    }

    /// The similarity of one pair. A pair that shares nothing has dot product 0 and similarity 0.
    #[inline(always)]
    pub(super) fn similarity(self, dot: f32, count: f32, size_i: f32, size_j: f32) -> f32 {
        match self {
            Finish::Plain => dot,
            Finish::Counted(shrinkage) => dot * (count / (count + shrinkage)),
            Finish::Unit => dot * (size_i * size_j),
            Finish::Norms(shrinkage) => dot / (size_i * size_j + shrinkage),
            Finish::Union(shrinkage) => dot / (size_i + size_j - dot + shrinkage),
        }
    }
}

fn weigh_bm25(columns: &mut Csr, rows: usize, parameters: Bm25) -> Result<()> {
    let Bm25 { k1, b } = parameters;
    if !(k1.is_finite() && k1 >= 0.0) {
        return Err(wrong(
            "bm25_k1",
            "OUT_OF_RANGE",
            format!("is {k1}; it must be finite and at least 0"),
        )
        .with("value", k1));
    }
    if !(0.0..=1.0).contains(&b) {
        return Err(wrong(
            "bm25_b",
            "OUT_OF_RANGE",
            format!("is {b}; it must be from 0 to 1"),
        )
        .with("value", b));
    }
    if let Some(value) = columns.data.iter().find(|&&value| value < 0.0) {
        return Err(wrong(
            "data",
            "NEGATIVE_VALUE",
            format!("holds {value}; bm25 weighs counts, which are at least 0"),
        )
        .with("value", value));
    }
    let count = columns.rows();
    let mut row_counts = vec![0_u32; rows];
    for &row in &columns.indices {
        row_counts[row as usize] += 1;
    }
    let idf: Vec<f64> = row_counts
        .iter()
        .map(|&n| ((count as f64).ln() - f64::from(n).ln_1p()).max(0.0))
        .collect();
    let lengths: Vec<f64> = (0..count)
        .map(|i| columns.row(i).1.iter().map(|&v| f64::from(v)).sum())
        .collect();
    let mean_length = lengths.iter().sum::<f64>() / count.max(1) as f64;
    let (k1, b) = (f64::from(k1), f64::from(b));
    for (i, length) in lengths.into_iter().enumerate() {
        let saturation = k1 * (1.0 - b + b * length / mean_length);
        for at in columns.indptr[i] as usize..columns.indptr[i + 1] as usize {
            let value = f64::from(columns.data[at]);
            let weight = value * (k1 + 1.0) / (saturation + value);
            columns.data[at] = (weight * idf[columns.indices[at] as usize]) as f32;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_refused() {
        assert_eq!(
            Similarity::from_name("cosine", Bm25::default()).unwrap(),
            Similarity::Cosine
        );
        let error = Similarity::from_name("cosin", Bm25::default()).unwrap_err();
        assert_eq!(error.field, "similarity");
        assert!(error.message.contains("\"cosin\""));
    }

    #[test]
    fn bm25_by_hand() {
        // Two items: the first taken once by user 0, the second three times by user 1. Lengths 1 and 3, mean 2.
        let mut columns = Csr {
            indptr: vec![0, 1, 2],
            indices: vec![0, 1],
            data: vec![1.0, 3.0],
        };
        let bm25 = Similarity::Bm25(Bm25 { k1: 1.0, b: 0.5 });
        bm25.weigh(&mut columns, 2).unwrap();
        let idf = 2.0_f32.ln() - 2.0_f32.ln();
        assert_eq!(
            columns.data,
            [idf, idf],
            "a user with one of two items has idf ln 2 - ln 2 = 0"
        );

        // A third, empty item: idf is ln 3 - ln 2, lengths 1, 3, 0, mean 4/3.
        let mut columns = Csr {
            indptr: vec![0, 1, 2, 2],
            indices: vec![0, 1],
            data: vec![1.0, 3.0],
        };
        bm25.weigh(&mut columns, 2).unwrap();
        let idf = 1.5_f32.ln();
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(columns.data[0], 2.0 / (0.875 + 1.0) * idf));
        assert!(near(columns.data[1], 6.0 / (1.625 + 3.0) * idf));
    }

    #[test]
    fn bm25_refuses_negative_counts() {
        let mut columns = Csr {
            indptr: vec![0, 1],
            indices: vec![0],
            data: vec![-1.0],
        };
        let error = Similarity::Bm25(Bm25::default())
            .weigh(&mut columns, 1)
            .unwrap_err();
        assert_eq!(error.reason, "NEGATIVE_VALUE");
    }
}
