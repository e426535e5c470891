//! The callers and what they measure.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use hdrhistogram::Histogram;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{Method, Request, Uri, Version};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep_until;

use crate::arguments::{Arguments, Until};
use crate::work::{Recorded, Work};

/// What the peer may send ahead: enough that it never waits for us.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// Latencies are kept to three digits.
const DIGITS: u8 = 3;
/// An hour; what takes longer counts as an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// What was counted after the warm-up.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) latency_ns: Histogram<u64>,
    pub(crate) statuses: BTreeMap<String, u64>,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) response_bytes: u64,
    pub(crate) recorded: Option<Recorded>,
    /// Processor time of this thread, and time that it was ready and waited for a core; `None` where
    /// the system does not tell.
    pub(crate) scheduling: Option<Scheduling>,
}

/// Where a thread's time went.
#[derive(Clone, Copy)]
pub(crate) struct Scheduling {
    pub(crate) running: Duration,
    pub(crate) waiting: Duration,
}

/// What all callers share; one thread, so cells do.
struct Shared {
    work: Work,
    uri: Uri,
    pace: Option<Pace>,
    warmup_left: Cell<u64>,
    until: Until,
    counted_left: Cell<u64>,
    began: Cell<Option<Instant>>,
    ended: Cell<Option<Instant>>,
    scheduling_before: Cell<Option<Scheduling>>,
    latency_ns: RefCell<Histogram<u64>>,
    statuses: RefCell<BTreeMap<u16, u64>>,
    errors: RefCell<BTreeMap<String, u64>>,
    response_bytes: Cell<u64>,
}

/// When calls are due, where they do not wait for each other.
struct Pace {
    began: Instant,
    between: Duration,
    next: Cell<u32>,
}

/// A gRPC status that never came, in `statuses`.
pub(crate) const NO_STATUS: u16 = u16::MAX;

/// Runs all callers to the end.
pub(crate) fn run(arguments: &Arguments, work: Work) -> Result<Measured, String> {
    let uri = uri(&arguments.address, &arguments.method)?;
    let histogram = histogram()?;
    let shared = Rc::new(Shared {
        work,
        uri,
        pace: arguments.rate_per_second.map(|rate| Pace {
            began: Instant::now(),
            between: Duration::from_secs_f64(1.0 / rate),
            next: Cell::new(0),
        }),
        warmup_left: Cell::new(arguments.warmup),
        until: arguments.until,
        counted_left: Cell::new(match arguments.until {
            Until::Requests(count) => count,
            Until::Elapsed(_) => u64::MAX,
        }),
        began: Cell::new((arguments.warmup == 0).then(Instant::now)),
        ended: Cell::new(None),
        scheduling_before: Cell::new(scheduling()),
        latency_ns: RefCell::new(histogram),
        statuses: RefCell::default(),
        errors: RefCell::default(),
        response_bytes: Cell::new(0),
    });
    on_one_thread(async {
        let mut callers: Vec<JoinHandle<()>> = Vec::new();
        for _ in 0..arguments.connections {
            let sender = connect(&arguments.address).await?;
            for _ in 0..arguments.in_flight {
                callers.push(spawn_local(call_until_done(
                    sender.clone(),
                    Rc::clone(&shared),
                )));
            }
        }
        for caller in callers {
            caller.await.map_err(|error| error.to_string())?;
        }
        Ok(())
    })?;
    Ok(shared.measured())
}

/// An empty histogram of latencies in nanoseconds.
pub(crate) fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).map_err(|error| error.to_string())
}

/// Where a method is called.
pub(crate) fn uri(address: &str, method: &str) -> Result<Uri, String> {
    format!("http://{address}{method}")
        .parse()
        .map_err(|error| format!("{address}: {error}"))
}

/// Runs a future with all that it spawns.
pub(crate) fn on_one_thread<Output>(
    future: impl Future<Output = Result<Output, String>>,
) -> Result<Output, String> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .map_err(|error| error.to_string())?
        .block_on(future)
}

