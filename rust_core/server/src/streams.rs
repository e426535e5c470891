//! The two calls that last: Watch of health, and reflection.
//!
//! Each is a task of its own. They end when a drain begins (UNAVAILABLE, so that a client asks another
//! server), because a watcher who stays would hold up the drain for ever.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use promosvc_engine::error::{Error, ErrorKind};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep_until;

use crate::call::Answered;
use crate::deadline;
use crate::framing::{
    MessageReader, ReadError, seal, send_headers, send_late_error, send_ok, send_patiently,
    unsealed,
};
use crate::health::{Life, decode_service, watched};
use crate::method::Method;
use crate::worker::{Phase, Worker};

/// How a stream ends.
type End = std::result::Result<(), ReadError>;

/// Serves a streaming call in a task.
pub(crate) fn spawn(
    worker: &Rc<Worker>,
    method: Method,
    deadline: Option<Instant>,
    mut reader: MessageReader,
    mut respond: SendResponse<Bytes>,
) {
    let worker = Rc::clone(worker);
    spawn_local(async move {
        let Some(mut stream) = send_headers(&mut respond) else {
            return;
        };
        let end = {
            let mut drain = pin!(worker.reached(Phase::Draining));
            let mut late = pin!(until(deadline));
            let mut serve = pin!(async {
                if method == Method::HealthWatch {
                    watch(&worker, &mut reader, &mut stream).await
                } else {
                    reflect(&worker, method, &mut reader, &mut stream).await
                }
            });
            poll_fn(|cx| {
                if let Poll::Ready(end) = serve.as_mut().poll(cx) {
                    return Poll::Ready(end);
                }
                if drain.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(ReadError::Refused(draining())));
                }
                late.as_mut()
                    .poll(cx)
                    .map(|()| Err(ReadError::Refused(deadline::passed("the stream had ended"))))
            })
            .await
        };
        match end {
            Ok(()) => send_ok(&mut stream),
            Err(ReadError::Refused(error)) => send_late_error(&mut stream, &error),
            Err(ReadError::Gone) => {}
        }
    });
}

async fn watched_service(reader: &mut MessageReader) -> std::result::Result<String, ReadError> {
    let mut first = None;
    let request = poll_fn(|cx| reader.poll_unary(&mut first, cx)).await?;
    decode_service(&request).map_err(ReadError::Refused)
}

/// Sends the status now and at each change, until a drain.
async fn watch(worker: &Worker, reader: &mut MessageReader, stream: &mut SendStream<Bytes>) -> End {
    let service = watched_service(reader).await?;
    let mut life = worker.door().health().subscribe();
    let mut last = Vec::new();
    loop {
        let now = *life.borrow_and_update();
        let mut answer = unsealed();
        watched(&service, now, &mut answer);
        if answer != last {
            last.clone_from(&answer);
            if !send_patiently(stream, seal(answer)).await {
                return Err(ReadError::Gone);
            }
        }
        if now == Life::Draining {
            return Err(ReadError::Refused(draining()));
        }
        changed_or_gone(&mut life, stream).await?;
    }
}

async fn changed_or_gone(life: &mut watch::Receiver<Life>, stream: &mut SendStream<Bytes>) -> End {
    let mut changed = pin!(life.changed());
    poll_fn(|cx| {
        if stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(ReadError::Gone));
        }
        changed
            .as_mut()
            .poll(cx)
            .map(|changed| changed.map_err(|_| ReadError::Gone))
    })
    .await
}

/// Answers each request of the stream with one response.
async fn reflect(
    worker: &Worker,
    method: Method,
    reader: &mut MessageReader,
    stream: &mut SendStream<Bytes>,
) -> End {
    while let Some(request) = reader.message().await? {
        let mut answer = unsealed();
        let answered = worker.door().answer(method, &request, None, &mut answer);
        match answered.map_err(ReadError::Refused)? {
            Answered::Ready => {}
            // No stream writes anything; if one did, its answer would be waited for.
            Answered::Pending(ticket) => {
                let redeemed = ticket.redeem(&mut answer).await;
                redeemed.map_err(ReadError::Refused)?;
            }
        }
        if !send_patiently(stream, seal(answer)).await {
            return Err(ReadError::Gone);
        }
    }
    Ok(())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn draining() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "DRAINING",
        "the server is stopping; ask another one",
    )
}
