import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from promosvc.v1 import money_pb2 as _money_pb2
from promosvc.v1 import user_context_pb2 as _user_context_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DegradedReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADED_REASON_UNSPECIFIED: _ClassVar[DegradedReason]
    DEGRADED_REASON_UNKNOWN_USER: _ClassVar[DegradedReason]
    DEGRADED_REASON_NO_HISTORY: _ClassVar[DegradedReason]
    DEGRADED_REASON_LIVE_STATE_FULL: _ClassVar[DegradedReason]

class ShortfallReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHORTFALL_REASON_UNSPECIFIED: _ClassVar[ShortfallReason]
    SHORTFALL_REASON_FEWER_ELIGIBLE: _ClassVar[ShortfallReason]
    SHORTFALL_REASON_CATEGORY_CAP: _ClassVar[ShortfallReason]
    SHORTFALL_REASON_NOTHING_ELIGIBLE: _ClassVar[ShortfallReason]
DEGRADED_REASON_UNSPECIFIED: DegradedReason
DEGRADED_REASON_UNKNOWN_USER: DegradedReason
DEGRADED_REASON_NO_HISTORY: DegradedReason
DEGRADED_REASON_LIVE_STATE_FULL: DegradedReason
SHORTFALL_REASON_UNSPECIFIED: ShortfallReason
SHORTFALL_REASON_FEWER_ELIGIBLE: ShortfallReason
SHORTFALL_REASON_CATEGORY_CAP: ShortfallReason
SHORTFALL_REASON_NOTHING_ELIGIBLE: ShortfallReason

class RecommendRequest(_message.Message):
    __slots__ = ("user", "placement", "page_size", "filter", "seen_filter", "exclude_item_ids", "category_cap", "include_reasons")
    USER_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SEEN_FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_CAP_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_REASONS_FIELD_NUMBER: _ClassVar[int]
    user: _user_context_pb2.UserContext
    placement: str
    page_size: int
    filter: ItemFilter
    seen_filter: SeenFilter
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    category_cap: int
    include_reasons: bool
    def __init__(self, user: _Optional[_Union[_user_context_pb2.UserContext, _Mapping]] = ..., placement: _Optional[str] = ..., page_size: _Optional[int] = ..., filter: _Optional[_Union[ItemFilter, _Mapping]] = ..., seen_filter: _Optional[_Union[SeenFilter, _Mapping]] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., category_cap: _Optional[int] = ..., include_reasons: _Optional[bool] = ...) -> None: ...

class ItemFilter(_message.Message):
    __slots__ = ("categories", "kinds", "include_unavailable")
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    categories: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    include_unavailable: bool
    def __init__(self, categories: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[str]] = ..., include_unavailable: _Optional[bool] = ...) -> None: ...

class SeenFilter(_message.Message):
    __slots__ = ("hide_seen", "event_names", "window")
    HIDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    EVENT_NAMES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    hide_seen: bool
    event_names: _containers.RepeatedScalarFieldContainer[str]
    window: _duration_pb2.Duration
    def __init__(self, hide_seen: _Optional[bool] = ..., event_names: _Optional[_Iterable[str]] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("items", "snapshot_id", "model_versions", "decided_at", "placement", "page_size", "degraded_reason", "shortfall_reason")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_REASON_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_REASON_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RecommendedItem]
    snapshot_id: str
    model_versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    decided_at: _timestamp_pb2.Timestamp
    placement: str
    page_size: int
    degraded_reason: DegradedReason
    shortfall_reason: ShortfallReason
    def __init__(self, items: _Optional[_Iterable[_Union[RecommendedItem, _Mapping]]] = ..., snapshot_id: _Optional[str] = ..., model_versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., placement: _Optional[str] = ..., page_size: _Optional[int] = ..., degraded_reason: _Optional[_Union[DegradedReason, str]] = ..., shortfall_reason: _Optional[_Union[ShortfallReason, str]] = ...) -> None: ...

class RecommendedItem(_message.Message):
    __slots__ = ("item_id", "rank", "score", "reasons", "title", "kind", "category", "unit_price", "attribution_token")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    rank: int
    score: float
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    title: str
    kind: str
    category: str
    unit_price: _money_pb2.Money
    attribution_token: str
    def __init__(self, item_id: _Optional[str] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., title: _Optional[str] = ..., kind: _Optional[str] = ..., category: _Optional[str] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., attribution_token: _Optional[str] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("contribution", "because_of_item", "similar_users", "popular_item", "chosen_before", "other_history")
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_OF_ITEM_FIELD_NUMBER: _ClassVar[int]
    SIMILAR_USERS_FIELD_NUMBER: _ClassVar[int]
    POPULAR_ITEM_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_BEFORE_FIELD_NUMBER: _ClassVar[int]
    OTHER_HISTORY_FIELD_NUMBER: _ClassVar[int]
    contribution: float
    because_of_item: BecauseOfItem
    similar_users: SimilarUsers
    popular_item: PopularItem
    chosen_before: ChosenBefore
    other_history: OtherHistory
    def __init__(self, contribution: _Optional[float] = ..., because_of_item: _Optional[_Union[BecauseOfItem, _Mapping]] = ..., similar_users: _Optional[_Union[SimilarUsers, _Mapping]] = ..., popular_item: _Optional[_Union[PopularItem, _Mapping]] = ..., chosen_before: _Optional[_Union[ChosenBefore, _Mapping]] = ..., other_history: _Optional[_Union[OtherHistory, _Mapping]] = ...) -> None: ...

class BecauseOfItem(_message.Message):
    __slots__ = ("item_id", "title", "similarity", "is_in_cart")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    IS_IN_CART_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    title: str
    similarity: float
    is_in_cart: bool
    def __init__(self, item_id: _Optional[str] = ..., title: _Optional[str] = ..., similarity: _Optional[float] = ..., is_in_cart: _Optional[bool] = ...) -> None: ...

class SimilarUsers(_message.Message):
    __slots__ = ("user_count",)
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    user_count: int
    def __init__(self, user_count: _Optional[int] = ...) -> None: ...

class PopularItem(_message.Message):
    __slots__ = ("window_days",)
    WINDOW_DAYS_FIELD_NUMBER: _ClassVar[int]
    window_days: int
    def __init__(self, window_days: _Optional[int] = ...) -> None: ...

class ChosenBefore(_message.Message):
    __slots__ = ("event_count", "last_event_at")
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_AT_FIELD_NUMBER: _ClassVar[int]
    event_count: int
    last_event_at: _timestamp_pb2.Timestamp
    def __init__(self, event_count: _Optional[int] = ..., last_event_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class OtherHistory(_message.Message):
    __slots__ = ("item_count",)
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    item_count: int
    def __init__(self, item_count: _Optional[int] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...
