"""Items and users: rows of their own files, and those first seen in events.

A declared item or user is one whose file was imported; a later row of the same id replaces it. An item
that only events speak of takes what the newest event says (`seen_at` is that event's time); of a
declared one, events fill in only what its file leaves open. No file tells a stock, so that the stock stays
what UpsertItems said. Items and users are few beside events, so that plain merges do.
"""

from __future__ import annotations

from typing import Final

import duckdb

from promosvc.columns import ITEM_COLUMNS
from promosvc.events.currencies import DIGITS
from promosvc.events.expressions import Expressions
from promosvc.events.layers import (
    DUPLICATE,
    REFUSED,
    SKIPPED,
    Faults,
    Layers,
    Statement,
    fixed_currency,
    minor,
    minor_factor,
    not_a_number,
    text_of,
    too_long,
)
from promosvc.events.mapping import Mapping, Section
from promosvc.events.quoting import literal, literals
from promosvc.events.resolve import Columns

STAGED_ITEMS: Final = {
    "file_number": "usmallint",
    "row_number": "ubigint",
    "element": "uinteger",
    "code": "utinyint",
    "item_id": "varchar",
    "kind": "varchar",
    "title": "varchar",
    "category": "varchar",
    "brand": "varchar",
    "unit_price_minor": "bigint",
    "currency": "varchar",
    "is_available": "boolean",
    "attributes": "varchar",
}
"""Columns of the staging table of items."""

STAGED_USERS: Final = {
    "file_number": "usmallint",
    "row_number": "ubigint",
    "element": "uinteger",
    "code": "utinyint",
    "user_id": "varchar",
    "attributes": "varchar",
}
"""Columns of the staging table of users."""

_SEEN: Final[tuple[str, ...]] = (
    "kind",
    "title",
    "category",
    "brand",
    "unit_price_minor",
    "is_available",
    "attributes",
)


def items_statement(mapping: Mapping, section: Section, columns: Columns, file_number: int) -> Statement:
    """Write the statement over one raw table; its rows have the columns `STAGED_ITEMS`."""
    selects = []
    for wants_details in (False, True):
        layers = Layers(Expressions(columns, section), wants_details)
        layers.add_texts(section.rules, ("item_id", "kind", "title", "category", "brand", "is_available"))
        layers.add_number("unit_price", section.rules.get("unit_price"))
        layers.add_attributes("attributes", section.attributes)
        layers.add_row(section, columns)
        fixed = fixed_currency(mapping, section, layers)
        layers.values["flag"] = layers.expressions.flag_of_text("t_is_available")
        currency = literal((mapping.currency if fixed is None else fixed) or None)
        layers.values["money"] = "v_unit_price" if "v_unit_price" in layers.texts else "t_unit_price"
        chain = f"""{layers.sql(section, columns, _refused_rows("staged_items", file_number))}, priced as (
    select *, coalesce(t_currency, case when money is not null then {currency} end) as currency from numbers
)"""
        price = minor("n_unit_price", section.rules.get("unit_price"), minor_factor(fixed))
        wanted = f"t_item_id, t_kind, t_title, t_category, t_brand, {price}, currency, flag, attributes"
        selects.append(_finish(chain, "priced", _item_faults(section), file_number, wanted, wants_details))
    return Statement(*selects)


def users_statement(section: Section, columns: Columns, file_number: int) -> Statement:
    """Write the statement over one raw table; its rows have the columns `STAGED_USERS`."""
    selects = []
    for wants_details in (False, True):
        layers = Layers(Expressions(columns, section), wants_details)
        layers.add_texts(section.rules, ("user_id",))
        layers.add_attributes("attributes", section.attributes)
        layers.add_row(section, columns)
        faults = Faults()
        faults.add("t_user_id is null", "MISSING_USER", "user_id", "null")
        faults.add(too_long("t_user_id"), "ID_TOO_LONG", "user_id", "t_user_id")
        chain = layers.sql(section, columns, _refused_rows("staged_users", file_number))
        selects.append(_finish(chain, "numbers", faults, file_number, "t_user_id, attributes", wants_details))
    return Statement(*selects)


def _item_faults(section: Section) -> Faults:
    faults = Faults()
    faults.add("t_item_id is null", "MISSING_ITEM", "item_id", "null")
    for name in ("item_id", "kind", "category"):
        faults.add(too_long(f"t_{name}"), "ID_TOO_LONG", name, f"t_{name}")
    if "unit_price" in section.rules:
        faults.add(not_a_number("unit_price"), "INVALID_NUMBER", "unit_price", text_of("unit_price"))
        faults.add("n_unit_price < 0", "NEGATIVE_PRICE", "unit_price", text_of("unit_price"))
    flag = "t_is_available is not null and flag is null"
    faults.add(flag, "MALFORMED_ROW", "is_available", "t_is_available")
    codes = literals(list(DIGITS))
    invalid = f"currency not in ({codes}) or (currency is null and n_unit_price is not null)"
    faults.add(invalid, "INVALID_CURRENCY", "currency", "currency")
    return faults


def _finish(chain: str, last: str, faults: Faults, file_number: int, wanted: str, wants_details: bool) -> str:
    if wants_details:
        return f"""{chain}
select row_number, element, {faults.name()} as field, {faults.value()} as value, record from {last}"""
    return f"""{chain}, judged as (
    select *, (case when not is_wanted then {SKIPPED} else {faults.code()} end)::utinyint as code from {last}
)
select {file_number}::usmallint, row_number::ubigint, element::uinteger, code, {wanted} from judged"""


