//! The binding `promosvc._core`: checks dtype, shape and contiguity, views, lets go of the interpreter, calls, and
//! names the error. Arithmetic and business words are on the other side.
//!
//! Nothing is started at import. Classes are frozen. What owns threads refuses to work in a forked child
//! ([`server`]). Arrow data crosses by the C stream capsule ([`arrow`]), the only place with `unsafe`.

mod arrays;
mod arrow;
mod decisions;
mod engine;
mod errors;
mod event_log;
mod server;
mod similarity;

use pyo3::prelude::*;

/// The Rust core of promosvc; `_core.pyi` documents it.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<arrow::ArrowTable>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<server::Door>()?;
    module.add_class::<server::Server>()?;
    module.add_function(wrap_pyfunction!(engine::verify_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(decisions::read_decisions, module)?)?;
    module.add_function(wrap_pyfunction!(decisions::replay_decisions, module)?)?;
    module.add_function(wrap_pyfunction!(errors::error_kinds, module)?)?;
    module.add_function(wrap_pyfunction!(arrow::read_users, module)?)?;
    module.add_function(wrap_pyfunction!(event_log::event_key, module)?)?;
    module.add_function(wrap_pyfunction!(event_log::log_holder, module)?)?;
    module.add_function(wrap_pyfunction!(event_log::read_event_log, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::item_neighbours, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::user_neighbours, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::turned_neighbours, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::textbook_neighbours, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::top_products, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::dense_products, module)?)?;
    Ok(())
}
