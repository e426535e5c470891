"""Loads what models learn from: the catalogue, the users, and each user's past, as of a time.

Everything is indexed by row: item rows and user rows are ascending ids (by bytes), the order of the
snapshot. One heavy query makes the histories (a group by user, item and event name: on 1.5 million lines
under a second); interactions with decay and popular items are then arithmetic on its arrays, so that
the past is read once.

How much an item event says is `event_weights`: what a customer pays for says most. Weights are scaled so
that the strongest event that the data have is 1: on a platform without purchases a view is the strongest
there is, and counts in full. Events that the data do not have yet are weighed by the same scale, so that the
first purchase of such a platform says five times as much as a view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from promosvc.columns import EVENT_NAMES
from promosvc.features.store import utc_naive

EVENT_WEIGHTS: dict[str, float] = {
    "purchase": 1.0,
    "begin_checkout": 0.5,
    "add_to_cart": 0.5,
    "add_to_wishlist": 0.4,
    "share": 0.4,
    "select_item": 0.2,
    "view_item": 0.2,
    "redeem_promotion": 0.0,
    "select_promotion": 0.0,
    "view_promotion": 0.0,
    "view_item_list": 0.0,
    "remove_from_cart": 0.0,
    "refund": 0.0,
    "search": 0.0,
    "view_search_results": 0.0,
    "view_cart": 0.0,
    "page_view": 0.0,
}
"""What one event says about a user's liking of an item, before scaling."""

CUSTOM_EVENT_WEIGHT = 0.5
"""The same for a name that is not in the list (enroll, rate, listen): deliberate, but less than paying."""

HISTORY_EVENTS_MAX = 256
"""An event of a history entry is one byte; of more names the most frequent are kept."""


@dataclass(frozen=True)
class EventName:
    """One event name and how often it happens."""

    name: str
    events: int
    item_events: int
    users: int
    ratings: int
    rating_min: float | None
    rating_max: float | None
    first_at_us: int
    last_at_us: int


@dataclass(frozen=True)
class Histories:
    """The past of all users as rows of one compressed matrix.

    Entries of user row u lie at `indptr[u]:indptr[u + 1]`, by time descending, then item row, then event.
    """

    events: tuple[str, ...]
    """Event names; `event` is an index into them."""
    indptr: npt.NDArray[np.int64]
    item: npt.NDArray[np.uint32]
    event: npt.NDArray[np.uint8]
    last_at_us: npt.NDArray[np.int64]
    count: npt.NDArray[np.uint32]
    liking: npt.NDArray[np.float32]
    """0.5 for the lowest rating of the database to 1 for the highest; 1 for an entry without rating."""

    @property
    def user_row(self) -> npt.NDArray[np.int64]:
        """The user row of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


def load_event_names(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> list[EventName]:
    """All event names before a time, sorted."""
    rows = _table(connection, "event_names", as_of).to_pylist()
    return [EventName(row.pop("event_name"), **row) for row in rows]


def load_items(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The catalogue as of a time: the fields of `items.arrow`, ascending by `item_id`."""
    return _table(connection, "items", as_of)


