import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_VERDICT_UNSPECIFIED: _ClassVar[EventVerdict]
    EVENT_VERDICT_ACCEPTED: _ClassVar[EventVerdict]
    EVENT_VERDICT_DUPLICATE: _ClassVar[EventVerdict]
    EVENT_VERDICT_REJECTED: _ClassVar[EventVerdict]

class RejectionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REJECTION_REASON_UNSPECIFIED: _ClassVar[RejectionReason]
    REJECTION_REASON_MALFORMED_ROW: _ClassVar[RejectionReason]
    REJECTION_REASON_MISSING_USER: _ClassVar[RejectionReason]
    REJECTION_REASON_MISSING_ITEM: _ClassVar[RejectionReason]
    REJECTION_REASON_MISSING_EVENT_NAME: _ClassVar[RejectionReason]
    REJECTION_REASON_MISSING_TIME: _ClassVar[RejectionReason]
    REJECTION_REASON_INVALID_TIME: _ClassVar[RejectionReason]
    REJECTION_REASON_IMPOSSIBLE_TIME: _ClassVar[RejectionReason]
    REJECTION_REASON_INVALID_NUMBER: _ClassVar[RejectionReason]
    REJECTION_REASON_ZERO_QUANTITY: _ClassVar[RejectionReason]
    REJECTION_REASON_NEGATIVE_PRICE: _ClassVar[RejectionReason]
    REJECTION_REASON_ID_TOO_LONG: _ClassVar[RejectionReason]
    REJECTION_REASON_UNKNOWN_EVENT_NAME: _ClassVar[RejectionReason]
    REJECTION_REASON_BOT: _ClassVar[RejectionReason]
    REJECTION_REASON_INVALID_CURRENCY: _ClassVar[RejectionReason]
    REJECTION_REASON_MISSING_EVENT_ID: _ClassVar[RejectionReason]
EVENT_VERDICT_UNSPECIFIED: EventVerdict
EVENT_VERDICT_ACCEPTED: EventVerdict
EVENT_VERDICT_DUPLICATE: EventVerdict
EVENT_VERDICT_REJECTED: EventVerdict
REJECTION_REASON_UNSPECIFIED: RejectionReason
REJECTION_REASON_MALFORMED_ROW: RejectionReason
REJECTION_REASON_MISSING_USER: RejectionReason
REJECTION_REASON_MISSING_ITEM: RejectionReason
REJECTION_REASON_MISSING_EVENT_NAME: RejectionReason
REJECTION_REASON_MISSING_TIME: RejectionReason
REJECTION_REASON_INVALID_TIME: RejectionReason
REJECTION_REASON_IMPOSSIBLE_TIME: RejectionReason
REJECTION_REASON_INVALID_NUMBER: RejectionReason
REJECTION_REASON_ZERO_QUANTITY: RejectionReason
REJECTION_REASON_NEGATIVE_PRICE: RejectionReason
REJECTION_REASON_ID_TOO_LONG: RejectionReason
REJECTION_REASON_UNKNOWN_EVENT_NAME: RejectionReason
REJECTION_REASON_BOT: RejectionReason
REJECTION_REASON_INVALID_CURRENCY: RejectionReason
REJECTION_REASON_MISSING_EVENT_ID: RejectionReason

class RecordEventsRequest(_message.Message):
    __slots__ = ("events", "source")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    source: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., source: _Optional[str] = ...) -> None: ...

class RecordEventsResponse(_message.Message):
    __slots__ = ("results", "accepted_count", "duplicate_count", "rejected_count")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EventResult]
    accepted_count: int
    duplicate_count: int
    rejected_count: int
    def __init__(self, results: _Optional[_Iterable[_Union[EventResult, _Mapping]]] = ..., accepted_count: _Optional[int] = ..., duplicate_count: _Optional[int] = ..., rejected_count: _Optional[int] = ...) -> None: ...

class EventResult(_message.Message):
    __slots__ = ("verdict", "rejection_reason", "field", "is_attributed")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REJECTION_REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    IS_ATTRIBUTED_FIELD_NUMBER: _ClassVar[int]
    verdict: EventVerdict
    rejection_reason: RejectionReason
    field: str
    is_attributed: bool
    def __init__(self, verdict: _Optional[_Union[EventVerdict, str]] = ..., rejection_reason: _Optional[_Union[RejectionReason, str]] = ..., field: _Optional[str] = ..., is_attributed: _Optional[bool] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("event_id", "event_name", "user_id", "item_id", "event_at", "order_id", "quantity", "amount_minor", "discount_minor", "coupon_discount_minor", "currency", "rating", "search_term", "promotion_id", "attribution_token", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    COUPON_DISCOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    SEARCH_TERM_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    event_name: str
    user_id: str
    item_id: str
    event_at: _timestamp_pb2.Timestamp
    order_id: str
    quantity: float
    amount_minor: int
    discount_minor: int
    coupon_discount_minor: int
    currency: str
    rating: float
    search_term: str
    promotion_id: str
    attribution_token: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, event_id: _Optional[str] = ..., event_name: _Optional[str] = ..., user_id: _Optional[str] = ..., item_id: _Optional[str] = ..., event_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_id: _Optional[str] = ..., quantity: _Optional[float] = ..., amount_minor: _Optional[int] = ..., discount_minor: _Optional[int] = ..., coupon_discount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., rating: _Optional[float] = ..., search_term: _Optional[str] = ..., promotion_id: _Optional[str] = ..., attribution_token: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...
