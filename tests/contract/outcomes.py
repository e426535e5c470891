"""What a caller can see of a call, and how to ask for it at a door."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from promosvc.v1 import recommend_pb2, user_context_pb2

Doors = tuple[grpc.Channel, grpc.Channel]


@dataclass(frozen=True)
class Outcome:
    """All that a caller can see of a call."""

    code: str
    message: str
    details: bytes
    body: bytes


def ask(channel: grpc.Channel, method: str, request: bytes) -> Outcome:
    call = channel.unary_unary(method)
    try:
        body, finished = call.with_call(request, timeout=10)
        return Outcome("OK", finished.details() or "", b"", body)
    except grpc.RpcError as failed:
        details = dict(failed.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        return Outcome(failed.code().name, failed.details(), details, b"")


def both(doors: Doors, method: str, request: bytes) -> Outcome:
    """The answer of the native door, which must be the grpcio door's too."""
    native, grpcio = (ask(channel, method, request) for channel in doors)
    assert native == grpcio
    return native


def details(outcome: Outcome) -> tuple[error_details_pb2.ErrorInfo, str]:
    """The ErrorInfo of a failed call, and the path of the field at fault."""
    info, field = error_details_pb2.ErrorInfo(), ""
    for detail in status_pb2.Status.FromString(outcome.details).details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            violations = error_details_pb2.BadRequest()
            detail.Unpack(violations)
            field = violations.field_violations[0].field
    return info, field


def recommend(**fields: Any) -> bytes:
    user = fields.pop("user", {"user_id": "1"})
    return recommend_pb2.RecommendRequest(
        user=user_context_pb2.UserContext(**user), **fields
    ).SerializeToString()