def load_users(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The users as of a time: `user_id`, ascending."""
    return _table(connection, "users", as_of)


def load_histories(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    event_names: Sequence[EventName],
    items: pa.Table,
    users: pa.Table,
) -> Histories:
    """The past of the users, over the items, of the named events that name an item.

    Args:
        connection: to an event database.
        as_of: only events strictly before it are looked at.
        event_names: from `load_event_names`.
        items: from `load_items`.
        users: from `load_users`.
    """
    by_frequency = sorted(event_names, key=lambda event: (-event.item_events, event.name))
    kept = [event.name for event in by_frequency if event.item_events][:HISTORY_EVENTS_MAX]
    events = tuple(sorted(kept))
    codes = pa.table(
        {
            "event_name": pa.array(events, pa.string()),
            "event_code": pa.array(range(len(events)), pa.uint16()),
        }
    )
    connection.register("event_codes", codes)
    connection.register("known_users", users.select(["user_id"]))
    connection.register("known_items", items.select(["item_id"]))
    try:
        table = _table(connection, "histories", as_of)
    finally:
        for name in ("event_codes", "known_users", "known_items"):
            connection.unregister(name)
    user_row = _numpy(table["user_row"], np.int64)
    return Histories(
        events=events,
        indptr=np.searchsorted(user_row, np.arange(users.num_rows + 1)).astype(np.int64),
        item=_numpy(table["item_row"], np.uint32),
        event=_numpy(table["event_code"], np.uint8),
        last_at_us=_numpy(table["last_at_us"], np.int64),
        count=np.minimum(_numpy(table["event_count"], np.int64), 2**32 - 1).astype(np.uint32),
        liking=_liking(_numpy(table["rating_mean"].fill_null(float("nan")), np.float64), event_names),
    )


def load_choices(
    connection: duckdb.DuckDBPyConnection, event_names: Sequence[str], since: datetime, until: datetime
) -> pa.Table:
    """Who chose what from `since` to just before `until`: `user_id`, `item_id`, each pair once."""
    return _table(connection, "choices", until, since=utc_naive(since), event_names=list(event_names))


def load_event_ids(
    connection: duckdb.DuckDBPyConnection, since: datetime, as_of: datetime
) -> npt.NDArray[np.uint64]:
    """Keys of the imported events from `since` to just before `as_of`: uint64[n, 2], ascending, unique."""
    table = _table(connection, "event_ids", as_of, since=utc_naive(since))
    return np.column_stack([_numpy(table[name], np.uint64) for name in ("high", "low")])


def event_weights(
    event_names: Sequence[str], overrides: Mapping[str, float] | None = None
) -> dict[str, float]:
    """How much each of the data's item events says, scaled so that the strongest is 1."""
    weights = _unscaled(event_names, overrides)
    strongest = max(weights.values(), default=0.0)
    return {name: weight / strongest if strongest > 0 else 0.0 for name, weight in weights.items()}


def vocabulary_weights(
    event_names: Sequence[str], overrides: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The same for the whole vocabulary and the data's own names, on the scale of `event_weights`.

    Where the data have no event that says anything, the scale is that of `EVENT_WEIGHTS`.
    """
    scale = max(_unscaled(event_names, overrides).values(), default=0.0) or 1.0
    names = {*EVENT_NAMES, *EVENT_WEIGHTS, *event_names}
    return {name: weight / scale for name, weight in _unscaled(sorted(names), overrides).items()}


def extended_weights(carried: Mapping[str, float], event_names: Sequence[str]) -> dict[str, float]:
    """Weights that an earlier snapshot was made with, and those of names that came since, on their scale."""
    scale = carried.get("purchase", EVENT_WEIGHTS["purchase"]) / EVENT_WEIGHTS["purchase"]
    new = {name: weight * scale for name, weight in _unscaled(event_names, None).items()}
    return dict(sorted({**new, **carried}.items()))


def _unscaled(event_names: Sequence[str], overrides: Mapping[str, float] | None) -> dict[str, float]:
    known = {**EVENT_WEIGHTS, **(overrides or {})}
    return {name: float(known.get(name, CUSTOM_EVENT_WEIGHT)) for name in sorted(event_names)}


def entry_weights(histories: Histories, weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """What each entry says before decay: its event's weight times its liking; 0 for events without weight."""
    by_code = np.array([weights.get(name, 0.0) for name in histories.events] or [0.0])
    entries: npt.NDArray[np.float64] = by_code[histories.event] * histories.liking
    return entries


def _liking(rating: npt.NDArray[np.float64], event_names: Sequence[EventName]) -> npt.NDArray[np.float32]:
    lows = [event.rating_min for event in event_names if event.rating_min is not None]
    highs = [event.rating_max for event in event_names if event.rating_max is not None]
    liking = np.ones(len(rating), np.float32)
    if lows and max(highs) > min(lows):
        low, high = min(lows), max(highs)
        has_rating = np.isfinite(rating)
        liking[has_rating] = 0.5 + 0.5 * (rating[has_rating] - low) / (high - low)
    return liking


def _table(connection: duckdb.DuckDBPyConnection, query: str, as_of: datetime, **parameters: Any) -> pa.Table:
    file = resources.files("promosvc.features").joinpath("queries", f"{query}.sql")
    values = {"as_of": utc_naive(as_of), **parameters}
    relation = connection.sql(file.read_text(encoding="utf-8"), params=values)
    return relation.to_arrow_table().combine_chunks()


def _numpy(column: pa.ChunkedArray, dtype: Any) -> npt.NDArray[Any]:
    numbers: npt.NDArray[Any] = column.combine_chunks().to_numpy(zero_copy_only=False)
    return numbers.astype(dtype, copy=False)
