//! The event log for the offline plane: recorded events and facts of items as Arrow tables.

use promosvc_engine::types::EventKey;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// By what an event is known again.
#[pyfunction]
pub(crate) fn event_key<'py>(
    py: Python<'py>,
    source: &str,
    event_name: &str,
    event_id: &str,
) -> Bound<'py, PyBytes> {
    let EventKey(key) = EventKey::new(source, event_name, event_id);
    PyBytes::new(py, &key.to_be_bytes())
}
