//! gRPC over HTTP/2, the framing: length-prefixed messages in, messages and trailers out.
//!
//! A message is one flag byte (1 = compressed), four bytes of length, and the payload. Requests mostly
//! arrive whole in one DATA frame and are then used where they lie; an answer is written behind five bytes left
//! free for its prefix. So a call copies no payload on its way through here.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use promosvc_engine::error::{Error, ErrorKind};

use crate::config::MESSAGE_BYTES_MAX;
use crate::status::{self, code, percent_encoded};

/// Length of a message's prefix.
const PREFIX_BYTES: usize = 5;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const APPLICATION_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Why a request's message could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The caller took the call back, or the connection broke: nobody waits for an answer.
    Gone,
    /// The caller is told.
    Refused(Error),
}

/// Takes messages from a request's body.
#[derive(Debug)]
pub(crate) struct MessageReader {
    body: RecvStream,
    gathered: BytesMut,
}

impl MessageReader {
    /// Reads from `body`.
    pub(crate) fn new(body: RecvStream) -> Self {
        Self {
            body,
            gathered: BytesMut::new(),
        }
    }

    /// The next message, or `None` at the end of the stream.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        loop {
            if let Some(length) = self.gathered_length()? {
                let mut message = self.gathered.split_to(length).freeze();
                message.advance(PREFIX_BYTES);
                return Poll::Ready(Ok(Some(message)));
            }
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(chunk)) => {
                    self.body
                        .flow_control()
                        .release_capacity(chunk.len())
                        .map_err(|_| ReadError::Gone)?;
                    if self.gathered.is_empty() && whole_length(&chunk)? == Some(chunk.len()) {
                        return Poll::Ready(Ok(Some(chunk.slice(PREFIX_BYTES..))));
                    }
                    self.gathered.extend_from_slice(&chunk);
                }
                Some(Err(_)) => return Poll::Ready(Err(ReadError::Gone)),
                None if self.gathered.is_empty() => return Poll::Ready(Ok(None)),
                None => return Poll::Ready(Err(ReadError::Refused(truncated(&self.gathered)))),
            }
        }
    }

    /// The single message of a unary call.
    pub(crate) fn poll_unary(
        &mut self,
        first: &mut Option<Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, ReadError>> {
        if first.is_none() {
            *first = ready!(self.poll_message(cx))?;
        }
        let Some(message) = first else {
            return Poll::Ready(Err(ReadError::Refused(cardinality("none"))));
        };
        if self.body.is_end_stream() && self.gathered.is_empty() {
            return Poll::Ready(Ok(std::mem::take(message)));
        }
        match ready!(self.poll_message(cx))? {
            None => Poll::Ready(Ok(first.take().unwrap_or_default())),
            Some(_) => Poll::Ready(Err(ReadError::Refused(cardinality("more than one")))),
        }
    }

    /// The next message, or `None` at the end of the stream.
    pub(crate) async fn message(&mut self) -> Result<Option<Bytes>, ReadError> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Length of the first whole message in what was gathered, with its prefix.
    fn gathered_length(&self) -> Result<Option<usize>, ReadError> {
        Ok(whole_length(&self.gathered)?.filter(|&length| length <= self.gathered.len()))
    }
}

/// Length of the message that begins here, with its prefix; `None` if the prefix is not whole.
fn whole_length(bytes: &[u8]) -> Result<Option<usize>, ReadError> {
    let Some((&[flag, a, b, c, d], _)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(ReadError::Refused(too_large(length)));
    }
    match flag {
        0 => Ok(Some(PREFIX_BYTES + length)),
        1 => Err(ReadError::Refused(compressed())),
        _ => Err(ReadError::Refused(
            Error::invalid(
                "",
                "FRAME_MALFORMED",
                format!("the message's flag byte is {flag}; it must be 0"),
            )
            .with("value", flag),
        )),
    }
}

/// A message over the limit. Also what the other door says where it can.
pub(crate) fn too_large(length: usize) -> Error {
    Error::new(
        ErrorKind::MessageTooLarge,
        "MESSAGE_TOO_LARGE",
        format!("the request message is {length} bytes; the maximum is {MESSAGE_BYTES_MAX}"),
    )
    .with("value", length)
    .with("limit", MESSAGE_BYTES_MAX)
}

/// A compressed message; this server knows `identity` only.
pub(crate) fn compressed() -> Error {
    Error::new(
        ErrorKind::Unimplemented,
        "COMPRESSION_UNKNOWN",
        "the request is compressed; this server reads uncompressed messages only (identity)",
    )
}

fn truncated(gathered: &[u8]) -> Error {
    Error::invalid(
        "",
        "FRAME_TRUNCATED",
        format!(
            "the request ended inside a message, after {} bytes of it",
            gathered.len()
        ),
    )
    .with("value", gathered.len())
}

