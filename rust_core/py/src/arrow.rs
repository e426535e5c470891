//! Arrow tables across the border, by the C stream capsule (`__arrow_c_stream__`).
//!
//! Reading trusts a producer as far as the C interface makes everybody do: pointers point to what they say. All that can
//! be checked is checked before any value is used: the capsule's name, whether it was already consumed, missing callbacks,
//! the schema, and of every array the offsets, lengths and UTF-8.
//!
//! This is the only place of the crate with `unsafe`, and it stands in one line.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{
    Array, ArrayRef, LargeStringArray, RecordBatch, RecordBatchIterator, RecordBatchReader,
    StringArray, StringViewArray,
};
use arrow_schema::{DataType, Field, Schema};
use promosvc_engine::error::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

use crate::errors::{to_python, wrong};

const STREAM_NAME: &CStr = c"arrow_array_stream";

/// An answer as an Arrow table. Read it with `pyarrow.table(answer)` or `polars.from_arrow(answer)`.
#[pyclass(frozen, module = "promosvc._core")]
pub(crate) struct ArrowTable {
    batch: RecordBatch,
}

impl ArrowTable {
    pub(crate) fn new(batch: RecordBatch) -> Self {
        Self { batch }
    }
}

#[pymethods]
impl ArrowTable {
    /// A new stream over the table. `requested_schema` is ignored, as the protocol allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let schema = self.batch.schema();
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], schema);
        // Dropping the capsule drops the stream, which releases it unless a consumer took it over.
        PyCapsule::new_with_value(
            py,
            FFI_ArrowArrayStream::new(Box::new(batches)),
            STREAM_NAME,
        )
    }

    /// Number of rows.
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }
}

/// A table of columns without nulls.
pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> Result<ArrowTable> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, DataType::clone(column.data_type()), false))
        .collect();
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map(ArrowTable::new)
        .map_err(|error| Error::new(ErrorKind::Internal, "ANSWER_MALFORMED", error.to_string()))
}

/// The users as `Engine.recommend` reads them: one column, `user_id`.
#[pyfunction]
pub(crate) fn read_users(users: &Bound<'_, PyAny>) -> PyResult<ArrowTable> {
    let ids = read_strings("users", "user_id", users)?;
    let field = Field::new("user_id", DataType::Utf8, false);
    let column: ArrayRef = Arc::new(StringArray::from(ids));
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column])
        .map(ArrowTable::new)
        .map_err(|error| {
            let error = malformed("users", &error.to_string());
            to_python(users.py(), error)
        })
}

/// Reads the one string column `column` of anything with `__arrow_c_stream__`; `name` is the argument.
///
/// Takes utf8, large_utf8 and utf8_view, in any number of batches, sliced or not. Refuses nulls.
pub(crate) fn read_strings(
    name: &str,
    column: &str,
    object: &Bound<'_, PyAny>,
) -> PyResult<Vec<String>> {
    let stream = take_stream(name, object)?;
    let py = object.py();
    // Decoding runs the producer's callbacks, which may need the interpreter: they take it themselves.
    py.detach(|| {
        // arrow-rs asserts some of what a broken producer can break; an assertion must not cross the border.
        std::panic::catch_unwind(AssertUnwindSafe(|| decode_strings(name, column, stream)))
            .unwrap_or_else(|_| Err(malformed(name, "holds arrays that contradict their schema")))
    })
    .map_err(|error| to_python(py, error))
}

/// Moves the stream out of the object's capsule; the capsule is empty afterwards, as the protocol wants.
fn take_stream(name: &str, object: &Bound<'_, PyAny>) -> PyResult<FFI_ArrowArrayStream> {
    let py = object.py();
    let refuse = |message: String| Err(to_python(py, wrong(name, "NOT_AN_ARROW_STREAM", message)));
    let type_name = object.get_type().name()?.to_string();
    if !object.hasattr("__arrow_c_stream__")? {
        return refuse(format!(
            "is a {type_name}, which has no __arrow_c_stream__; give a pyarrow, polars or pandas table"
        ));
    }
    let answer = object.call_method0("__arrow_c_stream__")?;
    let Ok(capsule) = answer.cast::<PyCapsule>() else {
        return refuse(format!(
            "__arrow_c_stream__ of {type_name} gave a {}; it must give a capsule",
            answer.get_type().name()?
        ));
    };
    let Ok(pointer) = capsule.pointer_checked(Some(STREAM_NAME)) else {
        return refuse(format!(
            "__arrow_c_stream__ of {type_name} gave a capsule of another name; it must be \"arrow_array_stream\""
        ));
    };
    let pointer = pointer.cast::<FFI_ArrowArrayStream>();
    if !pointer.is_aligned() {
        return refuse("the stream's address is not aligned".to_owned());
    }
    // SAFETY: a capsule of this name holds, by the Arrow PyCapsule protocol, a valid `ArrowArrayStream`, which lives as
    // long as the capsule; the pointer is not null and aligned, and we hold the interpreter, so nobody else moves it now.
    Ok(unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) })
}

fn decode_strings(name: &str, column: &str, stream: FFI_ArrowArrayStream) -> Result<Vec<String>> {
    let reader = RecordBatchStreamReader::try_new(stream)
        .map_err(|error| malformed(name, &error.to_string()))?;
    let schema = reader.schema();
    let fields = schema.fields();
    let is_string = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    };
    if fields.len() != 1 || fields[0].name() != column || !is_string(fields[0].data_type()) {
        let found: Vec<String> = fields
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect();
        return Err(wrong(
            name,
            "WRONG_SCHEMA",
            format!(
                "has columns [{}]; it must have exactly one string column, {column}",
                found.join(", ")
            ),
        )
        .with("value", found.join(", ")));
    }
    let mut strings = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| malformed(name, &error.to_string()))?;
        let array = Arc::clone(batch.column(0));
        array
            .to_data()
            .validate_full()
            .map_err(|error| malformed(name, &error.to_string()))?;
        if array.null_count() > 0 {
            return Err(wrong(
                format!("{name}.{column}"),
                "NULL_VALUE",
                format!(
                    "has {} nulls; every row must have a value",
                    array.null_count()
                ),
            ));
        }
        let any = array.as_any();
        if let Some(array) = any.downcast_ref::<StringArray>() {
            strings.extend(array.iter().flatten().map(str::to_owned));
        } else if let Some(array) = any.downcast_ref::<LargeStringArray>() {
            strings.extend(array.iter().flatten().map(str::to_owned));
        } else if let Some(array) = any.downcast_ref::<StringViewArray>() {
            strings.extend(array.iter().flatten().map(str::to_owned));
        }
    }
    Ok(strings)
}

fn malformed(name: &str, what: &str) -> Error {
    wrong(name, "MALFORMED_ARROW", what)
}
