from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UserContext(_message.Message):
    __slots__ = ("user_id", "cart", "currency", "personalization_off")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CART_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PERSONALIZATION_OFF_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    cart: _containers.RepeatedCompositeFieldContainer[CartLine]
    currency: str
    personalization_off: bool
    def __init__(self, user_id: _Optional[str] = ..., cart: _Optional[_Iterable[_Union[CartLine, _Mapping]]] = ..., currency: _Optional[str] = ..., personalization_off: _Optional[bool] = ...) -> None: ...

class CartLine(_message.Message):
    __slots__ = ("item_id", "quantity", "unit_price_minor")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_MINOR_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    quantity: int
    unit_price_minor: int
    def __init__(self, item_id: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price_minor: _Optional[int] = ...) -> None: ...