/// gRPC's own code for this is UNIMPLEMENTED (doc/statuscodes.md).
fn cardinality(count: &'static str) -> Error {
    Error::new(
        ErrorKind::Unimplemented,
        "MESSAGE_COUNT",
        format!("the method takes exactly one request message; the call has {count}"),
    )
    .with("value", count)
}

/// A buffer to append an answer's payload to; `seal` fills in its prefix.
pub(crate) fn unsealed() -> Vec<u8> {
    let mut buffer = Vec::with_capacity(256);
    buffer.extend_from_slice(&[0; PREFIX_BYTES]);
    buffer
}

/// Fills in the prefix of a buffer from `unsealed`.
pub(crate) fn seal(mut buffer: Vec<u8>) -> Bytes {
    let length = (buffer.len() - PREFIX_BYTES) as u32;
    buffer[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Bytes::from(buffer)
}

/// Begins an answer that has messages. `None` if nobody waits for it.
pub(crate) fn send_headers(respond: &mut SendResponse<Bytes>) -> Option<SendStream<Bytes>> {
    let mut response = Response::new(());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, APPLICATION_GRPC);
    respond.send_response(response, false).ok()
}

/// Ends an answer that went well.
pub(crate) fn send_ok(stream: &mut SendStream<Bytes>) {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    // An error means that the caller is gone.
    let _ = stream.send_trailers(trailers);
}

/// Ends an answer that already has messages with an error.
pub(crate) fn send_late_error(stream: &mut SendStream<Bytes>, error: &Error) {
    let mut trailers = HeaderMap::with_capacity(4);
    insert_error(&mut trailers, error);
    let _ = stream.send_trailers(trailers);
}

/// Answers with an error alone ("Trailers-Only").
pub(crate) fn send_error(respond: &mut SendResponse<Bytes>, error: &Error) {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, APPLICATION_GRPC);
    insert_error(headers, error);
    if error.reason == "COMPRESSION_UNKNOWN" {
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let _ = respond.send_response(response, true);
}

/// Answers something that is not gRPC with a bare HTTP status.
pub(crate) fn send_http_status(respond: &mut SendResponse<Bytes>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let _ = respond.send_response(response, true);
}

fn insert_error(headers: &mut HeaderMap, error: &Error) {
    headers.insert(GRPC_STATUS, HeaderValue::from(code(error.kind) as i32));
    if let Ok(message) = HeaderValue::from_maybe_shared(percent_encoded(&error.message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    for (key, value) in status::trailing_metadata(error) {
        let value = if key.ends_with("-bin") {
            HeaderValue::from_maybe_shared(Bytes::from(base64(&value)))
        } else {
            HeaderValue::from_maybe_shared(Bytes::from(value))
        };
        if let (Ok(key), Ok(value)) = (HeaderName::try_from(key), value) {
            headers.insert(key, value);
        }
    }
}

/// Binary metadata travels as base64; gRPC asks senders not to pad.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

/// Sends one message of any length as the caller takes it. `false` if the caller is gone.
pub(crate) async fn send_patiently(stream: &mut SendStream<Bytes>, mut message: Bytes) -> bool {
    while message.has_remaining() {
        stream.reserve_capacity(message.len());
        let capacity = loop {
            let capacity = stream.capacity();
            if capacity > 0 {
                break capacity;
            }
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
        };
        let part = message.split_to(capacity.min(message.len()));
        if stream.send_data(part, false).is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> Error {
        match whole_length(bytes) {
            Err(ReadError::Refused(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_prefix_tells_the_length() {
        assert_eq!(whole_length(&[0, 0, 0, 0]).expect("no error"), None);
        assert_eq!(
            whole_length(&[0, 0, 0, 1, 2, 9]).expect("no error"),
            Some(263)
        );
        assert_eq!(refused(&[1, 0, 0, 0, 0]).reason, "COMPRESSION_UNKNOWN");
        assert_eq!(refused(&[7, 0, 0, 0, 0]).reason, "FRAME_MALFORMED");
        let error = refused(&[0, 0, 0x40, 0, 1]);
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::MessageTooLarge, "MESSAGE_TOO_LARGE")
        );
        assert!(
            whole_length(&[0, 0, 0x40, 0, 0]).is_ok(),
            "the maximum itself passes"
        );
    }

    #[test]
    fn sealing_fills_in_the_length() {
        let mut buffer = unsealed();
        buffer.extend_from_slice(&[9; 300]);
        let sealed = seal(buffer);
        assert_eq!(sealed[..5], [0, 0, 0, 1, 44]);
        assert_eq!(sealed.len(), 305);
    }
}
