"""Recorded events and facts of items as the log gives them, made by hand."""

from datetime import datetime
from typing import Any

import pyarrow as pa
from shop_fixture import day

from promosvc.pipeline.past import to_us

RECORDED_EVENTS = pa.schema(
    [
        pa.field("position", pa.uint64(), nullable=False),
        pa.field("recorded_at_us", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_name", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string()),
        pa.field("event_at_us", pa.int64(), nullable=False),
        pa.field("order_id", pa.string()),
        pa.field("quantity", pa.float64()),
        pa.field("amount_minor", pa.int64()),
        pa.field("discount_minor", pa.int64()),
        pa.field("coupon_discount_minor", pa.int64()),
        pa.field("currency", pa.string()),
        pa.field("rating", pa.float64()),
        pa.field("search_term", pa.string()),
        pa.field("promotion_id", pa.string()),
        pa.field("exposed_by", pa.string()),
        pa.field("attributes", pa.string()),
    ]
)
"""Recorded events as `_core.read_event_log` gives them."""

ITEM_FACTS = pa.schema(
    [
        pa.field("position", pa.uint64(), nullable=False),
        pa.field("recorded_at_us", pa.int64(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("title", pa.string()),
        pa.field("category", pa.string()),
        pa.field("brand", pa.string()),
        pa.field("unit_price_minor", pa.int64()),
        pa.field("currency", pa.string()),
        pa.field("stock", pa.int64()),
        pa.field("is_available", pa.bool_()),
    ]
)
"""Facts of items as `_core.read_event_log` gives them."""


def recorded(position: int, name: str, user: str, item: str | None, at: float | datetime, **more: Any) -> Any:
    """One recorded event; its id is its position unless one is given."""
    moment = at if isinstance(at, datetime) else day(at)
    return {
        "position": position,
        "recorded_at_us": to_us(moment) + 1,
        "source": "live",
        "event_id": f"r{position}",
        "event_name": name,
        "user_id": user,
        "item_id": item,
        "event_at_us": to_us(moment),
        **more,
    }


def fact(position: int, item: str, **told: Any) -> dict[str, Any]:
    """What is new about an item."""
    return {"position": position, "recorded_at_us": 0, "item_id": item, **told}


def events_table(*events: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(events), RECORDED_EVENTS)


def facts_table(*facts: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(facts), ITEM_FACTS)
