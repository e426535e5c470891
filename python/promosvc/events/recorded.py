"""What the event log recorded becomes rows of the event database, each position once.

    recorded events ─► staged ─► duplicates ─► bot rule ─► sessions ─► events
    facts of items  ─► the newest word on each field ────────────────► items
                                                   position merged ─► log_positions

Recorded events were judged before they were written, so that nothing is cleaned here; the other stages are
those of an import. An event that a file brought before, or brings later, is one event. What one merge does is
one transaction with the position up to which the log is merged: a process that dies leaves the database as it
was, and a position that was merged is passed over, so that merging twice changes nothing.

Cost: a merge reads a few columns of all events to find ids and sessions again, about 0.1 s per million stored
events, and holds one batch in memory.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb

from promosvc.columns import (
    EVENT_COLUMNS,
    EVENTS_PER_HOUR_MAX,
    REASONS,
    RECORDED_IMPORT_ID,
    SESSION_MINUTES,
)
from promosvc.errors import FailedPreconditionError
from promosvc.events import catalogue, duplicates, sessions, writing
from promosvc.events.database import create_tables
from promosvc.events.layers import DUPLICATE
from promosvc.events.quoting import literal

if TYPE_CHECKING:
    import pyarrow as pa

EVENT_LOG: Final = "events"
"""Name of the event log in `log_positions`."""

_KIND: Final = "product"
# The fields of a fact that stand for themselves, and those of which an empty text means none.
_FACT_FIELDS: Final = ("kind", "title", "category", "brand", "unit_price_minor", "stock", "is_available")
_FACT_TEXTS: Final = ("title", "category", "brand")


@dataclass(frozen=True)
class MergeCounts:
    """What one merge did, or several together."""

    events: int = 0
    """Events that are new in the database."""
    duplicates: int = 0
    """Recorded events that it had already, from a file or from the log."""
    bots: int = 0
    """Recorded events that the bot rule moved into the quarantine."""
    withdrawn: int = 0
    """Earlier events that went there with them."""
    items: int = 0
    """Items of which there was a fact."""

    def plus(self, other: MergeCounts) -> MergeCounts:
        """Add two counts."""
        return MergeCounts(
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.bots + other.bots,
            self.withdrawn + other.withdrawn,
            self.items + other.items,
        )


def merge_recorded(
    connection: duckdb.DuckDBPyConnection,
    events: pa.Table,
    items: pa.Table,
    first_position: int,
    next_position: int,
    *,
    session_minutes: int = SESSION_MINUTES,
    events_per_hour_max: int = EVENTS_PER_HOUR_MAX,
) -> MergeCounts:
    """Merge the log from `first_position` to just before `next_position`, all or nothing.

    Args:
        connection: to an event database, as a writer, outside of a transaction.
        events: all of that stretch, with the columns that `_core.read_event_log` gives.
        items: all facts of that stretch, likewise.
        first_position: where the stretch begins; what is merged already is passed over.
        next_position: where it ends.
        session_minutes: a longer pause begins a new session.
        events_per_hour_max: the bot rule; 0 switches it off.

    Raises:
        FailedPreconditionError: the stretch begins after what is merged (LOG_GAP); what lies between would be
            lost.
    """
    connection.execute("begin")
    try:
        create_tables(connection)
        merged = merged_position(connection)
        if first_position > merged:
            raise FailedPreconditionError(
                f"the event log begins at position {first_position}, but the database holds it only to"
                f" {merged}; what lies between was removed before it was merged",
                reason="LOG_GAP",
                metadata={"value": str(first_position), "expected": str(merged)},
            )
        counts = MergeCounts()
        if next_position > merged:
            _stage(connection, events, items, merged)
            counts = _merge(connection, session_minutes, events_per_hour_max)
            connection.execute(
                "insert or replace into log_positions values (?, ?)", [EVENT_LOG, next_position]
            )
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # what went wrong may have ended the transaction itself
            connection.execute("rollback")
        raise
    return counts


def merged_position(connection: duckdb.DuckDBPyConnection) -> int:
    """The log position before which everything is in the database."""
    rows = connection.execute("select position from log_positions where log = ?", [EVENT_LOG]).fetchall()
    return int(rows[0][0]) if rows else 0


def _stage(connection: duckdb.DuckDBPyConnection, events: pa.Table, items: pa.Table, merged: int) -> None:
    """Make `staged` and `facts` of what is not merged yet."""
    # Tables can only be registered or let go while no result is open; fetching closes it.
    connection.execute("select 1").fetchall()
    connection.register("recorded_events", events)
    connection.register("recorded_items", items)
    try:
        # Ids are the recorder's own here, so that equal contents are never numbered.
        connection.execute(
            f"""
            create or replace temp table staged as
            select 0::usmallint as file_number, position as row_number, 0::uinteger as element,
                0::utinyint as code, true as has_own_id, position as log_position,
                make_timestamp(event_at_us) as event_at,
                * exclude (position, recorded_at_us, event_at_us)
            from recorded_events where position >= {merged}
            """
        ).fetchall()
        newest = ", ".join(
            f"arg_max({name}, position) filter ({name} is not null) as {name}" for name in _FACT_FIELDS
        )
        connection.execute(
            f"""
            create or replace temp table facts as
            select item_id, min(position) as first_position, {newest},
                arg_max(currency, position) filter (unit_price_minor is not null) as currency
            from recorded_items where position >= {merged} group by item_id
            """
        ).fetchall()
    finally:
        connection.unregister("recorded_events")
        connection.unregister("recorded_items")


def _merge(
    connection: duckdb.DuckDBPyConnection, session_minutes: int, events_per_hour_max: int
) -> MergeCounts:
    duplicates.mark_duplicates(connection, "staged.source")
    withdrawn = sessions.refuse_bots(connection, RECORDED_IMPORT_ID, events_per_hour_max)
    _quarantine_bots(connection)
    sessions.cut_sessions(connection, session_minutes)
    writing.write_events(connection, {"import_id": str(RECORDED_IMPORT_ID)})
    _declare_items(connection)
    catalogue.merge_seen_items(connection, "staged.source", _KIND, set())
    _change_items(connection)
    catalogue.merge_seen_users(connection, "staged.source")
    row = connection.execute(
        f"""
        select count(*) filter (code = 0), count(*) filter (code = {DUPLICATE}),
            count(*) filter (code = {REASONS["BOT"]}), (select count(*) from facts)
        from staged
        """
    ).fetchone() or (0, 0, 0, 0)
    return MergeCounts(int(row[0]), int(row[1]), int(row[2]), withdrawn, int(row[3]))


def _quarantine_bots(connection: duckdb.DuckDBPyConnection) -> None:
    known = ("session_id", "import_id")
    record = ", ".join(f"'{name}', s.{name}" for name in EVENT_COLUMNS if name not in known)
    connection.execute(
        f"""
        insert into quarantine
        select {RECORDED_IMPORT_ID}, '(the event log)', s.log_position, 'BOT', 'user_id', s.user_id,
            json_object({record})
        from staged s where s.code = {REASONS["BOT"]} order by s.log_position
        """
    )


def _declare_items(connection: duckdb.DuckDBPyConnection) -> None:
    """Write new items of which a fact told before any event: the same however the log is cut into merges."""
    values = _told("f") | {"kind": f"coalesce(f.kind, {literal(_KIND)})"}
    values["is_available"] = "coalesce(f.is_available, true)"
    connection.execute(
        f"""
        insert into items (item_id, {", ".join(values)})
        select f.item_id, {", ".join(values.values())}
        from facts f
        where not exists (select 1 from items i where i.item_id = f.item_id) and not exists (
            select 1 from staged s
            where s.code = 0 and s.item_id = f.item_id and s.log_position < f.first_position)
        """
    )


def _change_items(connection: duckdb.DuckDBPyConnection) -> None:
    """Write what is new about known items; one that a fact changes is a declared one from then on."""
    changes = {
        name: f"case when f.{name} is not null then {sql} else i.{name} end"
        for name, sql in _told("f").items()
    }
    differs = " or ".join(f"i.{name} is distinct from {sql}" for name, sql in changes.items())
    assigned = ", ".join(f"{name} = {sql}" for name, sql in changes.items())
    connection.execute(
        f"""
        update items as i set {assigned}, seen_at = null from facts f
        where f.item_id = i.item_id and ({differs})
        """
    )


def _told(facts: str) -> dict[str, str]:
    """SQL of each field's new value, by name."""
    told = {name: f"{facts}.{name}" for name in (*_FACT_FIELDS, "currency")}
    return told | {name: f"nullif({facts}.{name}, '')" for name in _FACT_TEXTS}
