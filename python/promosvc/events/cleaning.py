"""Writes the statement that cleans the events of one file.

A row passes these steps, each a CTE: `texts` reads each rule as a text (or, where the file has them, as
a number or a time), `numbers` reads numbers and times from those texts, `signed` knows what a negative
quantity means, `amounts` brings money to the line, and `judged` gives each row one code: 0 for an
accepted row, the number of its `RejectionReason`, or `SKIPPED` (duplicates and machines are found later).

Cost: each cell is read once and each text parsed once; nothing is sorted here. DuckDB runs the whole
as one parallel pipeline, about 1 µs a row and core for a dozen columns.
"""

from __future__ import annotations

import datetime
from typing import Final

from promosvc.events.currencies import DIGITS
from promosvc.events.expressions import Expressions
from promosvc.events.layers import (
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
    timestamp,
    too_long,
)
from promosvc.events.mapping import Mapping, Section
from promosvc.events.quoting import literal, literals
from promosvc.events.resolve import Columns
from promosvc.events.rules import Rule

STAGED_EVENTS: Final = {
    "file_number": "usmallint",
    "row_number": "ubigint",
    "element": "uinteger",
    "code": "utinyint",
    "event_id": "varchar",
    "has_own_id": "boolean",
    "event_name": "varchar",
    "user_id": "varchar",
    "item_id": "varchar",
    "event_at": "timestamp",
    "order_id": "varchar",
    "quantity": "double",
    "amount_minor": "bigint",
    "discount_minor": "bigint",
    "coupon_discount_minor": "bigint",
    "currency": "varchar",
    "rating": "double",
    "search_term": "varchar",
    "promotion_id": "varchar",
    "attributes": "varchar",
    "item_kind": "varchar",
    "item_title": "varchar",
    "item_category": "varchar",
    "item_brand": "varchar",
    "item_unit_price_minor": "bigint",
    "item_is_available": "boolean",
    "item_attributes": "varchar",
}
"""Columns of the staging table of events."""

_CONTENT: Final = {
    "event_name": "event_name",
    "user_id": "t_user_id",
    "item_id": "t_item_id",
    "event_at": "epoch_us(n_event_at)::varchar",
    "order_id": "t_order_id",
    "quantity": "quantity::varchar",
    "amount_minor": "amount_minor::varchar",
    "discount_minor": "discount_minor::varchar",
    "coupon_discount_minor": "coupon_discount_minor::varchar",
    "currency": "currency",
    "rating": "n_rating::varchar",
    "search_term": "t_search_term",
    "promotion_id": "t_promotion_id",
    "attributes": "attributes",
}
"""What makes two events without an id the same event, in this order, with the SQL of its text."""

_MONEY: Final[tuple[str, ...]] = ("amount", "unit_price", "discount", "coupon_discount")
_IDS: Final[tuple[str, ...]] = ("user_id", "item_id", "event_id", "order_id", "promotion_id")


def events_statement(
    mapping: Mapping, section: Section, columns: Columns, file_number: int, now: datetime.datetime
) -> Statement:
    """Write the statement over one raw table; its rows have the columns `STAGED_EVENTS`."""
    return Statement(
        rows=_select(mapping, section, columns, file_number, now, wants_details=False),
        details=_select(mapping, section, columns, file_number, now, wants_details=True),
    )


