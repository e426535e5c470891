//! From an accepted HTTP/2 stream to its answer.
//!
//! The headers are judged first, then the call is let in or shed, then its message is read, and only
//! then does it queue: a call never waits for its body in front of others. Health, reflection and admin calls
//! skip the queue and the cap, so that an overloaded server can still be asked how it is.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method as HttpMethod, Request, Response, StatusCode, request};
use promosvc_engine::error::{Error, ErrorKind};
use tokio::task::spawn_local;
use tokio::time::{sleep_until, timeout};

use crate::admission::InFlight;
use crate::call::Answered;
use crate::deadline;
use crate::framing::{
    MessageReader, ReadError, compressed, seal, send_error, send_headers, send_http_status,
    send_ok, send_patiently, unsealed,
};
use crate::method::{Method, method_unknown};
use crate::streams;
use crate::worker::Worker;

/// A request whose body has not arrived by then is given up; a peer that trickles must not hold a
/// place among the calls in flight.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// An answer that the peer does not take is given up after so long, and its memory freed.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Answers up to this size go out without asking for the peer's window.
const SMALL_ANSWER_BYTES: usize = 1024;

/// A unary call with its message, ready to be answered.
pub(crate) struct Call {
    method: Method,
    message: Bytes,
    deadline: Option<Instant>,
    respond: SendResponse<Bytes>,
    in_flight: Option<InFlight>,
}

/// What the headers of a call say.
struct Head {
    method: Method,
    deadline: Option<Instant>,
}

/// Why the headers of a call are not good enough.
enum HeadError {
    NotGrpc(StatusCode),
    Refused(Error),
}

impl From<Error> for HeadError {
    fn from(error: Error) -> Self {
        HeadError::Refused(error)
    }
}

/// Takes in one stream of a connection.
pub(crate) fn accept(
    worker: &Rc<Worker>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    cx: &mut Context<'_>,
) {
    let (parts, body) = request.into_parts();
    let Head { method, deadline } = match read_head(&parts) {
        Ok(head) => head,
        Err(HeadError::Refused(error)) => return send_error(&mut respond, &error),
        Err(HeadError::NotGrpc(StatusCode::METHOD_NOT_ALLOWED)) => {
            return refuse_http_method(&mut respond);
        }
        Err(HeadError::NotGrpc(status)) => return send_http_status(&mut respond, status),
    };
    let reader = MessageReader::new(body);
    if method == Method::HealthWatch || method.is_reflection() {
        streams::spawn(worker, method, deadline, reader, respond);
        return;
    }
    let in_flight = if method.is_exempt() {
        None
    } else {
        match worker.door().admission().enter() {
            Ok(in_flight) => Some(in_flight),
            Err(error) => return send_error(&mut respond, &error),
        }
    };
    let waiting = Waiting {
        reader,
        first: None,
        call: Call {
            method,
            message: Bytes::new(),
            deadline,
            respond,
            in_flight,
        },
    };
    waiting.proceed(worker, cx);
}

