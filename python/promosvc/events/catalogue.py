"""Items and users: rows of their own files, and those first seen in events.

A declared item or user is one whose file was imported; a later file of the same source replaces it.
An item that only events speak of takes what the newest event says (`seen_at` is that event's time), and
never overwrites a declared one. Items and users are small beside events, so that plain merges do.
"""

from __future__ import annotations

import duckdb

from promosvc.columns import ID_BYTES_MAX
from promosvc.events.cleaning import (
    DUPLICATE,
    SKIPPED,
    Faults,
    Layers,
    _currency,
    _factor,
    _joins,
    _minor,
    _named,
    _rows,
    attributes_sql,
    not_a_number,
    too_long,
)
from promosvc.events.currencies import DIGITS
from promosvc.events.expressions import Expressions
from promosvc.events.mapping import Mapping, Section
from promosvc.events.quoting import literal, literals
from promosvc.events.resolve import Columns

STAGED_ITEMS = {
    "file_number": "usmallint",
    "row_number": "ubigint",
    "code": "utinyint",
    "field": "varchar",
    "value": "varchar",
    "record": "varchar",
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

STAGED_USERS = {
    "file_number": "usmallint",
    "row_number": "ubigint",
    "code": "utinyint",
    "field": "varchar",
    "value": "varchar",
    "record": "varchar",
    "user_id": "varchar",
    "attributes": "varchar",
}
"""Columns of the staging table of users."""


def items_select(mapping: Mapping, section: Section, columns: Columns, file_number: int) -> str:
    """SQL that selects `STAGED_ITEMS` from one raw table, in their order."""
    expressions = Expressions(columns, section)
    layers, faults = Layers(), Faults()
    for name in ("item_id", "kind", "title", "category", "brand", "is_available"):
        rule = section.rules.get(name)
        layers.add_text(f"t_{name}", expressions.text(rule) if rule else "null::varchar")
    currency = _currency(mapping, section, expressions, layers)
    price = section.rules.get("unit_price")
    layers.number(expressions, "unit_price", price)
    layers.add_text("attributes", attributes_sql(expressions, section.attributes))
    _add_common(layers, section, columns, expressions)
    layers.numbers["flag"] = expressions.flag_of_text("t_is_available")
    layers.numbers["currency"] = (
        f"case when n_unit_price is not null then {literal(currency or None)} end"
        if currency is not None
        else f"coalesce(t_currency, {literal(mapping.currency or None)})"
    )
    faults.add("t_item_id is null", "MISSING_ITEM", "item_id", "null")
    faults.add(too_long("t_item_id"), "ID_TOO_LONG", "item_id", "t_item_id")
    faults.add(too_long("t_kind"), "ID_TOO_LONG", "kind", "t_kind")
    faults.add(too_long("t_category"), "ID_TOO_LONG", "category", "t_category")
    if price is not None:
        value = "coalesce(t_unit_price, n_unit_price::varchar)"
        faults.add(not_a_number("unit_price"), "INVALID_NUMBER", "unit_price", value)
        faults.add("n_unit_price < 0", "NEGATIVE_PRICE", "unit_price", value)
    faults.add("flag is null and t_is_available is not null", "MALFORMED_ROW", "is_available", "t_is_available")
    if currency is None:
        faults.add(
            f"currency not in ({literals(list(DIGITS))}) or (currency is null and n_unit_price is not null)",
            "INVALID_CURRENCY",
            "currency",
            "currency",
        )
    return f"""
with texts as (
    select {_named(layers.texts)}
    from {_rows(columns)}{_joins(columns, section, expressions)}
), numbers as (
    select *, {_named(_numbers(layers))} from texts
), priced as (
    select * from numbers
), judged as (
    select *, (case when not is_wanted then {SKIPPED} else {faults.code_sql()} end)::utinyint as code from priced
)
select {file_number}::usmallint, row_number::ubigint, code,
    {_refusal(faults)},
    t_item_id, t_kind, t_title, t_category, t_brand,
    case when code = 0 then {_minor("n_unit_price", price, _factor(currency))} end, currency, flag, attributes
from judged
"""


def users_select(section: Section, columns: Columns, file_number: int) -> str:
    """SQL that selects `STAGED_USERS` from one raw table, in their order."""
    expressions = Expressions(columns, section)
    layers, faults = Layers(), Faults()
    layers.add_text("t_user_id", expressions.text(section.rules["user_id"]))
    layers.add_text("attributes", attributes_sql(expressions, section.attributes))
    _add_common(layers, section, columns, expressions)
    faults.add("t_user_id is null", "MISSING_USER", "user_id", "null")
    faults.add(too_long("t_user_id"), "ID_TOO_LONG", "user_id", "t_user_id")
    return f"""
with texts as (
    select {_named(layers.texts)}
    from {_rows(columns)}{_joins(columns, section, expressions)}
), judged as (
    select *, (case when not is_wanted then {SKIPPED} else {faults.code_sql()} end)::utinyint as code from texts
)
select {file_number}::usmallint, row_number::ubigint, code,
    {_refusal(faults)},
    t_user_id, attributes
from judged
"""


def _add_common(layers: Layers, section: Section, columns: Columns, expressions: Expressions) -> None:
    layers.add_text("is_wanted", expressions.conditions(section.where))
    layers.add_text("record", columns.raw.record_sql)
    layers.add_text("row_number", columns.raw.row_number_sql)


def _numbers(layers: Layers) -> dict[str, str]:
    return layers.numbers


def _refusal(faults: Faults) -> str:
    refused = f"code not in (0, {SKIPPED})"
    return (
        f"case when {refused} then {faults.case_sql(2)} end,\n    case when {refused} then {faults.case_sql(3)} end,"
        f"\n    case when {refused} then record::varchar end"
    )


def merge_items(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Write declared items; the last row of an id in the import counts, earlier ones are duplicates."""
    _keep_last(connection, "staged_items", "item_id")
    source, kind = literal(mapping.source), literal(mapping.item_kind)
    connection.execute(
        f"""
        insert or replace into items
        select item_id, {source}, coalesce(kind, {kind}), title, category, brand, unit_price_minor, currency,
            coalesce(is_available, true), attributes, null
        from staged_items where code = 0
        """
    )


def merge_users(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Write declared users, and those that events speak of."""
    _keep_last(connection, "staged_users", "user_id")
    source = literal(mapping.source)
    connection.execute(
        f"insert or replace into users select user_id, {source}, attributes from staged_users where code = 0"
    )
    connection.execute(
        f"""
        insert into users
        select user_id, {source}, null from (select distinct user_id from staged where code = 0) new
        where not exists (select 1 from users u where u.user_id = new.user_id)
        """
    )


def merge_seen_items(connection: duckdb.DuckDBPyConnection, mapping: Mapping, has_columns: bool) -> None:
    """Write items that accepted events speak of and no file declares."""
    source, kind = literal(mapping.source), literal(mapping.item_kind)
    if not has_columns:
        connection.execute(
            f"""
            insert into items
            select item_id, {source}, {kind}, null, null, null, null, null, true, null, seen_at
            from (select item_id, max(event_at) as seen_at from staged where code = 0 and item_id is not null group by 1) new
            where not exists (select 1 from items i where i.item_id = new.item_id)
            """
        )
        return
    connection.execute(
        f"""
        create or replace temp table seen_items as
        with ordered as (
            select *, {{'at': event_at, 'file': file_number, 'row': row_number, 'element': element}} as moment
            from staged where code = 0 and item_id is not null
        )
        select item_id, max(event_at) as seen_at,
            max_by(item_kind, moment) as kind, max_by(item_title, moment) as title,
            max_by(item_category, moment) as category, max_by(item_brand, moment) as brand,
            max_by(item_price_minor, moment) as unit_price_minor,
            max_by(currency, moment) filter (item_price_minor is not null) as currency,
            max_by(item_is_available, moment) as is_available, max_by(item_attributes, moment) as attributes
        from ordered
        where coalesce(strlen(item_kind), 0) <= {ID_BYTES_MAX} and coalesce(strlen(item_category), 0) <= {ID_BYTES_MAX}
        group by item_id
        """
    )
    # A declared item keeps what its file says; events fill in only what the file leaves open.
    filled = ", ".join(
        f"""{name} = case when i.seen_at is not null and n.seen_at >= i.seen_at
            then coalesce(n.{name}, i.{name}) else coalesce(i.{name}, n.{name}) end"""
        for name in ("title", "category", "brand", "unit_price_minor", "currency", "attributes")
    )
    connection.execute(
        f"""
        update items as i set {filled},
            kind = case when i.seen_at is not null and n.seen_at >= i.seen_at then coalesce(n.kind, i.kind) else i.kind end,
            is_available = case when i.seen_at is not null and n.seen_at >= i.seen_at
                then coalesce(n.is_available, i.is_available) else i.is_available end,
            seen_at = case when i.seen_at is not null then greatest(i.seen_at, n.seen_at) end
        from seen_items n where n.item_id = i.item_id
        """
    )
    connection.execute(
        f"""
        insert into items
        select item_id, {source}, coalesce(kind, {kind}), title, category, brand, unit_price_minor, currency,
            coalesce(is_available, true), attributes, seen_at
        from seen_items n where not exists (select 1 from items i where i.item_id = n.item_id)
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