def _select(
    mapping: Mapping,
    section: Section,
    columns: Columns,
    file_number: int,
    now: datetime.datetime,
    *,
    wants_details: bool,
) -> str:
    rules, item_rules = section.rules, section.item_rules
    layers = Layers(Expressions(columns, section), wants_details)
    layers.add_texts(rules, (*_IDS, "event_name", "search_term"))
    layers.add_texts(item_rules, ("kind", "title", "category", "brand", "is_available"), "i_")
    layers.add_time("event_at", rules["event_at"])
    for name in ("quantity", *_MONEY, "rating"):
        layers.add_number(name, rules.get(name))
    layers.add_number("item_unit_price", item_rules.get("unit_price"))
    layers.add_attributes("attributes", section.attributes)
    layers.add_attributes("item_attributes", section.item_attributes)
    layers.add_row(section, columns)
    currency = fixed_currency(mapping, section, layers)
    faults = _faults(mapping, section, now, currency)
    skip = "not is_wanted" if section.where else "false"
    if mapping.zero_quantity == "skip":
        skip += " or n_quantity is not distinct from 0"
    chain = f"""{layers.sql(section, columns, _refused_rows(file_number))}, signed as (
    select *, {_event_name(rules)} as event_name, {_quantity(mapping)} as quantity,
        {_currency(mapping, section, currency)} as currency
    from numbers
), amounts as (
    select *, {_paid("amount", rules)} as a_amount, n_unit_price * coalesce(quantity, 1) as a_unit_price,
        {_paid("discount", rules)} as a_discount, {_paid("coupon_discount", rules)} as a_coupon_discount
    from signed
)"""
    if wants_details:
        return f"""{chain}
select row_number, element, {faults.name()} as field, {faults.value()} as value, record from amounts"""
    factor = minor_factor(currency)
    money = {name: minor(f"a_{name}", rules.get(name), factor) for name in _MONEY}
    return f"""{chain}, judged as (
    select *, (case when {skip} then {SKIPPED} else {faults.code()} end)::utinyint as code from amounts
), made as (
    select *, coalesce({money["amount"]}, {money["unit_price"]}) as amount_minor,
        {money["discount"]} as discount_minor, {money["coupon_discount"]} as coupon_discount_minor
    from judged
)
select
    {file_number}::usmallint, row_number::ubigint, element::uinteger, code,
    {_event_id(rules, section)}, {"t_event_id is not null" if "event_id" in rules else "false"},
    event_name, t_user_id, t_item_id, n_event_at, t_order_id, quantity,
    amount_minor, discount_minor, coupon_discount_minor, currency, n_rating,
    t_search_term, t_promotion_id, attributes, i_kind, i_title, i_category, i_brand,
    {minor("n_item_unit_price", item_rules.get("unit_price"), factor)},
    {layers.expressions.flag_of_text("i_is_available")}, item_attributes
from made"""


def _refused_rows(file_number: int) -> str:
    return f"select row_number from staged where file_number = {file_number} and code {REFUSED}"


def _event_id(rules: dict[str, Rule], section: Section) -> str:
    """The source's id, else the hash of the content; duplicates.py counts equal contents."""
    given = set(rules) | {"amount_minor" if {"amount", "unit_price"} & rules.keys() else ""}
    given |= {f"{name}_minor" for name in ("discount", "coupon_discount") if name in rules}
    given |= {"currency"} | ({"attributes"} if section.attributes else set())
    parts = [f"coalesce({sql}, '')" if name in given else "''" for name, sql in _CONTENT.items()]
    content = f"'c:' || md5(concat_ws(chr(31), {', '.join(parts)})) || ':1'"
    if "event_id" not in rules:
        return content
    # One record with several items is several events; they may not share an id.
    own = "t_event_id || '#' || element" if section.file_format.explode else "t_event_id"
    return f"coalesce({own}, {content})"


def _event_name(rules: dict[str, Rule]) -> str:
    """A negative quantity is a return, or takes out of the cart."""
    if "quantity" not in rules:
        return "t_event_name"
    return (
        "case when n_quantity < 0 and t_event_name = 'purchase' then 'refund'"
        " when n_quantity < 0 and t_event_name = 'add_to_cart' then 'remove_from_cart' else t_event_name end"
    )


def _quantity(mapping: Mapping) -> str:
    if mapping.zero_quantity == "one":
        return "case when n_quantity = 0 then 1 else abs(n_quantity) end"
    return "abs(n_quantity)"


def _currency(mapping: Mapping, section: Section, currency: str | None) -> str:
    """The currency of a row, where there is any money in it."""
    names = [name for name in _MONEY if name in section.rules]
    names += ["item_unit_price"] if "unit_price" in section.item_rules else []
    has_money = " or ".join(f"n_{name} is not null" for name in names) or "false"
    if currency is not None:
        return f"case when {has_money} then {literal(currency or None)} end"
    if mapping.currency:
        return f"coalesce(t_currency, case when {has_money} then {literal(mapping.currency)} end)"
    return "t_currency"


