import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTITY_KIND_UNSPECIFIED: _ClassVar[EntityKind]
    ENTITY_KIND_USER: _ClassVar[EntityKind]
    ENTITY_KIND_ITEM: _ClassVar[EntityKind]
    ENTITY_KIND_USER_CATEGORY: _ClassVar[EntityKind]

class FeatureStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_STATUS_UNSPECIFIED: _ClassVar[FeatureStatus]
    FEATURE_STATUS_PRESENT: _ClassVar[FeatureStatus]
    FEATURE_STATUS_MISSING: _ClassVar[FeatureStatus]
    FEATURE_STATUS_EXPIRED: _ClassVar[FeatureStatus]
    FEATURE_STATUS_IMPUTED: _ClassVar[FeatureStatus]
ENTITY_KIND_UNSPECIFIED: EntityKind
ENTITY_KIND_USER: EntityKind
ENTITY_KIND_ITEM: EntityKind
ENTITY_KIND_USER_CATEGORY: EntityKind
FEATURE_STATUS_UNSPECIFIED: FeatureStatus
FEATURE_STATUS_PRESENT: FeatureStatus
FEATURE_STATUS_MISSING: FeatureStatus
FEATURE_STATUS_EXPIRED: FeatureStatus
FEATURE_STATUS_IMPUTED: FeatureStatus

class GetFeaturesRequest(_message.Message):
    __slots__ = ("entity_kind", "entity_keys", "views")
    ENTITY_KIND_FIELD_NUMBER: _ClassVar[int]
    ENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    entity_kind: EntityKind
    entity_keys: _containers.RepeatedCompositeFieldContainer[EntityKey]
    views: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entity_kind: _Optional[_Union[EntityKind, str]] = ..., entity_keys: _Optional[_Iterable[_Union[EntityKey, _Mapping]]] = ..., views: _Optional[_Iterable[str]] = ...) -> None: ...

class EntityKey(_message.Message):
    __slots__ = ("entity_id", "category")
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    entity_id: str
    category: str
    def __init__(self, entity_id: _Optional[str] = ..., category: _Optional[str] = ...) -> None: ...

class GetFeaturesResponse(_message.Message):
    __slots__ = ("frames", "snapshot_id", "read_at")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    READ_AT_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[FeatureFrame]
    snapshot_id: str
    read_at: _timestamp_pb2.Timestamp
    def __init__(self, frames: _Optional[_Iterable[_Union[FeatureFrame, _Mapping]]] = ..., snapshot_id: _Optional[str] = ..., read_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FeatureFrame(_message.Message):
    __slots__ = ("view", "columns", "event_time_us")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    view: str
    columns: _containers.RepeatedCompositeFieldContainer[FeatureColumn]
    event_time_us: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, view: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[FeatureColumn, _Mapping]]] = ..., event_time_us: _Optional[_Iterable[int]] = ...) -> None: ...

class FeatureColumn(_message.Message):
    __slots__ = ("name", "values", "statuses", "dictionary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DICTIONARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: _containers.RepeatedScalarFieldContainer[float]
    statuses: _containers.RepeatedScalarFieldContainer[FeatureStatus]
    dictionary: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Iterable[float]] = ..., statuses: _Optional[_Iterable[_Union[FeatureStatus, str]]] = ..., dictionary: _Optional[_Iterable[str]] = ...) -> None: ...
