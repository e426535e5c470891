"""Everything that can go wrong, as Python sees it.

One class for each `ErrorKind` of the engine (the binding raises them by name), and the errors of
the offline plane beside them. An error says what was wrong, the value, and what would be right;
`reason` is the same machine-readable word that a gRPC caller finds in `ErrorInfo.reason`.
"""

from __future__ import annotations

from collections.abc import Mapping


class PromosvcError(Exception):
    """Root of all errors that promosvc raises on purpose.

    The message is a whole sentence that names the field at fault.
    `reason` is UPPER_SNAKE, at most 63 characters. `field` is the path of the field at fault
    ("user.cart[3].item_id", "events[0].columns.user_id") or empty. `metadata` holds every dynamic
    value of the message by name.
    """

    default_reason = "PROMOSVC"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        field: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.field = field
        self.metadata: dict[str, str] = dict(metadata or {})


class InvalidArgumentError(PromosvcError):
    """The caller sent something that can never be right."""

    default_reason = "INVALID_ARGUMENT"


class NotFoundError(PromosvcError):
    """A name that nothing has."""

    default_reason = "NOT_FOUND"


class FailedPreconditionError(PromosvcError):
    """Right in itself, but not in the present state."""

    default_reason = "FAILED_PRECONDITION"


class AlreadyExistsError(PromosvcError):
    """Another thing has this name already."""

    default_reason = "ALREADY_EXISTS"


class OverloadedError(PromosvcError):
    """Too many calls at once; `metadata["retry_after_ms"]` says when to come back."""

    default_reason = "OVERLOADED"


class MessageTooLargeError(PromosvcError):
    """A message over the limit; trying again does not help."""

    default_reason = "MESSAGE_TOO_LARGE"


class UnavailableError(PromosvcError):
    """Not serving now: starting, draining, or a disk failed."""

    default_reason = "UNAVAILABLE"


class DeadlineExceededError(PromosvcError):
    """The caller's deadline passed."""

    default_reason = "DEADLINE_EXCEEDED"


class SnapshotError(PromosvcError):
    """A file is truncated, altered or of another format (the engine's `DataLoss`)."""

    default_reason = "DATA_LOSS"


class IoError(PromosvcError):
    """A file could not be read or written."""

    default_reason = "IO"


class UnimplementedError(PromosvcError):
    """No such method."""

    default_reason = "UNIMPLEMENTED"


class InternalError(PromosvcError):
    """A defect of promosvc itself."""

    default_reason = "INTERNAL"


class ConfigError(InvalidArgumentError):
    """A configuration file, variable or flag has a wrong key or value."""

    default_reason = "CONFIG"


class MappingError(InvalidArgumentError):
    """A mapping cannot be used: an unknown key, column, type or rule. Raised before the first row is read."""

    default_reason = "MAPPING"

    def __str__(self) -> str:
        """Say the mapping's key first: the importer knows its full path only on the way up."""
        return f"{self.field}: {self.message}" if self.field else self.message


class ImportRefusedError(FailedPreconditionError):
    """An import as a whole was refused, and the database is as it was before."""

    default_reason = "IMPORT_REFUSED"


class DatabaseBusyError(UnavailableError):
    """Another process holds the event database; `metadata["pid"]` names it where DuckDB tells it."""

    default_reason = "DATABASE_BUSY"


class DatabaseError(FailedPreconditionError):
    """The event database is missing, empty, of another version, or not a database at all."""

    default_reason = "DATABASE"


KIND_ERRORS: dict[str, type[PromosvcError]] = {
    "InvalidArgument": InvalidArgumentError,
    "NotFound": NotFoundError,
    "FailedPrecondition": FailedPreconditionError,
    "AlreadyExists": AlreadyExistsError,
    "Overloaded": OverloadedError,
    "MessageTooLarge": MessageTooLargeError,
    "Unavailable": UnavailableError,
    "DeadlineExceeded": DeadlineExceededError,
    "DataLoss": SnapshotError,
    "Io": IoError,
    "Unimplemented": UnimplementedError,
    "Internal": InternalError,
}
"""The class of each engine `ErrorKind`, by the kind's name."""
