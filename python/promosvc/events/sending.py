"""Sends what an import accepted to a running server, which records it; the event log brings it to the database.

    staged ─► events, oldest first ─► record_events ─► verdicts ─► codes of staged rows ─► report, quarantine
    items before and after the merge of what was not refused ─► what is new ─► upsert_items

The import decides as ever what is a row at all; the server decides once more what it records, with the same reasons.
Its verdicts become the codes of the rows, so that the report adds up as ever. What the mapping calls an attribute
goes as a text: texts as they are, other values as their JSON; missing ones not at all. Texts that are longer than the
wire takes are cut to that, and counted.

Cost: about 20 µs for each event, nearly all of it in making messages; the import holds the database meanwhile.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import duckdb

from promosvc.columns import ID_BYTES_MAX, REASONS
from promosvc.errors import InternalError
from promosvc.events.layers import DUPLICATE

EVENTS_PER_CALL: Final = 2_000
"""Few enough that a call of ordinary events stays far below the largest message."""
ITEMS_PER_CALL: Final = 1_000
"""What the wire allows."""
TEXT_BYTES_MAX: Final = 1_024
"""Longest search term, title or attribute on the wire, in UTF-8 bytes."""
ATTRIBUTES_MAX: Final = 32
"""Most attributes of an event on the wire; of more, the first in the order of their names are sent."""

_FETCHED_ROWS: Final = 20_000
_ACCEPTED: Final = "ACCEPTED"
_DUPLICATE: Final = "DUPLICATE"

_EVENT_FIELDS: Final = (
    "event_id",
    "event_name",
    "user_id",
    "item_id",
    "event_at",
    "order_id",
    "quantity",
    "amount_minor",
    "discount_minor",
    "coupon_discount_minor",
    "currency",
    "rating",
    "search_term",
    "promotion_id",
    "attributes",
)
_ITEM_TEXTS: Final = ("title", "category", "brand")


class Verdict(NamedTuple):
    """What became of one event that was sent."""

    outcome: str
    """ACCEPTED, DUPLICATE, or the reason of its refusal, a name of `columns.REASONS`."""
    field: str = ""
    """The field at fault, such as `amount_minor`; empty unless it was refused."""


class Recorder(Protocol):
    """What an import sends accepted rows to: the client of a running server.

    Both methods return when what they were given is durable, and raise a `PromosvcError` when it cannot be; the
    import then fails and leaves the database as it was. Calling again with the same is safe.
    """

    def record_events(self, source: str, events: Sequence[Mapping[str, Any]]) -> Sequence[Verdict]:
        """Record events of a source; one verdict for each, in order.

        At most `EVENTS_PER_CALL`; several calls are to be made of them where they are more than one message
        takes. An event holds values by the field names of `promosvc.v1.Event`, without what is not known:
        `event_at` is a datetime in UTC, `attributes` a dict of texts.
        """
        ...

    def upsert_items(self, request_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Tell what is new about items, at most `ITEMS_PER_CALL`, all or none.

        An item holds `item_id` and what is new of `kind`, `title`, `category`, `brand`, `is_available`, and
        `unit_price_minor` with `currency`; an empty text is none.
        """
        ...


