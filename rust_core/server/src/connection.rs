//! One HTTP/2 connection: accepts calls, watches over the peer, says goodbye.
//!
//! A connection is one task. It reads what has come, answers health and admin calls on the spot, and
//! queues the others at its worker, where they take turns with those of other connections. It speaks to the `h2`
//! crate directly: between it and a call stand no service trait, no boxed body and no task for each call,
//! which is where most of a small call's time goes in hyper and tonic (decision 0003).
//!
//! What a peer can hold is bounded: streams, headers, resets before acceptance, the time of the handshake,
//! the time without a call, and the time without an answer to a ping.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, RecvStream};
use http::Request;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::config::ListenConfig;
use crate::dispatch;
use crate::worker::{Phase, Worker};

/// A ping goes out after so long without a sign of life from a peer that has calls open.
const PING_AFTER: Duration = Duration::from_secs(60);
/// A peer that has not answered a ping by then is dead (gRPC's own default).
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// During a drain a connection without calls may take so long to hear GOAWAY; then it is closed, so
/// that a peer that hangs does not hold up the others.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// Bytes that a peer may send ahead, for one call and for all of a connection: room for many small calls, and
/// for one of 4 MiB in a few round trips.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Serves one connection to its end.
pub(crate) async fn serve(socket: TcpStream, worker: Rc<Worker>) {
    let limits = worker.limits();
    let handshake = builder(limits).handshake(socket);
    let handshake_seconds_max = Duration::from_secs(limits.handshake_seconds_max);
    let mut drain = pin!(worker.reached(Phase::Draining));
    let mut abort = pin!(worker.reached(Phase::Abort));
    let mut handshake = pin!(timeout(handshake_seconds_max, handshake));
    // During a drain a handshake may still finish, because the first call may already be on its way behind
    // it and then learns by GOAWAY that it was not taken.
    let mut given_up = pin!(async {
        worker.reached(Phase::Draining).await;
        sleep(GOODBYE_WITHIN).await;
    });
    let http2 = poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(done.ok().and_then(Result::ok)),
        Poll::Pending if abort.as_mut().poll(cx).is_ready() => Poll::Ready(None),
        Poll::Pending => given_up.as_mut().poll(cx).map(|()| None),
    })
    .await;
    let Some(mut http2) = http2 else { return };
    let pings = http2.ping_pong();
    let mut connection = Connection {
        http2,
        pings,
        worker: Rc::clone(&worker),
        is_draining: false,
        idle_max: (limits.idle_seconds_max > 0)
            .then(|| Duration::from_secs(limits.idle_seconds_max)),
        active_at: Instant::now(),
        has_accepted: false,
        accepted: Vec::new(),
        ping: PingState::Quiet,
    };
    let mut timer = pin!(sleep(connection.tick()));
    poll_fn(|cx| {
        if abort.as_mut().poll(cx).is_ready() {
            if connection.http2.has_streams() {
                worker.count_unfinished();
            }
            return Poll::Ready(());
        }
        if !connection.is_draining && drain.as_mut().poll(cx).is_ready() {
            connection.say_goodbye(timer.as_mut());
        }
        connection.poll(cx, timer.as_mut())
    })
    .await;
}

fn builder(limits: &ListenConfig) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_header_list_size(limits.header_bytes_max)
        .max_pending_accept_reset_streams(limits.pending_resets_max)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    builder
}

/// Where the conversation about being alive stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PingState {
    Quiet,
    SentAt(Instant),
}

struct Connection {
    http2: h2::server::Connection<TcpStream, Bytes>,
    pings: Option<PingPong>,
    worker: Rc<Worker>,
    is_draining: bool,
    idle_max: Option<Duration>,
    active_at: Instant,
    has_accepted: bool,
    /// Kept for its memory.
    accepted: Vec<(Request<RecvStream>, SendResponse<Bytes>)>,
    ping: PingState,
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        // Streams are taken in before the first is answered: each look for another stream also sends what
        // is ready, and a write for every answer would cost more than the answer.
        loop {
            let is_over = loop {
                match self.http2.poll_accept(cx) {
                    Poll::Ready(Some(Ok(stream))) => self.accepted.push(stream),
                    // Closed by us after GOAWAY, closed by the peer, or broken: nothing left to serve.
                    Poll::Ready(Some(Err(_)) | None) => break true,
                    Poll::Pending => break false,
                }
            };
            if is_over {
                return Poll::Ready(());
            }
            if self.accepted.is_empty() {
                break;
            }
            self.has_accepted = true;
            for (request, respond) in self.accepted.drain(..) {
                dispatch::accept(&self.worker, request, respond, cx);
            }
        }
        if let (PingState::SentAt(_), Some(pings)) = (self.ping, &mut self.pings)
            && pings.poll_pong(cx).is_ready()
        {
            self.ping = PingState::Quiet;
        }
        while timer.as_mut().poll(cx).is_ready() {
            if self.has_overstayed(timer.as_mut()) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// How often the peer is looked after.
    fn tick(&self) -> Duration {
        match self.idle_max {
            Some(idle_max) => PONG_WITHIN.min(idle_max / 2 + Duration::from_millis(1)),
            None => PONG_WITHIN,
        }
    }

    fn say_goodbye(&mut self, timer: Pin<&mut Sleep>) {
        self.is_draining = true;
        self.http2.graceful_shutdown();
        self.active_at = Instant::now();
        timer.reset(self.active_at + GOODBYE_WITHIN);
    }

    /// Looks after the peer once in a while; whether it must go now.
    fn has_overstayed(&mut self, mut timer: Pin<&mut Sleep>) -> bool {
        let now = Instant::now();
        let has_calls = self.http2.has_streams();
        if self.is_draining {
            timer.as_mut().reset(now + GOODBYE_WITHIN / 4);
            return !has_calls && now >= self.active_at + GOODBYE_WITHIN;
        }
        timer.as_mut().reset(now + self.tick());
        if let PingState::SentAt(at) = self.ping {
            return now >= at + PONG_WITHIN;
        }
        if std::mem::take(&mut self.has_accepted) {
            self.active_at = now;
        }
        let quiet = now.saturating_duration_since(self.active_at);
        if has_calls {
            if quiet >= PING_AFTER
                && let Some(pings) = &mut self.pings
                && pings.send_ping(Ping::opaque()).is_ok()
            {
                self.ping = PingState::SentAt(now);
                self.active_at = now;
            }
        } else if self.idle_max.is_some_and(|idle_max| quiet >= idle_max) {
            self.say_goodbye(timer);
        }
        false
    }
}
