//! The answer to a durable write, which waits for the disk.
//!
//! The native door awaits it in a task of its own; the grpcio door blocks on it. Either way the call stays in flight until
//! it is answered, and whatever becomes of the caller meanwhile changes nothing about what is written.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use promosvc_engine::error::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::record_events::JudgedEvents;

/// Redeemed for the answer once the write is durable, or has failed.
#[derive(Debug)]
pub(crate) struct Ticket {
    outcome: oneshot::Receiver<Result<Outcome>>,
}

/// Where the sequencer puts the outcome.
#[derive(Debug)]
pub(super) struct Reply {
    outcome: oneshot::Sender<Result<Outcome>>,
}

/// What a write came to. It is encoded by the thread that answers, not by the sequencer.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The verdicts of events.
    Events(JudgedEvents),
    /// An answer that was encoded before, because it stands in the log.
    Encoded(Arc<[u8]>),
    /// Nothing to tell.
    Done,
}

/// A ticket and where its outcome goes.
pub(super) fn ticket() -> (Reply, Ticket) {
    let (sender, receiver) = oneshot::channel();
    (Reply { outcome: sender }, Ticket { outcome: receiver })
}

impl Reply {
    /// Releases the ticket. Nobody may be waiting any more, which is no concern of the writer.
    pub(super) fn release(self, outcome: Result<Outcome>) {
        let _ = self.outcome.send(outcome);
    }
}

impl Ticket {
    /// Waits, then appends the encoded answer.
    pub(crate) async fn redeem(self, out: &mut Vec<u8>) -> Result<()> {
        match self
            .outcome
            .await
            .unwrap_or_else(|_| Err(sequencer_lost()))?
        {
            Outcome::Events(judged) => judged.encode_answer(out),
            Outcome::Encoded(answer) => out.extend_from_slice(&answer),
            Outcome::Done => {}
        }
        Ok(())
    }

    /// The same on a thread that has nothing else to do, whatever runtime it may belong to.
    pub(crate) fn redeem_blocking(self, out: &mut Vec<u8>) -> Result<()> {
        let waker = Waker::from(Arc::new(Unparking(thread::current())));
        let mut redeemed = pin!(self.redeem(out));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = redeemed.as_mut().poll(&mut context) {
                return result;
            }
            thread::park();
        }
    }
}

struct Unparking(Thread);

impl Wake for Unparking {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn sequencer_lost() -> Error {
    Error::new(
        ErrorKind::Internal,
        "SEQUENCER_LOST",
        "the thread that writes the event log ended without an answer; whether the write is durable shows when it is \
         repeated",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_waits_for_its_outcome() {
        let (reply, ticket) = ticket();
        let waiting = thread::spawn(move || {
            let mut answer = vec![1];
            ticket.redeem_blocking(&mut answer).map(|()| answer)
        });
        reply.release(Ok(Outcome::Encoded(Arc::new([2, 3]))));
        let answer = waiting.join().expect("no panic");
        assert_eq!(answer, Ok(vec![1, 2, 3]));
    }

    #[test]
    fn a_lost_sequencer_is_no_silence() {
        let (reply, ticket) = ticket();
        drop(reply);
        let error = ticket.redeem_blocking(&mut Vec::new()).unwrap_err();
        assert_eq!(error.reason, "SEQUENCER_LOST");
    }
}