def _paid(name: str, rules: dict[str, Rule]) -> str:
    """An amount of the whole line, positive where goods came back."""
    rule = rules.get(name)
    if rule is None:
        return "null::double"
    value = f"n_{name}" if rule.per == "line" else f"n_{name} * coalesce(quantity, 1)"
    return f"case when event_name in ('refund', 'remove_from_cart') then abs({value}) else {value} end"


def _faults(mapping: Mapping, section: Section, now: datetime.datetime, currency: str | None) -> Faults:
    rules, faults = section.rules, Faults()
    _name_faults(faults, mapping, rules["event_name"])
    faults.add("t_user_id is null", "MISSING_USER", "user_id", "null")
    needy = [name for name, needs_item in mapping.event_names.items() if needs_item]
    faults.add(f"t_item_id is null and event_name in ({literals(needy)})", "MISSING_ITEM", "item_id", "null")
    for name in _IDS:
        if name in rules:
            faults.add(too_long(f"t_{name}"), "ID_TOO_LONG", name, f"t_{name}")
    for name in ("kind", "category"):
        if name in section.item_rules:
            faults.add(too_long(f"i_{name}"), "ID_TOO_LONG", f"item.{name}", f"i_{name}")
    _time_faults(faults, mapping, now)
    for name in ("quantity", *_MONEY, "rating"):
        if name in rules and not rules[name].is_constant:
            faults.add(not_a_number(name), "INVALID_NUMBER", name, text_of(name))
    if "quantity" in rules:
        returns = "event_name not in ('refund', 'remove_from_cart')"
        faults.add(f"n_quantity < 0 and {returns}", "INVALID_NUMBER", "quantity", text_of("quantity"))
        if mapping.zero_quantity == "refuse":
            faults.add("n_quantity = 0", "ZERO_QUANTITY", "quantity", text_of("quantity"))
    if "unit_price" in rules:
        faults.add("n_unit_price < 0", "NEGATIVE_PRICE", "unit_price", text_of("unit_price"))
    for name in ("amount", "discount", "coupon_discount"):
        if name in rules:
            faults.add(f"a_{name} < 0", "NEGATIVE_PRICE", name, text_of(name))
    if "unit_price" in section.item_rules:
        value = text_of("item_unit_price")
        faults.add(not_a_number("item_unit_price"), "INVALID_NUMBER", "item.unit_price", value)
        faults.add("n_item_unit_price < 0", "NEGATIVE_PRICE", "item.unit_price", value)
    if currency is None:
        codes = literals(list(DIGITS))
        faults.add(f"currency not in ({codes})", "INVALID_CURRENCY", "currency", "currency")
        money = "coalesce(n_amount, n_unit_price, n_discount, n_coupon_discount, n_item_unit_price)"
        faults.add(f"currency is null and {money} is not null", "INVALID_CURRENCY", "currency", "null")
    return faults


def _name_faults(faults: Faults, mapping: Mapping, rule: Rule) -> None:
    names = mapping.event_names
    if rule.is_constant and rule.value in names:
        return
    faults.add("event_name is null", "MISSING_EVENT_NAME", "event_name", "null")
    known = literals(list(names))
    faults.add(f"event_name not in ({known})", "UNKNOWN_EVENT_NAME", "event_name", "event_name")


def _time_faults(faults: Faults, mapping: Mapping, now: datetime.datetime) -> None:
    latest = min(now, mapping.latest) if mapping.latest else now
    text = text_of("event_at")
    faults.add("n_event_at is null and t_event_at is null", "MISSING_TIME", "event_at", "null")
    faults.add("n_event_at is null", "INVALID_TIME", "event_at", text)
    impossible = f"n_event_at < {timestamp(mapping.earliest)} or n_event_at > {timestamp(latest)}"
    faults.add(impossible, "IMPOSSIBLE_TIME", "event_at", text)