fn read_head(parts: &request::Parts) -> std::result::Result<Head, HeadError> {
    if parts.method != HttpMethod::POST {
        return Err(HeadError::NotGrpc(StatusCode::METHOD_NOT_ALLOWED));
    }
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content_type.is_some_and(is_grpc) {
        return Err(HeadError::NotGrpc(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let path = parts.uri.path();
    let method = Method::find(path).ok_or_else(|| method_unknown(path))?;
    if let Some(encoding) = parts.headers.get("grpc-encoding")
        && encoding.as_bytes() != b"identity"
    {
        return Err(compressed().into());
    }
    let deadline = match parts.headers.get("grpc-timeout") {
        Some(value) => Instant::now().checked_add(deadline::parse_timeout(value.as_bytes())?),
        None => None,
    };
    deadline::check(deadline, "the call was accepted")?;
    Ok(Head { method, deadline })
}

/// `application/grpc` alone, with `+proto`, or with parameters; not grpc-web, not JSON.
fn is_grpc(content_type: &[u8]) -> bool {
    let Some(rest) = content_type.strip_prefix(b"application/grpc") else {
        return false;
    };
    let rest = rest.strip_prefix(b"+proto").unwrap_or(rest);
    matches!(rest.first(), None | Some(b';' | b' '))
}

fn refuse_http_method(respond: &mut SendResponse<Bytes>) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("POST"));
    let _ = respond.send_response(response, true);
}

/// A unary call whose message is not whole yet.
struct Waiting {
    reader: MessageReader,
    first: Option<Bytes>,
    call: Call,
}

impl Waiting {
    /// Mostly the message came with the headers; otherwise a task waits for it.
    fn proceed(mut self, worker: &Rc<Worker>, cx: &mut Context<'_>) {
        match self.reader.poll_unary(&mut self.first, cx) {
            Poll::Ready(read) => self.call.queue(read, worker),
            Poll::Pending => {
                let worker = Rc::clone(worker);
                spawn_local(async move {
                    let read = self.read().await;
                    self.call.queue(read, &worker);
                });
            }
        }
    }

    async fn read(&mut self) -> std::result::Result<Bytes, ReadError> {
        let until = Instant::now() + BODY_WITHIN;
        let (until, is_own) = match self.call.deadline {
            Some(deadline) if deadline < until => (deadline, false),
            _ => (until, true),
        };
        let mut timer = pin!(sleep_until(until.into()));
        poll_fn(|cx| {
            if let Poll::Ready(read) = self.reader.poll_unary(&mut self.first, cx) {
                return Poll::Ready(read);
            }
            timer.as_mut().poll(cx).map(|()| {
                Err(ReadError::Refused(if is_own {
                    body_late()
                } else {
                    deadline::passed("the request had arrived")
                }))
            })
        })
        .await
    }
}

fn body_late() -> Error {
    let seconds = BODY_WITHIN.as_secs();
    Error::new(
        ErrorKind::DeadlineExceeded,
        "REQUEST_LATE",
        format!("the request message did not arrive within {seconds} s of its headers"),
    )
    .with("limit", seconds)
}

impl Call {
    fn queue(mut self, read: std::result::Result<Bytes, ReadError>, worker: &Rc<Worker>) {
        match read {
            Ok(message) => {
                self.message = message;
                if self.in_flight.is_some() {
                    worker.enqueue(self);
                } else {
                    self.answer(worker);
                }
            }
            Err(ReadError::Refused(error)) => send_error(&mut self.respond, &error),
            Err(ReadError::Gone) => {}
        }
    }

    /// Answers, unless the caller took the call back meanwhile.
    pub(crate) fn answer(mut self, worker: &Worker) {
        let mut nobody = Context::from_waker(Waker::noop());
        if self.in_flight.is_some() && self.respond.poll_reset(&mut nobody).is_ready() {
            return;
        }
        let mut answer = unsealed();
        let door = worker.door();
        match door.answer(self.method, &self.message, self.deadline, &mut answer) {
            Ok(Answered::Ready) => self.send(seal(answer)),
            Ok(Answered::Pending(ticket)) => {
                // What is pending holds all that it needs of the message.
                self.message = Bytes::new();
                spawn_local(async move {
                    match ticket.redeem(&mut answer).await {
                        Ok(()) => self.send(seal(answer)),
                        Err(error) => send_error(&mut self.respond, &error),
                    }
                });
            }
            Err(error) => send_error(&mut self.respond, &error),
        }
    }

    fn send(mut self, answer: Bytes) {
        let Some(mut stream) = send_headers(&mut self.respond) else {
            return;
        };
        if answer.len() > SMALL_ANSWER_BYTES {
            stream.reserve_capacity(answer.len());
            if stream.capacity() < answer.len() {
                // The peer's window is full: wait, and stay in flight as long as the memory is held.
                let in_flight = self.in_flight;
                spawn_local(async move {
                    match timeout(TAKEN_WITHIN, send_patiently(&mut stream, answer)).await {
                        Ok(true) => send_ok(&mut stream),
                        Ok(false) => {}
                        Err(_) => stream.send_reset(Reason::CANCEL),
                    }
                    drop(in_flight);
                });
                return;
            }
        }
        if stream.send_data(answer, false).is_ok() {
            send_ok(&mut stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_with_protobuf_is_grpc() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;charset=utf-8",
        ] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpc+json",
            "application/json",
            "",
        ] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }
}
