//! The similarity kernels.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use promosvc_engine::error::Result;
use promosvc_engine::similarity::{
    self, Bm25, Combination, Csr, CsrView, NeighbourOptions, ProductOptions, Similarity,
};
use pyo3::prelude::*;

use crate::arrays::{count, vector};
use crate::errors::{to_python, wrong};

type CsrArrays<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<f32>>,
);

/// The most similar items of each item.
#[pyfunction]
#[pyo3(signature = (indptr, indices, data, n_items, *, similarity="cosine", top_n=100, shrinkage=0.0, bm25_k1=1.2, bm25_b=0.75, threads=0))]
#[allow(clippy::too_many_arguments)] // one argument for each of Python's
pub(crate) fn item_neighbours<'py>(
    py: Python<'py>,
    indptr: &Bound<'py, PyAny>,
    indices: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
    n_items: i64,
    similarity: &str,
    top_n: i64,
    shrinkage: f32,
    bm25_k1: f32,
    bm25_b: f32,
    threads: i64,
) -> PyResult<CsrArrays<'py>> {
    let matrix = Matrix::new("", indptr, indices, data)?;
    let bm25 = Bm25 {
        k1: bm25_k1,
        b: bm25_b,
    };
    let options = neighbour_options(similarity, bm25, top_n, shrinkage, threads);
    run(py, &[&matrix], |views| {
        similarity::column_neighbours(&views[0].view(count("n_items", n_items)?)?, &options?)
    })
}

/// The most similar users of each user.
#[pyfunction]
#[pyo3(signature = (indptr, indices, data, n_items, *, similarity="cosine", top_n=100, shrinkage=0.0, bm25_k1=1.2, bm25_b=0.75, threads=0))]
#[allow(clippy::too_many_arguments)] // one argument for each of Python's
pub(crate) fn user_neighbours<'py>(
    py: Python<'py>,
    indptr: &Bound<'py, PyAny>,
    indices: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
    n_items: i64,
    similarity: &str,
    top_n: i64,
    shrinkage: f32,
    bm25_k1: f32,
    bm25_b: f32,
    threads: i64,
) -> PyResult<CsrArrays<'py>> {
    let matrix = Matrix::new("", indptr, indices, data)?;
    let bm25 = Bm25 {
        k1: bm25_k1,
        b: bm25_b,
    };
    let options = neighbour_options(similarity, bm25, top_n, shrinkage, threads);
    run(py, &[&matrix], |views| {
        similarity::row_neighbours(&views[0].view(count("n_items", n_items)?)?, &options?)
    })
}

/// The rows that have each row among their neighbours.
#[pyfunction]
#[pyo3(signature = (indptr, neighbours, similarities, *, row_max=1000))]
pub(crate) fn turned_neighbours<'py>(
    py: Python<'py>,
    indptr: &Bound<'py, PyAny>,
    neighbours: &Bound<'py, PyAny>,
    similarities: &Bound<'py, PyAny>,
    row_max: i64,
) -> PyResult<CsrArrays<'py>> {
    let matrix = Matrix::new("", indptr, neighbours, similarities)?;
    run(py, &[&matrix], |views| {
        let rows = views[0].indptr.len().saturating_sub(1);
        similarity::turned_neighbours(&views[0].view(rows)?, count("row_max", row_max)?)
    })
}

/// The textbook's k most similar users of each user, row-major.
#[pyfunction]
#[pyo3(signature = (indptr, indices, data, n_items, *, k=10))]
pub(crate) fn textbook_neighbours<'py>(
    py: Python<'py>,
    indptr: &Bound<'py, PyAny>,
    indices: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
    n_items: i64,
    k: i64,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let matrix = Matrix::new("", indptr, indices, data)?;
    let arrays = matrix.slices(py)?;
    py.detach(|| {
        similarity::textbook_neighbours(&arrays.view(count("n_items", n_items)?)?, count("k", k)?)
    })
    .map(|neighbours| neighbours.into_pyarray(py))
    .map_err(|error| to_python(py, error))
}

