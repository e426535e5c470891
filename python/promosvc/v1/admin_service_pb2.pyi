import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from promosvc.v1 import recommend_pb2 as _recommend_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClockMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLOCK_MODE_UNSPECIFIED: _ClassVar[ClockMode]
    CLOCK_MODE_OFFSET: _ClassVar[ClockMode]
    CLOCK_MODE_MANUAL: _ClassVar[ClockMode]
CLOCK_MODE_UNSPECIFIED: ClockMode
CLOCK_MODE_OFFSET: ClockMode
CLOCK_MODE_MANUAL: ClockMode

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "clock", "snapshot", "started_at", "in_flight_calls", "in_flight_calls_max", "shed_calls", "placements", "snapshot_refusal", "event_log", "live_state", "dedupe", "request_window", "decision_log")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_CALLS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_CALLS_MAX_FIELD_NUMBER: _ClassVar[int]
    SHED_CALLS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    EVENT_LOG_FIELD_NUMBER: _ClassVar[int]
    LIVE_STATE_FIELD_NUMBER: _ClassVar[int]
    DEDUPE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_WINDOW_FIELD_NUMBER: _ClassVar[int]
    DECISION_LOG_FIELD_NUMBER: _ClassVar[int]
    version: str
    clock: ClockStatus
    snapshot: SnapshotStatus
    started_at: _timestamp_pb2.Timestamp
    in_flight_calls: int
    in_flight_calls_max: int
    shed_calls: int
    placements: _containers.RepeatedScalarFieldContainer[str]
    snapshot_refusal: str
    event_log: EventLogStatus
    live_state: LiveStateStatus
    dedupe: DedupeStatus
    request_window: RequestWindowStatus
    decision_log: DecisionLogStatus
    def __init__(self, version: _Optional[str] = ..., clock: _Optional[_Union[ClockStatus, _Mapping]] = ..., snapshot: _Optional[_Union[SnapshotStatus, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_flight_calls: _Optional[int] = ..., in_flight_calls_max: _Optional[int] = ..., shed_calls: _Optional[int] = ..., placements: _Optional[_Iterable[str]] = ..., snapshot_refusal: _Optional[str] = ..., event_log: _Optional[_Union[EventLogStatus, _Mapping]] = ..., live_state: _Optional[_Union[LiveStateStatus, _Mapping]] = ..., dedupe: _Optional[_Union[DedupeStatus, _Mapping]] = ..., request_window: _Optional[_Union[RequestWindowStatus, _Mapping]] = ..., decision_log: _Optional[_Union[DecisionLogStatus, _Mapping]] = ...) -> None: ...

class EventLogStatus(_message.Message):
    __slots__ = ("durable_position", "first_position", "segment_count", "bytes", "checkpoint_position", "failure", "queued_commands", "cut_bytes")
    DURABLE_POSITION_FIELD_NUMBER: _ClassVar[int]
    FIRST_POSITION_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_POSITION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    QUEUED_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    CUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    durable_position: int
    first_position: int
    segment_count: int
    bytes: int
    checkpoint_position: int
    failure: str
    queued_commands: int
    cut_bytes: int
    def __init__(self, durable_position: _Optional[int] = ..., first_position: _Optional[int] = ..., segment_count: _Optional[int] = ..., bytes: _Optional[int] = ..., checkpoint_position: _Optional[int] = ..., failure: _Optional[str] = ..., queued_commands: _Optional[int] = ..., cut_bytes: _Optional[int] = ...) -> None: ...

class LiveStateStatus(_message.Message):
    __slots__ = ("user_count", "event_count", "item_count", "bytes", "bytes_max", "evicted_users")
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    EVICTED_USERS_FIELD_NUMBER: _ClassVar[int]
    user_count: int
    event_count: int
    item_count: int
    bytes: int
    bytes_max: int
    evicted_users: int
    def __init__(self, user_count: _Optional[int] = ..., event_count: _Optional[int] = ..., item_count: _Optional[int] = ..., bytes: _Optional[int] = ..., bytes_max: _Optional[int] = ..., evicted_users: _Optional[int] = ...) -> None: ...

class DedupeStatus(_message.Message):
    __slots__ = ("id_count", "bytes", "bytes_max", "oldest_at", "snapshot_id_count", "window_seconds")
    ID_COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    OLDEST_AT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_COUNT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    id_count: int
    bytes: int
    bytes_max: int
    oldest_at: _timestamp_pb2.Timestamp
    snapshot_id_count: int
    window_seconds: int
    def __init__(self, id_count: _Optional[int] = ..., bytes: _Optional[int] = ..., bytes_max: _Optional[int] = ..., oldest_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., snapshot_id_count: _Optional[int] = ..., window_seconds: _Optional[int] = ...) -> None: ...

class RequestWindowStatus(_message.Message):
    __slots__ = ("request_count", "bytes", "bytes_max", "window_seconds")
    REQUEST_COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    request_count: int
    bytes: int
    bytes_max: int
    window_seconds: int
    def __init__(self, request_count: _Optional[int] = ..., bytes: _Optional[int] = ..., bytes_max: _Optional[int] = ..., window_seconds: _Optional[int] = ...) -> None: ...

class DecisionLogStatus(_message.Message):
    __slots__ = ("sample_rate", "written", "dropped")
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    sample_rate: float
    written: int
    dropped: int
    def __init__(self, sample_rate: _Optional[float] = ..., written: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...

class ClockStatus(_message.Message):
    __slots__ = ("mode", "now", "offset_us")
    MODE_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    OFFSET_US_FIELD_NUMBER: _ClassVar[int]
    mode: ClockMode
    now: _timestamp_pb2.Timestamp
    offset_us: int
    def __init__(self, mode: _Optional[_Union[ClockMode, str]] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., offset_us: _Optional[int] = ...) -> None: ...

class SnapshotStatus(_message.Message):
    __slots__ = ("snapshot_id", "watermark_at", "events_position", "model_versions", "item_count", "user_count", "feature_views", "loaded_at")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_AT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_POSITION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    FEATURE_VIEWS_FIELD_NUMBER: _ClassVar[int]
    LOADED_AT_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: str
    watermark_at: _timestamp_pb2.Timestamp
    events_position: int
    model_versions: _containers.RepeatedCompositeFieldContainer[_recommend_pb2.ModelVersion]
    item_count: int
    user_count: int
    feature_views: _containers.RepeatedScalarFieldContainer[str]
    loaded_at: _timestamp_pb2.Timestamp
    def __init__(self, snapshot_id: _Optional[str] = ..., watermark_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., events_position: _Optional[int] = ..., model_versions: _Optional[_Iterable[_Union[_recommend_pb2.ModelVersion, _Mapping]]] = ..., item_count: _Optional[int] = ..., user_count: _Optional[int] = ..., feature_views: _Optional[_Iterable[str]] = ..., loaded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetClockRequest(_message.Message):
    __slots__ = ("now",)
    NOW_FIELD_NUMBER: _ClassVar[int]
    now: _timestamp_pb2.Timestamp
    def __init__(self, now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetClockResponse(_message.Message):
    __slots__ = ("clock",)
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    clock: ClockStatus
    def __init__(self, clock: _Optional[_Union[ClockStatus, _Mapping]] = ...) -> None: ...
