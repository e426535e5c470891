"""Turns a failed call into the named error that the engine raised."""

import grpc
from google.rpc import error_details_pb2, status_pb2

from promosvc.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MessageTooLargeError,
    NotFoundError,
    OverloadedError,
    PromosvcError,
    SnapshotError,
    UnavailableError,
    UnimplementedError,
)

DETAILS_KEY = "grpc-status-details-bin"
_CLASSES: dict[grpc.StatusCode, type[PromosvcError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.DATA_LOSS: SnapshotError,
    grpc.StatusCode.UNIMPLEMENTED: UnimplementedError,
}


def named_error(failed: grpc.RpcError) -> PromosvcError:
    """The error of `promosvc.errors` that a failed call stands for."""
    code: grpc.StatusCode = failed.code()
    message: str = failed.details() or code.name
    reason, field, metadata, retry = "", "", {}, False
    for key, value in failed.trailing_metadata() or ():
        if key != DETAILS_KEY:
            continue
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo.FromString(detail.value)
                reason, metadata = info.reason, dict(info.metadata)
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                violations = error_details_pb2.BadRequest.FromString(detail.value).field_violations
                field = violations[0].field if violations else ""
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                metadata = {**metadata, "retry_after_ms": str(delay.ToMilliseconds())}
                retry = True
    kind = _CLASSES.get(code, InternalError)
    if kind is OverloadedError and not retry:
        # Without a time to come back, the message itself was too large.
        kind = MessageTooLargeError
    return kind(message, reason=reason, field=field, metadata=metadata)
