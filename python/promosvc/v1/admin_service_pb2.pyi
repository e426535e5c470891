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
    __slots__ = ("version", "clock", "snapshot", "started_at", "in_flight_calls", "in_flight_calls_max", "shed_calls", "placements", "snapshot_refusal")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_CALLS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_CALLS_MAX_FIELD_NUMBER: _ClassVar[int]
    SHED_CALLS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    version: str
    clock: ClockStatus
    snapshot: SnapshotStatus
    started_at: _timestamp_pb2.Timestamp
    in_flight_calls: int
    in_flight_calls_max: int
    shed_calls: int
    placements: _containers.RepeatedScalarFieldContainer[str]
    snapshot_refusal: str
    def __init__(self, version: _Optional[str] = ..., clock: _Optional[_Union[ClockStatus, _Mapping]] = ..., snapshot: _Optional[_Union[SnapshotStatus, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_flight_calls: _Optional[int] = ..., in_flight_calls_max: _Optional[int] = ..., shed_calls: _Optional[int] = ..., placements: _Optional[_Iterable[str]] = ..., snapshot_refusal: _Optional[str] = ...) -> None: ...

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
