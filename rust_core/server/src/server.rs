//! Starts and stops the native door.
//!
//! Threads: one accepts, W answer (each with a current-thread runtime of its own), one follows
//! snapshots. A stop goes: health says NOT_SERVING, the listener closes, each connection is sent GOAWAY, calls
//! finish; whatever is left at the end of the grace is cut. No step waits for a peer without a bound, so
//! that a peer that hangs cannot keep the process alive.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use promosvc_engine::error::{Error, ErrorKind, Result};
use socket2::{Domain, Socket, Type};
use tokio::sync::{mpsc as async_mpsc, watch};

use crate::accept;
use crate::config::{ListenConfig, ServerConfig};
use crate::door::Door;
use crate::ends::Ends;
use crate::fork::Owner;
use crate::health::Life;
use crate::worker::{self, Load, Phase, Seat};

/// Connections that wait to be accepted: a burst of clients that all come back after a restart.
const BACKLOG: i32 = 1_024;
/// After the cut, threads end at once unless a handler hangs; then they are left behind.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A running server.
pub struct Server {
    owner: Owner,
    address: SocketAddr,
    door: Arc<Door>,
    phase: watch::Sender<Phase>,
    ends: Arc<Ends>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Binds, takes the published snapshot, and answers calls by the time it returns.
    ///
    /// # Errors
    /// `ADDRESS_NOT_LOOPBACK`, `ADDRESS_INVALID`, `ADDRESS_IN_USE`, `BIND_FAILED`, `CONFIG_INVALID`, and
    /// what the engine says of placements.
    pub fn start(config: ServerConfig) -> Result<Server> {
        let limits = config.server.clone();
        limits.check()?;
        let listener = bind(limits.socket_address()?)?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::io("the listener", &error))?;
        let mut starting = Starting {
            phase: watch::Sender::new(Phase::Serving),
            ends: Arc::new(Ends::default()),
            threads: Vec::new(),
        };
        let door = Arc::new(Door::new(config)?);
        let seats = (0..limits.worker_count())
            .map(|index| starting.seat(index, &door, &limits))
            .collect::<Result<Vec<_>>>()?;
        starting.accept(listener, seats, limits.connections_max)?;
        Ok(Server {
            owner: Owner::this_process(),
            address,
            door,
            phase: starting.phase,
            ends: starting.ends,
            threads: Mutex::new(starting.threads),
        })
    }

    /// The bound address, with the port that the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The door that this server answers through.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Drains, and cuts what is left after `grace`; whether all calls were finished. Returns within about
    /// `grace`. May be called again, also while another call waits: the shorter grace holds.
    ///
    /// # Errors
    /// `FORKED` in a forked child.
    pub fn stop(&self, grace: Duration) -> Result<bool> {
        self.owner.check()?;
        let began = Instant::now();
        self.door.health().advance(Life::Draining);
        self.advance(Phase::Draining);
        let has_ended = self.ends.wait(grace) || {
            self.advance(Phase::Abort);
            self.ends.wait(END_WITHIN)
        };
        // Whoever might still write has ended or was cut off.
        let has_closed = self.door.close(grace.saturating_sub(began.elapsed()));
        if !has_ended {
            return Ok(false);
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
        Ok(has_closed && self.ends.unfinished() == 0)
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let moves = to > *phase;
            if moves {
                *phase = to;
            }
            moves
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In a forked child there are no threads to end.
        if self.owner.is_here() {
            let _ = self.stop(Duration::ZERO);
        }
    }
}

/// Threads started so far. Dropped half way, its `phase` ends them.
struct Starting {
    phase: watch::Sender<Phase>,
    ends: Arc<Ends>,
    threads: Vec<JoinHandle<()>>,
}

impl Starting {
    fn seat(&mut self, index: usize, door: &Arc<Door>, limits: &ListenConfig) -> Result<Seat> {
        let (arrivals, receiver) = async_mpsc::unbounded_channel();
        let load = Arc::new(Load::default());
        let seat = Seat {
            arrivals,
            load: Arc::clone(&load),
        };
        let door = Arc::clone(door);
        let limits = limits.clone();
        let phase = self.phase.subscribe();
        self.thread(format!("promosvc-worker-{index}"), move |runtime| {
            worker::run(runtime, door, limits, phase, receiver, &load)
        })?;
        Ok(seat)
    }

    fn accept(
        &mut self,
        listener: TcpListener,
        seats: Vec<Seat>,
        connections_max: usize,
    ) -> Result<()> {
        let phase = self.phase.subscribe();
        self.thread("promosvc-accept".to_owned(), move |runtime| {
            runtime.block_on(accept::run(listener, &seats, connections_max, phase));
            0
        })
    }

    /// Starts a thread with a runtime of its own; `body` returns how much it left unfinished.
    fn thread(
        &mut self,
        name: String,
        body: impl FnOnce(&tokio::runtime::LocalRuntime) -> usize + Send + 'static,
    ) -> Result<()> {
        let (ready, is_ready) = mpsc::channel();
        let end = self.ends.begin();
        let failed = |error| Error::io(format!("thread {name}"), &error);
        let thread = thread::Builder::new()
            .name(name.clone())
            .spawn(move || match worker::runtime() {
                Ok(runtime) => {
                    let _ = ready.send(Ok(()));
                    let unfinished = body(&runtime);
                    // Its tasks and sockets are gone before the end is told.
                    drop(runtime);
                    end.note(unfinished);
                }
                Err(error) => {
                    end.note(0);
                    let _ = ready.send(Err(error));
                }
            })
            .map_err(failed)?;
        self.threads.push(thread);
        match is_ready.recv() {
            Ok(started) => started.map_err(failed),
            Err(_) => Err(Error::new(
                ErrorKind::Internal,
                "THREAD_LOST",
                format!("thread {name} ended before it began"),
            )),
        }
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    listen(address).map_err(|error| {
        let (kind, reason) = match error.kind() {
            std::io::ErrorKind::AddrInUse => (ErrorKind::Unavailable, "ADDRESS_IN_USE"),
            _ => (ErrorKind::Io, "BIND_FAILED"),
        };
        Error {
            field: "server.port".to_owned(),
            ..Error::new(
                kind,
                reason,
                format!(
                    "server.port is {}; {address} cannot be bound: {error}",
                    address.port()
                ),
            )
            .with("value", address)
        }
    })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the last connections of the process before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
