"""Words that every room shares: columns of the event database, event names, reasons of refusal.

Nothing here but names, so that rooms which may not import each other still mean the same thing.
`docs/events-schema.md` says what each column holds; `proto/promosvc/v1/event.proto` holds the
reasons, and a test keeps the two lists equal.
"""

from __future__ import annotations

from typing import Final

EVENT_COLUMNS: Final[dict[str, str]] = {
    "event_id": "varchar",
    "source": "varchar",
    "import_id": "ubigint",
    "event_name": "varchar",
    "user_id": "varchar",
    "item_id": "varchar",
    "event_at": "timestamp",
    "session_id": "ubigint",
    "order_id": "varchar",
    "quantity": "double",
    "amount_minor": "bigint",
    "discount_minor": "bigint",
    "coupon_discount_minor": "bigint",
    "currency": "varchar",
    "rating": "double",
    "search_term": "varchar",
    "promotion_id": "varchar",
    "attributes": "json",
    "exposed_by": "json",
    "log_position": "ubigint",
}
"""Columns of `events` with their DuckDB types, in order."""

EVENT_COLUMNS_REQUIRED: Final = (
    "event_id",
    "source",
    "import_id",
    "event_name",
    "user_id",
    "event_at",
    "session_id",
)
"""Columns of `events` that are never null."""

ITEM_COLUMNS: Final[dict[str, str]] = {
    "item_id": "varchar",
    "source": "varchar",
    "kind": "varchar",
    "title": "varchar",
    "category": "varchar",
    "brand": "varchar",
    "unit_price_minor": "bigint",
    "currency": "varchar",
    "is_available": "boolean",
    "attributes": "json",
    "seen_at": "timestamp",
    "stock": "bigint",
}
"""Columns of `items` with their DuckDB types, in order."""

USER_COLUMNS: Final[dict[str, str]] = {"user_id": "varchar", "source": "varchar", "attributes": "json"}
"""Columns of `users` with their DuckDB types, in order."""

QUARANTINE_COLUMNS: Final[dict[str, str]] = {
    "import_id": "ubigint",
    "file": "varchar",
    "row_number": "ubigint",
    "reason": "varchar",
    "field": "varchar",
    "value": "varchar",
    "record": "json",
}
"""Columns of `quarantine` with their DuckDB types, in order."""

IMPORT_COLUMNS: Final[dict[str, str]] = {
    "import_id": "ubigint",
    "fingerprint": "varchar",
    "source": "varchar",
    "mapping": "varchar",
    "files": "varchar[]",
    "started_at": "timestamp",
    "finished_at": "timestamp",
    "report": "json",
}
"""Columns of `imports` with their DuckDB types, in order."""

LOG_POSITION_COLUMNS: Final[dict[str, str]] = {"log": "varchar", "position": "ubigint"}
"""Columns of `log_positions` with their DuckDB types, in order."""

REFRESH_COLUMNS: Final[dict[str, str]] = {
    "snapshot_id": "varchar",
    "position": "ubigint",
    "import_id": "ubigint",
}
"""Columns of `refreshes` with their DuckDB types, in order."""

RECORDED_IMPORT_ID: Final = 0
"""The `import_id` of events that the event log brought; those of files count from 1."""

EVENT_NAMES: Final[dict[str, bool]] = {
    "view_item": True,
    "view_item_list": False,
    "select_item": True,
    "search": False,
    "view_search_results": False,
    "add_to_wishlist": True,
    "add_to_cart": True,
    "remove_from_cart": True,
    "view_cart": False,
    "begin_checkout": False,
    "add_shipping_info": False,
    "add_payment_info": False,
    "purchase": True,
    "refund": True,
    "view_promotion": False,
    "select_promotion": False,
    "redeem_promotion": False,
    "share": False,
    "page_view": False,
    "session_start": False,
    "first_visit": False,
    "login": False,
    "sign_up": False,
}
"""The public vocabulary (GA4's names, and `redeem_promotion`): event name to whether it needs an item."""

REASONS: Final[dict[str, int]] = {
    "MALFORMED_ROW": 1,
    "MISSING_USER": 2,
    "MISSING_ITEM": 3,
    "MISSING_EVENT_NAME": 4,
    "MISSING_TIME": 5,
    "INVALID_TIME": 6,
    "IMPOSSIBLE_TIME": 7,
    "INVALID_NUMBER": 8,
    "ZERO_QUANTITY": 9,
    "NEGATIVE_PRICE": 10,
    "ID_TOO_LONG": 11,
    "UNKNOWN_EVENT_NAME": 12,
    "BOT": 13,
    "INVALID_CURRENCY": 14,
    "MISSING_EVENT_ID": 15,
}
"""Why an event is refused: names and numbers of `promosvc.v1.RejectionReason`, without its prefix."""

ID_BYTES_MAX: Final = 128
"""Longest id, in UTF-8 bytes."""

SESSION_MINUTES: Final = 30
"""A pause longer than this begins a new session."""

EVENTS_PER_HOUR_MAX: Final = 1_000
"""More events of one user in one clock hour (UTC) are a machine's."""
