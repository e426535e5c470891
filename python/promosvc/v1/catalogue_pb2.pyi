from promosvc.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UpsertItemsRequest(_message.Message):
    __slots__ = ("request_id", "items")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    items: _containers.RepeatedCompositeFieldContainer[ItemUpdate]
    def __init__(self, request_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[ItemUpdate, _Mapping]]] = ...) -> None: ...

class UpsertItemsResponse(_message.Message):
    __slots__ = ("created_count", "updated_count", "events_position")
    CREATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_POSITION_FIELD_NUMBER: _ClassVar[int]
    created_count: int
    updated_count: int
    events_position: int
    def __init__(self, created_count: _Optional[int] = ..., updated_count: _Optional[int] = ..., events_position: _Optional[int] = ...) -> None: ...

class ItemUpdate(_message.Message):
    __slots__ = ("item_id", "kind", "title", "category", "brand", "unit_price", "stock", "is_available")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    IS_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    kind: str
    title: str
    category: str
    brand: str
    unit_price: _money_pb2.Money
    stock: int
    is_available: bool
    def __init__(self, item_id: _Optional[str] = ..., kind: _Optional[str] = ..., title: _Optional[str] = ..., category: _Optional[str] = ..., brand: _Optional[str] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., stock: _Optional[int] = ..., is_available: _Optional[bool] = ...) -> None: ...