/// The best columns of each row of a product of two sparse matrices.
#[pyfunction]
#[pyo3(signature = (left, right, n_columns, *, top_k, excluded=None, combination="sum", threads=0))]
#[allow(clippy::too_many_arguments)] // one argument for each of Python's
pub(crate) fn top_products<'py>(
    py: Python<'py>,
    left: Arrays<'py>,
    right: Arrays<'py>,
    n_columns: i64,
    top_k: i64,
    excluded: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    combination: &str,
    threads: i64,
) -> PyResult<CsrArrays<'py>> {
    let left = Matrix::new("left", &left.0, &left.1, &left.2)?;
    let right = Matrix::new("right", &right.0, &right.1, &right.2)?;
    let excluded = excluded
        .map(|(indptr, indices)| -> PyResult<_> {
            Ok((
                vector::<i64>("excluded.indptr", &indptr)?,
                vector::<u32>("excluded.indices", &indices)?,
            ))
        })
        .transpose()?;
    let excluded = match &excluded {
        Some((indptr, indices)) => Some((
            slice(py, "excluded.indptr", indptr)?,
            slice(py, "excluded.indices", indices)?,
        )),
        None => None,
    };
    run(py, &[&left, &right], |views| {
        let options = ProductOptions {
            combination: Combination::from_name(combination)?,
            top_k: count("top_k", top_k)?,
            threads: count("threads", threads)?,
        };
        let columns = count("n_columns", n_columns)?;
        let right = views[1].view(columns)?;
        let left = views[0].view(right.rows())?;
        // Exclusion is about positions; the kernel does not look at values.
        let ones = excluded.map(|(_, indices)| vec![1.0_f32; indices.len()]);
        let excluded = match (excluded, &ones) {
            (Some((indptr, indices)), Some(ones)) => {
                Some(CsrView::new("excluded", indptr, indices, ones, columns)?)
            }
            _ => None,
        };
        similarity::top_products(&left, &right, excluded.as_ref(), &options)
    })
}

/// A product of two sparse matrices as a dense one, row-major.
#[pyfunction]
#[pyo3(signature = (left, right, n_columns, *, combination="sum"))]
pub(crate) fn dense_products<'py>(
    py: Python<'py>,
    left: Arrays<'py>,
    right: Arrays<'py>,
    n_columns: i64,
    combination: &str,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let left = Matrix::new("left", &left.0, &left.1, &left.2)?;
    let right = Matrix::new("right", &right.0, &right.1, &right.2)?;
    let (left, right) = (left.slices(py)?, right.slices(py)?);
    py.detach(|| {
        let right = right.view(count("n_columns", n_columns)?)?;
        let left = left.view(right.rows())?;
        similarity::dense_products(&left, &right, Combination::from_name(combination)?)
    })
    .map(|values| values.into_pyarray(py))
    .map_err(|error| to_python(py, error))
}

/// `(indptr, indices, data)` as Python gives it.
type Arrays<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// A sparse matrix that Python holds.
struct Matrix<'py> {
    name: &'static str,
    indptr: PyReadonlyArray1<'py, i64>,
    indices: PyReadonlyArray1<'py, u32>,
    data: PyReadonlyArray1<'py, f32>,
}

/// The same without Python, to be carried over the release of the interpreter.
#[derive(Clone, Copy)]
struct Slices<'a> {
    name: &'static str,
    indptr: &'a [i64],
    indices: &'a [u32],
    data: &'a [f32],
}

impl<'py> Matrix<'py> {
    fn new(
        name: &'static str,
        indptr: &Bound<'py, PyAny>,
        indices: &Bound<'py, PyAny>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let field = |part: &str| {
            if name.is_empty() {
                part.to_owned()
            } else {
                format!("{name}.{part}")
            }
        };
        Ok(Self {
            name,
            indptr: vector(&field("indptr"), indptr)?,
            indices: vector(&field("indices"), indices)?,
            data: vector(&field("data"), data)?,
        })
    }

    fn slices(&self, py: Python<'py>) -> PyResult<Slices<'_>> {
        Ok(Slices {
            name: self.name,
            indptr: slice(py, "indptr", &self.indptr)?,
            indices: slice(py, "indices", &self.indices)?,
            data: slice(py, "data", &self.data)?,
        })
    }
}

impl<'a> Slices<'a> {
    fn view(&self, columns: usize) -> Result<CsrView<'a>> {
        CsrView::new(self.name, self.indptr, self.indices, self.data, columns)
    }
}

fn slice<'a, T: numpy::Element>(
    py: Python<'_>,
    name: &str,
    array: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<&'a [T]> {
    array
        .as_slice()
        .map_err(|error| to_python(py, wrong(name, "NOT_CONTIGUOUS", error.to_string())))
}

fn neighbour_options(
    similarity: &str,
    bm25: Bm25,
    top_n: i64,
    shrinkage: f32,
    threads: i64,
) -> Result<NeighbourOptions> {
    Ok(NeighbourOptions {
        similarity: Similarity::from_name(similarity, bm25)?,
        top_n: count("top_n", top_n)?,
        shrinkage,
        threads: count("threads", threads)?,
    })
}

/// Lets go of the interpreter, runs the kernel, hands its arrays over without copying.
fn run<'py>(
    py: Python<'py>,
    matrices: &[&Matrix<'py>],
    kernel: impl FnOnce(&[Slices<'_>]) -> Result<Csr> + Send,
) -> PyResult<CsrArrays<'py>> {
    let slices = matrices
        .iter()
        .map(|matrix| matrix.slices(py))
        .collect::<PyResult<Vec<_>>>()?;
    let Csr {
        indptr,
        indices,
        data,
    } = py
        .detach(|| kernel(&slices))
        .map_err(|error| to_python(py, error))?;
    Ok((
        indptr.into_pyarray(py),
        indices.into_pyarray(py),
        data.into_pyarray(py),
    ))
}
