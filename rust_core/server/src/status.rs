//! From an error to a gRPC status: one table, for both doors.
//!
//! Every error carries `google.rpc.ErrorInfo` with its reason, the domain `promosvc` and every value that
//! its sentence speaks of; a request at fault also `BadRequest` with the path of the field, and
//! overload `RetryInfo`. Each detail type occurs at most once (AIP-193). Their descriptors are served by
//! reflection, so that grpcurl shows them in words.

use bytes::Bytes;
use promosvc_engine::error::{Error, ErrorKind};

use crate::wire::google::rpc::bad_request::FieldViolation;
use crate::wire::google::rpc::{BadRequest, ErrorInfo, RetryInfo, Status};
use prost::Message;

/// The gRPC codes that this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
}

/// The domain of every `ErrorInfo`.
pub(crate) const DOMAIN: &str = "promosvc";
/// Trailer with the encoded `google.rpc.Status`.
pub(crate) const DETAILS_KEY: &str = "grpc-status-details-bin";
/// Trailer that tells gRPC's own retry policy when to come back (gRFC A6).
pub(crate) const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";

/// The table.
pub(crate) fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Overloaded | ErrorKind::MessageTooLarge => Code::ResourceExhausted,
        ErrorKind::Unavailable | ErrorKind::Io => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::DataLoss => Code::DataLoss,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    }
}

/// What travels in the trailers besides code and message: `(key, raw value)`, sorted by key.
pub(crate) fn trailing_metadata(error: &Error) -> Vec<(String, Vec<u8>)> {
    let mut metadata = Vec::with_capacity(2);
    if let Some(milliseconds) = retry_after_ms(error) {
        metadata.push((
            PUSHBACK_KEY.to_owned(),
            milliseconds.to_string().into_bytes(),
        ));
    }
    metadata.push((DETAILS_KEY.to_owned(), status(error).encode_to_vec()));
    metadata
}

/// The pause after which overload may have passed; no other error is better for waiting.
fn retry_after_ms(error: &Error) -> Option<u64> {
    match error.kind {
        ErrorKind::Overloaded => error.retry_after_ms,
        ErrorKind::InvalidArgument
        | ErrorKind::NotFound
        | ErrorKind::FailedPrecondition
        | ErrorKind::AlreadyExists
        | ErrorKind::MessageTooLarge
        | ErrorKind::Unavailable
        | ErrorKind::DeadlineExceeded
        | ErrorKind::DataLoss
        | ErrorKind::Io
        | ErrorKind::Unimplemented
        | ErrorKind::Internal => None,
    }
}

fn status(error: &Error) -> Status {
    let mut details = vec![any(
        "google.rpc.ErrorInfo",
        &ErrorInfo {
            reason: error.reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: error
                .metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        },
    )];
    if error.kind == ErrorKind::InvalidArgument {
        details.push(any(
            "google.rpc.BadRequest",
            &BadRequest {
                field_violations: vec![FieldViolation {
                    field: error.field.clone(),
                    description: error.message.clone(),
                    reason: error.reason.to_owned(),
                }],
            },
        ));
    }
    if let Some(milliseconds) = retry_after_ms(error) {
        details.push(any(
            "google.rpc.RetryInfo",
            &RetryInfo {
                retry_delay: Some(prost_types::Duration {
                    seconds: (milliseconds / 1_000) as i64,
                    nanos: (milliseconds % 1_000) as i32 * 1_000_000,
                }),
            },
        ));
    }
    Status {
        code: code(error.kind) as i32,
        message: error.message.clone(),
        details,
    }
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

/// `grpc-message`: what is not printable ASCII, and `%`, is percent-encoded.
pub(crate) fn percent_encoded(message: &str) -> Bytes {
    let mut encoded = Vec::with_capacity(message.len());
    for &byte in message.as_bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(byte);
        } else {
            encoded.push(b'%');
            encoded.push(HEX[usize::from(byte >> 4)]);
            encoded.push(HEX[usize::from(byte & 15)]);
        }
    }
    Bytes::from(encoded)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn details(error: &Error) -> Status {
        let metadata = trailing_metadata(error);
        let (_, bytes) = metadata
            .iter()
            .find(|(key, _)| key == DETAILS_KEY)
            .expect("every error has details");
        Status::decode(bytes.as_slice()).expect("details decode")
    }

    #[test]
    fn every_kind_has_a_code_and_each_detail_once() {
        for kind in ErrorKind::ALL {
            let mut error =
                Error::new(kind, "BECAUSE", "near is 3; the maximum is 2").with("value", 3);
            error.field = "near".to_owned();
            error.retry_after_ms = Some(1_250);
            let status = details(&error);
            assert_eq!(status.code, code(kind) as i32);
            assert_eq!(status.message, "near is 3; the maximum is 2");
            let types: BTreeSet<_> = status
                .details
                .iter()
                .map(|detail| &detail.type_url)
                .collect();
            assert_eq!(types.len(), status.details.len(), "{kind:?}: {types:?}");

            let info = ErrorInfo::decode(status.details[0].value.as_slice()).expect("ErrorInfo");
            assert_eq!(
                (info.reason.as_str(), info.domain.as_str()),
                ("BECAUSE", "promosvc")
            );
            assert_eq!(info.metadata["value"], "3");
            assert_eq!(
                types.contains(&"type.googleapis.com/google.rpc.RetryInfo".to_owned()),
                kind == ErrorKind::Overloaded,
                "{kind:?}"
            );
            assert_eq!(
                types.contains(&"type.googleapis.com/google.rpc.BadRequest".to_owned()),
                kind == ErrorKind::InvalidArgument,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let mut error = Error::new(ErrorKind::Overloaded, "OVERLOADED", "too many");
        error.retry_after_ms = Some(1_250);
        let metadata = trailing_metadata(&error);
        assert_eq!(metadata[0], (PUSHBACK_KEY.to_owned(), b"1250".to_vec()));
        let retry =
            RetryInfo::decode(details(&error).details[1].value.as_slice()).expect("RetryInfo");
        let delay = retry.retry_delay.expect("a delay");
        assert_eq!((delay.seconds, delay.nanos), (1, 250_000_000));
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("50 % \u{e4}\n"), "50 %25 %C3%A4%0A");
    }
}
