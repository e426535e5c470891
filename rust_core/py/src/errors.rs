//! The engine's errors as Python exceptions: one match, by name.
//!
//! The classes live in `promosvc.errors` and are looked up when an error happens, so that importing the binding
//! imports nothing else.

use promosvc_engine::error::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

/// Name of the class in `promosvc.errors` for each kind.
fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "InvalidArgumentError",
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::FailedPrecondition => "FailedPreconditionError",
        ErrorKind::AlreadyExists => "AlreadyExistsError",
        ErrorKind::Overloaded => "OverloadedError",
        ErrorKind::MessageTooLarge => "MessageTooLargeError",
        ErrorKind::Unavailable => "UnavailableError",
        ErrorKind::DeadlineExceeded => "DeadlineExceededError",
        ErrorKind::DataLoss => "SnapshotError",
        ErrorKind::Io => "IoError",
        ErrorKind::Unimplemented => "UnimplementedError",
        ErrorKind::Internal => "InternalError",
    }
}

/// Turns an engine error into the Python exception of its kind.
pub(crate) fn to_python(py: Python<'_>, error: Error) -> PyErr {
    match exception(py, &error) {
        Ok(exception) => PyErr::from_value(exception),
        // Only a broken installation gets here; the import error says more than we could.
        Err(import_error) => import_error,
    }
}

/// An argument that can never be right: the message begins with its name, `what` with a verb.
pub(crate) fn wrong(
    field: impl Into<String>,
    reason: &'static str,
    what: impl AsRef<str>,
) -> Error {
    let field = field.into();
    let message = format!("{field} {}", what.as_ref());
    Error::invalid(field, reason, message)
}

/// Every error kind of the engine and the name of its exception class.
#[pyfunction]
pub(crate) fn error_kinds() -> Vec<(String, &'static str)> {
    ErrorKind::ALL
        .into_iter()
        .map(|kind| (format!("{kind:?}"), class_name(kind)))
        .collect()
}

fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let Error {
        kind,
        reason,
        message,
        field,
        metadata,
        retry_after_ms,
    } = error;
    let class = py
        .import("promosvc.errors")?
        .getattr(class_name(*kind))?
        .cast_into::<PyType>()?;
    let values = PyDict::new(py);
    for (name, value) in metadata {
        values.set_item(name, value)?;
    }
    if let Some(retry_after_ms) = retry_after_ms {
        values.set_item("retry_after_ms", retry_after_ms.to_string())?;
    }
    let arguments = PyDict::new(py);
    arguments.set_item("reason", reason)?;
    arguments.set_item("field", field)?;
    arguments.set_item("metadata", values)?;
    class.call((message,), Some(&arguments))
}