def _refused_rows(table: str, file_number: int) -> str:
    return f"select row_number from {table} where file_number = {file_number} and code {REFUSED}"


def merge_items(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Write declared items; the last row of an id in the import counts, earlier ones are duplicates."""
    _keep_last(connection, "staged_items", "item_id")
    source, kind = literal(mapping.source), literal(mapping.item_kind)
    told = [name for name in ITEM_COLUMNS if name != "stock"]
    connection.execute(
        f"""
        insert into items ({", ".join(told)})
        select item_id, {source}, coalesce(kind, {kind}), title, category, brand, unit_price_minor, currency,
            coalesce(is_available, true), attributes, null
        from staged_items where code = 0
        on conflict (item_id) do update set {", ".join(f"{name} = excluded.{name}" for name in told[1:])}
        """
    )


def merge_users(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Write declared users, and those that events speak of."""
    _keep_last(connection, "staged_users", "user_id")
    source = literal(mapping.source)
    connection.execute(
        f"insert or replace into users select user_id, {source}, attributes from staged_users where code = 0"
    )
    merge_seen_users(connection, source)


def merge_seen_users(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Write users that accepted events speak of; `source` is SQL over `staged`."""
    connection.execute(
        f"""
        insert into users
        select user_id, source, null
        from (select user_id, min({source}) as source from staged where code = 0 group by user_id) new
        where not exists (select 1 from users u where u.user_id = new.user_id)
        """
    )


def merge_seen_items(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    kind: str,
    seen: set[str],
    codes: tuple[int, ...] = (0,),
) -> None:
    """Write what events say of items.

    `source` is SQL over `staged`; `kind` is what an item is of which none is told; `seen` names the columns that
    are told of at all; rows of the `codes` speak, by default those that were accepted.
    """
    columns = [name for name in _SEEN if name in seen]
    _find_seen(connection, source, columns, codes)
    # A declared item keeps what its file says; events fill in only what the file leaves open.
    is_newer = "i.seen_at is not null and n.seen_at >= i.seen_at"
    filled = {
        name: f"case when {is_newer} then coalesce(n.{name}, i.{name}) else coalesce(i.{name}, n.{name}) end"
        for name in [*columns, *(["currency"] if "unit_price_minor" in columns else [])]
    }
    for name in ("kind", "is_available"):
        if name in filled:
            filled[name] = f"case when {is_newer} then coalesce(n.{name}, i.{name}) else i.{name} end"
    filled["seen_at"] = "case when i.seen_at is not null then greatest(i.seen_at, n.seen_at) end"
    changes = ", ".join(f"{name} = {sql}" for name, sql in filled.items())
    connection.execute(f"update items as i set {changes} from seen_items n where n.item_id = i.item_id")
    new = {name: f"n.{name}" if name in filled else "null" for name in (*_SEEN, "currency")}
    connection.execute(
        f"""
        insert into items
        select item_id, n.source, coalesce({new["kind"]}, {literal(kind)}), {new["title"]}, {new["category"]},
            {new["brand"]}, {new["unit_price_minor"]}, {new["currency"]},
            coalesce({new["is_available"]}, true), {new["attributes"]}, seen_at, null
        from seen_items n where not exists (select 1 from items i where i.item_id = n.item_id)
        """
    )


def _find_seen(
    connection: duckdb.DuckDBPyConnection, source: str, columns: list[str], codes: tuple[int, ...]
) -> None:
    """Make `seen_items`: for each column the value of the newest event that has one, the largest of equals.

    Two hash aggregations and a join: finding the newest time first keeps the answer independent of the
    order in which threads meet the rows.
    """
    heard = f"code in ({', '.join(map(str, codes))})"
    newest = "".join(f", max(event_at) filter (item_{name} is not null) as {name}_at" for name in columns)
    connection.execute(
        f"""
        create or replace temp table seen_times as
        select item_id, max(event_at) as seen_at, min({source}) as source{newest} from staged
        where {heard} and item_id is not null group by item_id
        """
    )
    if not columns:
        connection.execute("create or replace temp table seen_items as select * from seen_times")
        return
    values = ", ".join(f"max(s.item_{name}) filter (s.event_at = t.{name}_at) as {name}" for name in columns)
    if "unit_price_minor" in columns:
        values += ", max(s.currency) filter (s.event_at = t.unit_price_minor_at) as currency"
    newest_of = " or ".join(f"s.event_at = t.{name}_at" for name in columns)
    connection.execute(
        f"""
        create or replace temp table seen_items as
        select t.item_id, any_value(t.seen_at) as seen_at, any_value(t.source) as source, {values}
        from seen_times t left join staged s on s.item_id = t.item_id and s.{heard} and ({newest_of})
        group by t.item_id
        """
    )


def _keep_last(connection: duckdb.DuckDBPyConnection, table: str, key: str) -> None:
    connection.execute(
        f"""
        update {table} set code = {DUPLICATE}
        from (
            select rowid as row_id, row_number() over (
                partition by {key} order by file_number desc, row_number desc) as occurrence
            from {table} where code = 0
        ) o
        where o.row_id = {table}.rowid and o.occurrence > 1
        """
    )
