from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

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
