"""Recorded events and facts of items as the log gives them, made by hand."""

from datetime import datetime
from typing import Any

import pyarrow as pa
from shop_fixture import day

from promosvc.events import ITEM_FACTS, RECORDED_EVENTS
from promosvc.pipeline.past import to_us


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
