//! NumPy arrays in, NumPy arrays out: checked views, never copies.
//!
//! An array that is written to by another Python thread during a call gives an undefined result; every kernel checks
//! indices again where it uses them, so memory stays safe.

use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray,
    PyUntypedArrayMethods, dtype,
};
use promosvc_engine::error::Result;
use pyo3::prelude::*;

use crate::errors::{to_python, wrong};

/// Views a one-dimensional, contiguous array of exactly this dtype; `name` is the argument.
pub(crate) fn vector<'py, T: Element>(
    name: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray1<'py, T>> {
    let py = object.py();
    let wanted = dtype::<T>(py);
    let refuse =
        |reason: &'static str, message: String| Err(to_python(py, wrong(name, reason, message)));
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        let type_name = object.get_type().name()?.to_string();
        return refuse(
            "NOT_AN_ARRAY",
            format!("is a {type_name}; it must be a NumPy array of {wanted}"),
        );
    };
    if array.ndim() != 1 {
        return refuse(
            "WRONG_SHAPE",
            format!("has shape {:?}; it must have one dimension", array.shape()),
        );
    }
    if !array.dtype().is_equiv_to(&wanted) {
        return refuse(
            "WRONG_DTYPE",
            format!("has dtype {}; it must be {wanted}", array.dtype()),
        );
    }
    if !array.is_c_contiguous() {
        return refuse(
            "NOT_CONTIGUOUS",
            "is a strided view; it must be contiguous (numpy.ascontiguousarray)".to_owned(),
        );
    }
    let Ok(array) = object.cast::<PyArray1<T>>() else {
        return refuse("WRONG_DTYPE", format!("must be a NumPy array of {wanted}"));
    };
    array.try_readonly().map_err(|error| {
        to_python(
            py,
            wrong(name, "ARRAY_IN_USE", format!("cannot be read: {error}")),
        )
    })
}

/// A whole number that is at least 0; `name` is the argument.
pub(crate) fn count(name: &str, value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| {
        wrong(
            name,
            "OUT_OF_RANGE",
            format!("is {value}; it must be at least 0"),
        )
        .with("value", value)
    })
}
