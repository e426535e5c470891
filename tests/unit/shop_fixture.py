"""Small event databases, made by hand or from a seed, for the tests of the offline rooms."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from promosvc.events.database import create_tables

EPOCH = datetime(2024, 1, 1)

DEFAULTS: dict[str, Any] = {
    "item_id": None,
    "session_id": 1,
    "order_id": None,
    "quantity": 1.0,
    "amount_minor": None,
    "discount_minor": None,
    "coupon_discount_minor": None,
    "currency": None,
    "rating": None,
    "search_term": None,
    "promotion_id": None,
}

ARROW_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("source", pa.string()),
        ("import_id", pa.uint64()),
        ("event_name", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("event_at", pa.timestamp("us")),
        ("session_id", pa.uint64()),
        ("order_id", pa.string()),
        ("quantity", pa.float64()),
        ("amount_minor", pa.int64()),
        ("discount_minor", pa.int64()),
        ("coupon_discount_minor", pa.int64()),
        ("currency", pa.string()),
        ("rating", pa.float64()),
        ("search_term", pa.string()),
        ("promotion_id", pa.string()),
    ]
)


def day(days: float) -> datetime:
    """So many days after the epoch of the fixtures."""
    return EPOCH + timedelta(days=days)


def event(name: str, user: str, item: str | None, days: float, **more: Any) -> dict[str, Any]:
    return {**DEFAULTS, "event_name": name, "user_id": user, "item_id": item, "event_at": day(days), **more}


def purchase(user: str, item: str, days: float, amount: int | None = 100, **more: Any) -> dict[str, Any]:
    currency = None if amount is None else more.pop("currency", "EUR")
    return event("purchase", user, item, days, amount_minor=amount, currency=currency, **more)


def connect(path: Path | str = ":memory:") -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    create_tables(connection)
    return connection


def add_events(connection: duckdb.DuckDBPyConnection, events: Iterable[Mapping[str, Any]]) -> None:
    """Adds events, and the items and users that they name."""
    (start,) = connection.execute("select count(*) from events").fetchall()[0]
    rows = [
        {"event_id": f"e{number:06}", "source": "test", "import_id": 1, **one}
        for number, one in enumerate(events, start)
    ]
    if rows:
        # One table at once: a thousand times faster than a row at a time.
        connection.register("new_events", pa.Table.from_pylist(rows, ARROW_SCHEMA))
        connection.execute("insert into events by name select * from new_events")
        connection.unregister("new_events")
    connection.execute(
        "insert or ignore into items (item_id, source) "
        "select distinct item_id, 'test' from events where item_id is not null"
    )
    connection.execute(
        "insert or ignore into users (user_id, source) select distinct user_id, 'test' from events"
    )


def add_items(connection: duckdb.DuckDBPyConnection, categories: Mapping[str, str], **more: Any) -> None:
    """Declares items with their category."""
    for item, category in categories.items():
        connection.execute(
            "insert or replace into items (item_id, source, title, category, unit_price_minor, currency) "
            "values (?, 'test', ?, ?, ?, ?)",
            [item, f"The {item}", category, more.get("unit_price_minor"), more.get("currency")],
        )


def random_shop(
    seed: int, users: int = 40, items: int = 30, days: int = 120, events: int = 3_000
) -> list[dict[str, Any]]:
    """A shop with tastes: user u likes items of group u % 3, and buys again what was bought."""
    random = np.random.default_rng(seed)
    made = []
    names = ["purchase", "view_item", "add_to_cart", "refund", "search", "redeem_promotion"]
    for _ in range(events):
        user = int(random.integers(users))
        group = user % 3 if random.random() < 0.8 else int(random.integers(3))
        item = int(min(random.geometric(0.2) - 1, items // 3 - 1)) * 3 + group
        name = str(random.choice(names, p=[0.5, 0.25, 0.15, 0.02, 0.05, 0.03]))
        when = float(np.round(random.random() * days, 4))
        session = int(when) * 1_000 + user
        if name == "purchase":
            price = 100 + 10 * item
            off = int(price * 0.3) if random.random() < 0.3 else 0
            coupon = 20 if random.random() < 0.1 else 0
            more = {"discount_minor": off, "coupon_discount_minor": coupon, "order_id": f"o{session}"}
            made.append(purchase(f"u{user:02}", f"i{item:02}", when, price - off, session_id=session, **more))
        elif name == "search":
            made.append(event(name, f"u{user:02}", None, when, session_id=session, search_term=f"t{item}"))
        elif name == "redeem_promotion":
            made.append(event(name, f"u{user:02}", None, when, session_id=session, promotion_id=f"p{item}"))
        else:
            made.append(event(name, f"u{user:02}", f"i{item:02}", when, session_id=session))
    return made


def random_categories(items: int = 30) -> dict[str, str]:
    return {f"i{item:02}": f"group {item % 3}" for item in range(items)}