/// Opens a connection.
pub(crate) async fn connect(address: &str) -> Result<SendRequest<Bytes>, String> {
    let named = |error: &dyn std::fmt::Display| format!("{address}: {error}");
    let socket = TcpStream::connect(address)
        .await
        .map_err(|error| named(&error))?;
    socket.set_nodelay(true).map_err(|error| named(&error))?;
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false)
        .handshake(socket)
        .await
        .map_err(|error| named(&error))?;
    // A connection that ends early shows as errors of its callers.
    spawn_local(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

async fn call_until_done(mut sender: SendRequest<Bytes>, shared: Rc<Shared>) {
    let mut answer = Vec::new();
    while shared.wants_more() {
        let began = match &shared.pace {
            None => Instant::now(),
            Some(pace) => {
                let due = pace.due();
                sleep_until(due.into()).await;
                if !shared.wants_more() {
                    return;
                }
                due
            }
        };
        answer.clear();
        match call(&mut sender, &shared.uri, shared.work.request(), &mut answer).await {
            Ok(status) => {
                shared.work.answered(status, &answer);
                shared.count(began, status, answer.len() as u64);
            }
            Err(error) => {
                *shared
                    .errors
                    .borrow_mut()
                    .entry(error.to_string())
                    .or_default() += 1;
                // A connection that fails once will not come back.
                return;
            }
        }
    }
}

/// One unary call: gives its gRPC status and appends its answer, as framed by gRPC.
pub(crate) async fn call(
    sender: &mut SendRequest<Bytes>,
    uri: &Uri,
    request: Bytes,
    answer: &mut Vec<u8>,
) -> Result<u16, h2::Error> {
    poll_fn(|cx| sender.poll_ready(cx)).await?;
    let (response, mut stream) = sender.send_request(head(uri), false)?;
    stream.send_data(request, true)?;
    let (head, mut body) = response.await?.into_parts();
    if let Some(status) = grpc_status(&head.headers) {
        return Ok(status);
    }
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        answer.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len())?;
    }
    let status = body
        .trailers()
        .await?
        .and_then(|trailers| grpc_status(&trailers));
    Ok(status.unwrap_or(NO_STATUS))
}

fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn head(uri: &Uri) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    request
}

impl Pace {
    /// When the next call is due; each asks once.
    fn due(&self) -> Instant {
        let number = self.next.replace(self.next.get() + 1);
        self.began + self.between * number
    }
}

impl Shared {
    fn wants_more(&self) -> bool {
        if self.ended.get().is_some() {
            return false;
        }
        match (self.until, self.began.get()) {
            (Until::Elapsed(limit), Some(began)) if began.elapsed() >= limit => {
                self.ended.set(Some(Instant::now()));
                false
            }
            _ => true,
        }
    }

    fn count(&self, call_began: Instant, status: u16, bytes: u64) {
        let now = Instant::now();
        if self.warmup_left.get() > 0 {
            self.warmup_left.set(self.warmup_left.get() - 1);
            if self.warmup_left.get() == 0 {
                self.began.set(Some(now));
                self.scheduling_before.set(scheduling());
            }
            return;
        }
        // Callers that were still waiting when the end came are not counted.
        if self.ended.get().is_some() {
            return;
        }
        let nanoseconds = (now - call_began).as_nanos() as u64;
        self.latency_ns.borrow_mut().saturating_record(nanoseconds);
        *self.statuses.borrow_mut().entry(status).or_default() += 1;
        self.response_bytes.set(self.response_bytes.get() + bytes);
        self.counted_left.set(self.counted_left.get() - 1);
        if self.counted_left.get() == 0 {
            self.ended.set(Some(now));
        }
    }

    fn measured(&self) -> Measured {
        let ended = self.ended.get().unwrap_or_else(Instant::now);
        let seconds = self
            .began
            .get()
            .map_or(Duration::ZERO, |began| ended - began)
            .as_secs_f64();
        Measured {
            seconds,
            latency_ns: self.latency_ns.borrow().clone(),
            statuses: self
                .statuses
                .borrow()
                .iter()
                .map(|(status, count)| match *status {
                    NO_STATUS => ("none".to_owned(), *count),
                    status => (status.to_string(), *count),
                })
                .collect(),
            errors: self.errors.borrow().clone(),
            response_bytes: self.response_bytes.get(),
            recorded: self.work.recorded(),
            scheduling: scheduling()
                .zip(self.scheduling_before.get())
                .map(|(after, before)| Scheduling {
                    running: after.running.saturating_sub(before.running),
                    waiting: after.waiting.saturating_sub(before.waiting),
                }),
        }
    }
}

/// Linux: nanoseconds on a core, nanoseconds waiting for one (Documentation/scheduler/sched-stats).
fn scheduling() -> Option<Scheduling> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_whitespace().map(|word| word.parse().ok());
    Some(Scheduling {
        running: Duration::from_nanos(numbers.next()??),
        waiting: Duration::from_nanos(numbers.next()??),
    })
}
