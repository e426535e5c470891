//! The accept loop: one thread hands each socket to the worker with the fewest live connections.
//!
//! One queue for all workers follows capacity; a listener for each worker (SO_REUSEPORT) would pin a
//! connection by its hash, whatever the load, and hide a port that is taken.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener as StdTcpListener;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::log::{self, Level};
use crate::worker::{Arrival, Phase, Seat};

/// When the system cannot give a socket (too many files), trying again at once would only spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
/// What goes wrong with every socket is said once in so long.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Accepts until the drain begins.
pub(crate) async fn run(
    listener: StdTcpListener,
    seats: &[Seat],
    connections_max: usize,
    mut phase: watch::Receiver<Phase>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::line(Level::Error, "accept_failed", &[("error", &error)]),
    };
    let mut drain = pin!(phase.wait_for(|phase| *phase >= Phase::Draining));
    let mut complaints = Complaints::default();
    loop {
        let accepted = poll_fn(|cx| {
            if drain.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        })
        .await;
        match accepted {
            None => return,
            Some(Ok((socket, _))) => {
                if let Err(refusal) = seat(socket, seats, connections_max) {
                    complaints.say("connection_refused", &refusal);
                }
            }
            Some(Err(error)) if is_about_one_peer(&error) => {}
            Some(Err(error)) => {
                complaints.say("accept_failed", &error);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

fn seat(socket: TcpStream, seats: &[Seat], connections_max: usize) -> io::Result<()> {
    let live: usize = seats.iter().map(|seat| seat.load.live()).sum();
    if live >= connections_max {
        return Err(io::Error::other(format!(
            "{live} connections are open; the maximum is {connections_max}"
        )));
    }
    let Some(seat) = seats.iter().min_by_key(|seat| seat.load.live()) else {
        return Err(io::Error::other("there is no worker"));
    };
    socket.set_nodelay(true)?;
    let arrival = Arrival {
        socket: socket.into_std()?,
        live: seat.load.enter(),
    };
    seat.arrivals
        .send(arrival)
        .map_err(|_| io::Error::other("the worker has ended"))
}

/// The peer went away between its SYN and our accept.
fn is_about_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Says what goes wrong, but not thousands of times.
#[derive(Default)]
struct Complaints {
    said_at: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    fn say(&mut self, event: &str, error: &io::Error) {
        if self.said_at.is_some_and(|at| at.elapsed() < SAY_EVERY) {
            self.unsaid += 1;
            return;
        }
        let unsaid = std::mem::take(&mut self.unsaid);
        self.said_at = Some(Instant::now());
        log::line(
            Level::Warning,
            event,
            &[("error", error), ("not_said_before", &unsaid)],
        );
    }
}
