//! Sparse matrices: a checked view of the caller's arrays, and an owned result.
//!
//! Compressed rows as in SciPy: row r holds `indices[indptr[r]..indptr[r + 1]]` with `data` beside it. A
//! [`CsrView`] exists only if every index was checked, so the kernels need not look again.

use crate::error::Result;
use crate::similarity::wrong;

/// Largest magnitude of a value: squares and sums of 2³² of them stay finite in f32.
pub const VALUE_MAX: f32 = 1e12;

/// A checked view of a sparse matrix in compressed rows.
#[derive(Clone, Copy, Debug)]
pub struct CsrView<'a> {
    indptr: &'a [i64],
    indices: &'a [u32],
    data: &'a [f32],
    columns: usize,
}

/// An owned sparse matrix in compressed rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Csr {
    /// Where rows begin; one more than there are rows.
    pub indptr: Vec<i64>,
    /// Column of each entry.
    pub indices: Vec<u32>,
    /// Value of each entry.
    pub data: Vec<f32>,
}

impl<'a> CsrView<'a> {
    /// Checks the arrays of matrix `name` (the prefix of the field in errors; may be empty).
    ///
    /// `indptr` begins with 0, never falls, and ends with the number of entries; indices are below `columns`;
    /// values are finite and at most [`VALUE_MAX`] in magnitude.
    pub fn new(
        name: &str,
        indptr: &'a [i64],
        indices: &'a [u32],
        data: &'a [f32],
        columns: usize,
    ) -> Result<Self> {
        let field = |part: &str| {
            if name.is_empty() {
                part.to_owned()
            } else {
                format!("{name}.{part}")
            }
        };
        if columns > u32::MAX as usize || indptr.len() > u32::MAX as usize {
            return Err(wrong(
                field("indptr"),
                "MATRIX_TOO_LARGE",
                format!(
                    "makes {} rows x {columns} columns; the maximum of each is {}",
                    indptr.len().saturating_sub(1),
                    u32::MAX - 1
                ),
            ));
        }
        if data.len() != indices.len() {
            return Err(wrong(
                field("data"),
                "LENGTHS_DIFFER",
                format!(
                    "has {} values for {} indices; both must have one for each entry",
                    data.len(),
                    indices.len()
                ),
            )
            .with("values", data.len())
            .with("indices", indices.len()));
        }
        check_indptr(field("indptr"), indptr, indices.len())?;
        if let Some(at) = indices.iter().position(|&index| index as usize >= columns) {
            return Err(wrong(
                field("indices"),
                "INDEX_OUT_OF_RANGE",
                format!("[{at}] is {}; there are {columns} columns", indices[at]),
            )
            .with("value", indices[at])
            .with("limit", columns));
        }
        // A comparison that NaN fails finds NaN, infinity and the too large in one pass.
        let is_in_range = |value: &f32| value.abs() <= VALUE_MAX;
        if let Some(at) = data.iter().position(|value| !is_in_range(value)) {
            return Err(wrong(
                field("data"),
                "VALUE_OUT_OF_RANGE",
                format!(
                    "[{at}] is {}; values are finite and at most {VALUE_MAX:e} in magnitude",
                    data[at]
                ),
            )
            .with("value", data[at])
            .with("limit", VALUE_MAX));
        }
        Ok(Self {
            indptr,
            indices,
            data,
            columns,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of stored entries.
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// Columns and values of row `row`.
    pub fn row(&self, row: usize) -> (&'a [u32], &'a [f32]) {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        (&self.indices[range.clone()], &self.data[range])
    }

    /// The transpose: columns become rows, entries of a row by ascending index. Entries with value 0 are dropped.
    /// Refuses a column that occurs twice in one row.
    pub fn transposed(&self) -> Result<Csr> {
        let mut starts = vec![0_usize; self.columns + 1];
        for (&column, &value) in self.indices.iter().zip(self.data) {
            starts[column as usize + 1] += usize::from(value != 0.0);
        }
        for at in 0..self.columns {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut indices = vec![0_u32; starts[self.columns]];
        let mut data = vec![0.0_f32; starts[self.columns]];
        for row in 0..self.rows() {
            let (columns, values) = self.row(row);
            for (&column, &value) in columns.iter().zip(values) {
                if value == 0.0 {
                    continue;
                }
                let at = next[column as usize];
                if at > starts[column as usize] && indices[at - 1] as usize == row {
                    return Err(wrong(
                        "indices",
                        "DUPLICATE_ENTRY",
                        format!(
                            "holds column {column} twice in row {row}; add such entries up first"
                        ),
                    )
                    .with("row", row)
                    .with("column", column));
                }
                indices[at] = row as u32;
                data[at] = value;
                next[column as usize] = at + 1;
            }
        }
        Ok(Csr {
            indptr: starts.into_iter().map(|at| at as i64).collect(),
            indices,
            data,
        })
    }
}

impl Csr {
    /// This matrix as a view; `columns` must be above every index.
    pub fn view(&self, columns: usize) -> Result<CsrView<'_>> {
        CsrView::new("", &self.indptr, &self.indices, &self.data, columns)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Columns and values of row `row`.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        (&self.indices[range.clone()], &self.data[range])
    }
}

fn check_indptr(field: String, indptr: &[i64], entries: usize) -> Result<()> {
    let refuse = |message: String| Err(wrong(field.clone(), "INDPTR_INVALID", message));
    let (Some(&first), Some(&last)) = (indptr.first(), indptr.last()) else {
        return refuse(
            "is empty; a matrix of n rows has n + 1 entries, the first being 0".to_owned(),
        );
    };
    if first != 0 {
        return refuse(format!("begins with {first}; it must begin with 0"));
    }
    if let Some(at) = indptr.windows(2).position(|pair| pair[1] < pair[0]) {
        return refuse(format!(
            "falls from {} to {} at entry {}; it must never fall",
            indptr[at],
            indptr[at + 1],
            at + 1
        ));
    }
    if last != entries as i64 {
        return refuse(format!("ends with {last}; there are {entries} entries"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_a_small_matrix() {
        // user 0: items 2 and 0; user 1: item 2; user 2: nothing but a stored zero.
        let view =
            CsrView::new("", &[0, 2, 3, 4], &[2, 0, 2, 1], &[5.0, 4.0, 3.0, 0.0], 3).unwrap();
        let turned = view.transposed().unwrap();
        assert_eq!(turned.indptr, [0, 1, 1, 3]);
        assert_eq!(turned.indices, [0, 0, 1]);
        assert_eq!(turned.data, [4.0, 5.0, 3.0]);
    }

    #[test]
    fn wrong_arrays_are_refused_by_name() {
        let refused = |indptr: &[i64], indices: &[u32], data: &[f32]| {
            let error = CsrView::new("ratings", indptr, indices, data, 2).unwrap_err();
            (error.field, error.message)
        };
        assert_eq!(
            refused(&[], &[], &[]).1,
            "ratings.indptr is empty; a matrix of n rows has n + 1 entries, the first being 0"
        );
        assert_eq!(
            refused(&[1, 1], &[0], &[1.0]).1,
            "ratings.indptr begins with 1; it must begin with 0"
        );
        assert_eq!(
            refused(&[0, 2, 1], &[0], &[1.0]),
            (
                "ratings.indptr".to_owned(),
                "ratings.indptr falls from 2 to 1 at entry 2; it must never fall".to_owned()
            )
        );
        assert_eq!(
            refused(&[0, 2], &[0], &[1.0]).1,
            "ratings.indptr ends with 2; there are 1 entries"
        );
        assert_eq!(
            refused(&[0, 1], &[2], &[1.0]),
            (
                "ratings.indices".to_owned(),
                "ratings.indices[0] is 2; there are 2 columns".to_owned()
            )
        );
        assert_eq!(refused(&[0, 1], &[1], &[]).0, "ratings.data");
        for value in [f32::NAN, f32::INFINITY, -1e13] {
            assert_eq!(refused(&[0, 1], &[1], &[value]).0, "ratings.data");
        }
    }

    #[test]
    fn a_column_twice_in_a_row_is_refused() {
        let view = CsrView::new("", &[0, 2], &[1, 1], &[1.0, 1.0], 2).unwrap();
        assert_eq!(view.transposed().unwrap_err().reason, "DUPLICATE_ENTRY");
    }
}
