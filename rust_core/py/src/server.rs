//! The native server, and the door that the grpcio server hands its bytes to.
//!
//! Python starts, configures and stops; no call of a client comes through here, but through `Door` those of the grpcio
//! door. Both know their process and refuse a forked child (the server crate sees to it).

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_server::{CallResult, ServerConfig};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{to_python, wrong};

/// The native server: accepts, answers, stops; all in Rust threads that never need the interpreter.
#[pyclass(frozen, module = "promosvc._core")]
pub(crate) struct Server {
    config: ServerConfig,
    /// Held while starting, so that two threads cannot start two servers.
    starting: Mutex<()>,
    running: OnceLock<promosvc_server::Server>,
}

#[pymethods]
impl Server {
    /// Reads the configuration; nothing is started yet.
    #[new]
    fn new(py: Python<'_>, config_json: &str) -> PyResult<Self> {
        let config = ServerConfig::from_json(config_json).map_err(|error| to_python(py, error))?;
        Ok(Self {
            config,
            starting: Mutex::new(()),
            running: OnceLock::new(),
        })
    }

    /// Binds and serves; the address with its port.
    fn start(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.start_once())
            .map_err(|error| to_python(py, error))
    }

    /// Drains for at most `grace_seconds`; whether every call was finished.
    fn stop(&self, py: Python<'_>, grace_seconds: f64) -> PyResult<bool> {
        py.detach(|| {
            let grace = seconds("grace_seconds", grace_seconds)?;
            self.running
                .get()
                .map_or(Ok(true), |server| server.stop(grace))
        })
        .map_err(|error| to_python(py, error))
    }
}

impl Server {
    fn start_once(&self) -> Result<String> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.running.get().is_some() {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                "ALREADY_STARTED",
                "this server was started before; make a new one to serve again",
            ));
        }
        let server = promosvc_server::Server::start(self.config.clone())?;
        Ok(self.running.get_or_init(|| server).address().to_string())
    }
}

/// One engine with its clock, snapshots and limits, without a listener.
#[pyclass(frozen, module = "promosvc._core")]
pub(crate) struct Door {
    door: promosvc_server::Door,
}

#[pymethods]
impl Door {
    /// Reads the configuration and takes the published snapshot.
    #[new]
    fn new(py: Python<'_>, config_json: &str) -> PyResult<Self> {
        py.detach(|| promosvc_server::Door::new(ServerConfig::from_json(config_json)?))
            .map(|door| Self { door })
            .map_err(|error| to_python(py, error))
    }

    /// Answers one call.
    #[pyo3(signature = (method, request, metadata, timeout_seconds))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        request: &Bound<'py, PyBytes>,
        metadata: Vec<(String, Vec<u8>)>,
        timeout_seconds: Option<f64>,
    ) -> PyResult<Answer<'py>> {
        let deadline = timeout_seconds
            .map(deadline)
            .transpose()
            .map_err(|error| to_python(py, error))?
            .flatten();
        let bytes = request.as_bytes();
        let CallResult {
            code,
            message,
            trailing_metadata,
            response,
        } = py.detach(|| self.door.call(method, bytes, &metadata, deadline));
        let trailing_metadata = trailing_metadata
            .into_iter()
            .map(|(key, value)| (key, PyBytes::new(py, &value)))
            .collect();
        Ok((
            code,
            message,
            trailing_metadata,
            PyBytes::new(py, &response),
        ))
    }

    /// Says NOT_SERVING from now on; what is asked is still answered.
    fn drain(&self) {
        self.door.drain();
    }

    /// Ends recording once what waits is written; whether that was done within the grace.
    fn close(&self, py: Python<'_>, grace_seconds: f64) -> PyResult<bool> {
        py.detach(|| {
            let grace = seconds("grace_seconds", grace_seconds)?;
            Ok(self.door.close(grace))
        })
        .map_err(|error| to_python(py, error))
    }
}

/// `(code, message, trailing metadata, response)`.
type Answer<'py> = (
    i32,
    String,
    Vec<(String, Bound<'py, PyBytes>)>,
    Bound<'py, PyBytes>,
);

/// When the time is up: now, if it is up already.
fn deadline(timeout_seconds: f64) -> Result<Option<Instant>> {
    let left = if timeout_seconds < 0.0 {
        0.0
    } else {
        timeout_seconds
    };
    Ok(Instant::now().checked_add(seconds("timeout_seconds", left)?))
}

/// Longer waits are cut to this, so that adding one to a time cannot overflow: ten years.
const SECONDS_MAX: f64 = 315_360_000.0;

fn seconds(field: &str, value: f64) -> Result<Duration> {
    if value.is_nan() || value < 0.0 {
        return Err(wrong(
            field,
            "OUT_OF_RANGE",
            format!("is {value}; it must be at least 0"),
        )
        .with("value", value));
    }
    Ok(Duration::from_secs_f64(value.min(SECONDS_MAX)))
}
