//! One worker: a thread, a current-thread runtime, its connections and its queue of calls.
//!
//! Nothing is shared between workers but the door's own state, so that a call runs without a lock that another
//! core holds. Calls take turns in the order in which they came, whatever connection they came by. After a time quantum the queue
//! lets the connections run: they send what is answered and take in what has come, so that a call is
//! counted, and shed if there are too many, while others still wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::TcpStream as StdTcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, watch};
use tokio::task::{spawn_local, yield_now};

use crate::config::ListenConfig;
use crate::connection;
use crate::dispatch::Call;
use crate::door::Door;
use crate::log::{self, Level};

/// How long queued calls run before the connections get their turn: some tens of small calls, and
/// far below what anybody calls latency.
const QUANTUM: Duration = Duration::from_micros(200);

/// How far the server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It takes no new connection and finishes what it began.
    Draining,
    /// It drops what is left.
    Abort,
}

/// A socket on its way to its worker, counted there already.
pub(crate) struct Arrival {
    pub(crate) socket: StdTcpStream,
    pub(crate) live: Live,
}

/// What the accept loop knows of a worker.
pub(crate) struct Seat {
    /// Hands sockets over.
    pub(crate) arrivals: UnboundedSender<Arrival>,
    /// Counts live connections.
    pub(crate) load: Arc<Load>,
}

/// The live connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Load {
    live: AtomicUsize,
    fell_to_zero: Notify,
}

impl Load {
    /// Connections now.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Counts one more until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Live {
        self.live.fetch_add(1, Ordering::AcqRel);
        Live {
            load: Arc::clone(self),
        }
    }

    async fn emptied(&self) {
        while self.live() > 0 {
            self.fell_to_zero.notified().await;
        }
    }
}

/// One live connection.
#[derive(Debug)]
pub(crate) struct Live {
    load: Arc<Load>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.load.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.load.fell_to_zero.notify_one();
        }
    }
}

/// What the tasks of one worker share.
pub(crate) struct Worker {
    door: Arc<Door>,
    limits: ListenConfig,
    phase: watch::Receiver<Phase>,
    queue: RefCell<VecDeque<Call>>,
    queue_waker: RefCell<Option<Waker>>,
    unfinished: Cell<usize>,
}

impl Worker {
    /// What calls are answered through.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// What bounds a peer.
    pub(crate) fn limits(&self) -> &ListenConfig {
        &self.limits
    }

    /// Ready once the server is as far as `phase`.
    pub(crate) fn reached(&self, phase: Phase) -> impl Future<Output = ()> + 'static {
        let mut receiver = self.phase.clone();
        async move {
            // A server that is dropped without a stop counts as aborted.
            let _ = receiver.wait_for(|at| *at >= phase).await;
        }
    }

    /// Notes a connection that was cut while it had calls open.
    pub(crate) fn count_unfinished(&self) {
        self.unfinished.set(self.unfinished.get() + 1);
    }

    /// Queues a call.
    pub(crate) fn enqueue(&self, call: Call) {
        self.queue.borrow_mut().push_back(call);
        if let Some(waker) = self.queue_waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn next_call(&self) -> Option<Call> {
        self.queue.borrow_mut().pop_front()
    }

    async fn answer_queued(self: Rc<Self>) {
        loop {
            let mut next = Some(self.queued_call().await);
            let until = Instant::now() + QUANTUM;
            while let Some(call) = next {
                call.answer(&self);
                if Instant::now() >= until {
                    break;
                }
                next = self.next_call();
            }
            yield_now().await;
        }
    }

    async fn queued_call(&self) -> Call {
        poll_fn(|cx| match self.next_call() {
            Some(call) => Poll::Ready(call),
            None => {
                *self.queue_waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

/// A runtime for the present thread.
pub(crate) fn runtime() -> std::io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
}

/// Runs a worker until the server has stopped; how many connections were cut with calls open.
pub(crate) fn run(
    runtime: &LocalRuntime,
    door: Arc<Door>,
    limits: ListenConfig,
    phase: watch::Receiver<Phase>,
    mut arrivals: UnboundedReceiver<Arrival>,
    load: &Load,
) -> usize {
    let worker = Rc::new(Worker {
        door,
        limits,
        phase,
        queue: RefCell::default(),
        queue_waker: RefCell::default(),
        unfinished: Cell::new(0),
    });
    runtime.block_on(async {
        spawn_local(Rc::clone(&worker).answer_queued());
        while let Some(Arrival { socket, live }) = arrivals.recv().await {
            match TcpStream::from_std(socket) {
                Ok(socket) => {
                    let worker = Rc::clone(&worker);
                    spawn_local(async move {
                        connection::serve(socket, worker).await;
                        drop(live);
                    });
                }
                Err(error) => log::line(Level::Warning, "connection_lost", &[("error", &error)]),
            }
        }
        // The accept loop has ended, so nothing arrives any more.
        load.emptied().await;
    });
    worker.unfinished.get()
}
