//! Everything that can go wrong, once.
//!
//! The binding turns each kind into a named Python exception and the server into a gRPC status; one
//! test in each walks `ErrorKind::ALL`, so that none is forgotten. An error says what was wrong, the
//! value, and what would be right.

use std::fmt;

/// What kind of wrong it is; decides exception class and gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller sent something that can never be right.
    InvalidArgument,
    /// A name that nothing has.
    NotFound,
    /// Right in itself, but not in the present state.
    FailedPrecondition,
    /// Another thing has this name already.
    AlreadyExists,
    /// Too many calls at once; `retry_after_ms` says when to come back.
    Overloaded,
    /// A message over the limit; trying again does not help.
    MessageTooLarge,
    /// Not serving now: starting, draining, or a disk failed.
    Unavailable,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// A file is truncated, altered or of another format.
    DataLoss,
    /// A file could not be read or written.
    Io,
    /// No such method.
    Unimplemented,
    /// A defect of promosvc itself.
    Internal,
}

impl ErrorKind {
    /// All kinds, for the tests that find none missing.
    pub const ALL: [ErrorKind; 12] = [
        ErrorKind::InvalidArgument,
        ErrorKind::NotFound,
        ErrorKind::FailedPrecondition,
        ErrorKind::AlreadyExists,
        ErrorKind::Overloaded,
        ErrorKind::MessageTooLarge,
        ErrorKind::Unavailable,
        ErrorKind::DeadlineExceeded,
        ErrorKind::DataLoss,
        ErrorKind::Io,
        ErrorKind::Unimplemented,
        ErrorKind::Internal,
    ];
}

/// An error of the engine or around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its kind.
    pub kind: ErrorKind,
    /// Machine-readable cause, UPPER_SNAKE, at most 63 characters ("PAGE_SIZE_TOO_LARGE").
    pub reason: &'static str,
    /// One sentence for people that names the field ("page_size is 500; the maximum is 100").
    pub message: String,
    /// Path of the field at fault ("user.cart[3].item_id"); empty if there is none.
    pub field: String,
    /// Every dynamic value of the message, by name (value, limit, ...), in a fixed order.
    pub metadata: Vec<(&'static str, String)>,
    /// When to come back, for `Overloaded`.
    pub retry_after_ms: Option<u64>,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without field or values.
    pub fn new(kind: ErrorKind, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason,
            message: message.into(),
            field: String::new(),
            metadata: Vec::new(),
            retry_after_ms: None,
        }
    }

    /// A field of a request that can never be right.
    pub fn invalid(
        field: impl Into<String>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            ..Self::new(ErrorKind::InvalidArgument, reason, message)
        }
    }

    /// Adds a value that the message speaks of.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.metadata.push((name, value.to_string()));
        self
    }

    /// A damaged or foreign file, named.
    pub fn data_loss(
        file: impl fmt::Display,
        reason: &'static str,
        what: impl fmt::Display,
    ) -> Self {
        Self::new(ErrorKind::DataLoss, reason, format!("{file}: {what}")).with("file", file)
    }

    /// A file that could not be read or written, named.
    pub fn io(path: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, "IO", format!("{path}: {error}")).with("file", path)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