def remember_items(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep the items as they are now in `items_before`."""
    connection.execute("create or replace temp table items_before as select * from items")


def send_items(connection: duckdb.DuckDBPyConnection, recorder: Recorder, fingerprint: str) -> int:
    """Send what is new about items since `remember_items`; gives how many texts were cut.

    A price that is gone cannot be told. The request ids are made of import and content, so that an import that
    died and is run again repeats them.
    """
    differs = {
        name: f"(b.item_id is null or i.{name} is distinct from b.{name})"
        for name in ("kind", *_ITEM_TEXTS, "unit_price_minor", "currency", "is_available")
    }
    differs["unit_price_minor"] = f"({differs['unit_price_minor']} or {differs['currency']})"
    values = {name: f"i.{name}" for name in ("kind", "is_available", "unit_price_minor")}
    values |= {
        name: f"coalesce(i.{name}, case when b.{name} is not null then '' end)" for name in _ITEM_TEXTS
    }
    told = {name: f"case when {differs[name]} then {value} end" for name, value in values.items()}
    told["currency"] = f"case when {differs['unit_price_minor']} then i.currency end"
    rows = connection.execute(
        f"""
        select i.item_id, {", ".join(f"{sql} as {name}" for name, sql in told.items())}
        from items i left join items_before b on b.item_id = i.item_id
        where {" or ".join(differs.values())}
        order by i.item_id
        """
    )
    names, cuts = ("item_id", *told), _Cuts()
    changed = []
    for row in rows.fetchall():
        item = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        if not {"unit_price_minor", "currency"} <= item.keys():
            item.pop("unit_price_minor", None)
            item.pop("currency", None)
        for name, most in (("title", TEXT_BYTES_MAX), ("brand", ID_BYTES_MAX)):
            if name in item:
                item[name] = cuts.fitted(item[name], most)
        changed.append(item)
    for first in range(0, len(changed), ITEMS_PER_CALL):
        batch = changed[first : first + ITEMS_PER_CALL]
        content = hashlib.sha256(json.dumps(batch, sort_keys=True).encode()).hexdigest()
        recorder.upsert_items(f"import-{fingerprint[:16]}-{content[:16]}", batch)
    return cuts.count


def send_events(
    connection: duckdb.DuckDBPyConnection,
    recorder: Recorder,
    source: str,
    tell: Callable[[int], None],
) -> int:
    """Send the accepted rows of `staged` and give each the code that the server says; how many texts were cut.

    `tell` hears how many are sent. What was not accepted stands in `verdicts` with its field.
    """
    connection.execute("create or replace temp table verdicts (row_id bigint, code utinyint, field varchar)")
    # An element of a list has an id of its own, made longer than the list's; the server would refuse the call.
    connection.execute(
        f"""
        insert into verdicts
        select rowid, {REASONS["ID_TOO_LONG"]}, 'event_id' from staged
        where code = 0 and strlen(event_id) > {ID_BYTES_MAX}
        """
    )
    connection.execute(
        f"""
        create or replace temp table outgoing as
        select row_number() over (order by event_at, file_number, row_number, element) - 1 as number,
            rowid as row_id, {", ".join(_EVENT_FIELDS)}
        from staged where code = 0 and strlen(event_id) <= {ID_BYTES_MAX} order by number
        """
    )
    row = connection.execute("select count(*) from outgoing").fetchall()
    cuts, total = _Cuts(), int(row[0][0])
    for first in range(0, total, _FETCHED_ROWS):
        rows = connection.execute(
            f"""
            select row_id, {", ".join(_EVENT_FIELDS)} from outgoing
            where number >= {first} and number < {first + _FETCHED_ROWS} order by number
            """
        ).fetchall()
        refused: list[tuple[int, int, str]] = []
        for at in range(0, len(rows), EVENTS_PER_CALL):
            batch = rows[at : at + EVENTS_PER_CALL]
            verdicts = recorder.record_events(source, [_event(row[1:], cuts) for row in batch])
            refused += _judged([int(row[0]) for row in batch], verdicts)
            tell(first + at + len(batch))
        if refused:
            columns = [list(column) for column in zip(*refused, strict=True)]
            connection.execute("insert into verdicts select unnest(?), unnest(?), unnest(?)", columns)
    connection.execute(
        "update staged set code = v.code from verdicts v where v.row_id = staged.rowid and staged.code = 0"
    )
    return cuts.count


def attribute_texts(attributes: str | None) -> dict[str, str]:
    """Attributes of a JSON object as texts: texts as they are, others as JSON, missing ones left out."""
    if attributes is None:
        return {}
    found = {str(name): value for name, value in json.loads(attributes).items() if value is not None}
    return {
        name: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for name, value in found.items()
    }


class _Cuts:
    """Cuts texts to what the wire takes, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def fitted(self, text: str, bytes_max: int) -> str:
        """The text, or as much of it as fits, in whole characters."""
        # No character is longer than four bytes, so that most texts need not be encoded.
        if len(text) * 4 <= bytes_max or len(encoded := text.encode()) <= bytes_max:
            return text
        self.count += 1
        return encoded[:bytes_max].decode(errors="ignore")


def _event(row: Sequence[Any], cuts: _Cuts) -> dict[str, Any]:
    event = {name: value for name, value in zip(_EVENT_FIELDS, row, strict=True) if value is not None}
    event["event_at"] = event["event_at"].replace(tzinfo=datetime.UTC)
    if "search_term" in event:
        event["search_term"] = cuts.fitted(event["search_term"], TEXT_BYTES_MAX)
    attributes = attribute_texts(event.pop("attributes", None))
    if attributes:
        cuts.count += max(len(attributes) - ATTRIBUTES_MAX, 0)
        event["attributes"] = {
            cuts.fitted(name, ID_BYTES_MAX): cuts.fitted(text, TEXT_BYTES_MAX)
            for name, text in sorted(attributes.items())[:ATTRIBUTES_MAX]
        }
    return event


def _judged(row_ids: Sequence[int], verdicts: Sequence[Verdict]) -> list[tuple[int, int, str]]:
    """Row, code and field of each event that was not accepted."""
    if len(verdicts) != len(row_ids):
        raise InternalError(
            f"{len(row_ids)} events were sent, and {len(verdicts)} verdicts came back",
            reason="VERDICTS_MISSING",
        )
    judged = []
    for row_id, verdict in zip(row_ids, verdicts, strict=True):
        if verdict.outcome == _DUPLICATE:
            judged.append((row_id, DUPLICATE, ""))
        elif verdict.outcome in REASONS:
            judged.append((row_id, REASONS[verdict.outcome], verdict.field))
        elif verdict.outcome != _ACCEPTED:
            raise InternalError(
                f"a verdict is {verdict.outcome!r}; it must be ACCEPTED, DUPLICATE or a reason",
                reason="VERDICT_UNKNOWN",
                metadata={"value": verdict.outcome},
            )
    return judged
