"""Writes the one statement that cleans the rows of one file.

A row passes four steps, each a CTE: `texts` reads each rule as a text (or, where the file has them, as
a number or a time), `numbers` reads numbers and times from those texts, `signed` knows what a negative
quantity means, and `judged` gives each row one code. A code is 0 for an accepted row, the number of
its `RejectionReason`, 254 for a duplicate (found later) or 255 for a row that `where` skips. A refused
row carries the field at fault, its text, and the raw record.

Cost: each cell is read once and each text parsed once; nothing is sorted here. DuckDB runs the whole
as one parallel pipeline.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Final

from promosvc.columns import ID_BYTES_MAX, REASONS
from promosvc.events.currencies import DIGITS
from promosvc.events.expressions import Expressions
from promosvc.events.mapping import Mapping, Section
from promosvc.events.quoting import literal, literals
from promosvc.events.resolve import Columns
from promosvc.events.rules import Rule

SKIPPED: Final = 255
DUPLICATE: Final = 254
_AMOUNT_MAX: Final = 9e15

STAGED_EVENTS: Final = {
    "file_number": "usmallint",
    "row_number": "ubigint",
    "element": "uinteger",
    "code": "utinyint",
    "field": "varchar",
    "value": "varchar",
    "record": "varchar",
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
    "item_price_minor": "bigint",
    "item_is_available": "boolean",
    "item_attributes": "varchar",
}
"""Columns of the staging table of events."""

_CONTENT: Final = (
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
"""What makes two events without an id the same event, in this order."""


@dataclass
class Faults:
    """Tests that refuse a row, in the order in which they are asked; the first that holds names the reason."""

    tests: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, test: str, reason: str, name: str, value: str) -> None:
        """Refuse rows for which `test` holds; `value` is the SQL of the text to keep."""
        self.tests.append((test, reason, name, value))

    def code_sql(self) -> str:
        """SQL of the reason's number, 0 for none."""
        branches = " ".join(f"when {test} then {REASONS[reason]}" for test, reason, _, _ in self.tests)
        return f"case {branches} else 0 end" if branches else "0"

    def case_sql(self, what: int) -> str:
        """SQL of the field (2) or the value (3) of the first test that holds."""
        branches = " ".join(
            f"when {test[0]} then {literal(test[2]) if what == 2 else test[3]}" for test in self.tests
        )
        return f"case {branches} end" if branches else "null"


@dataclass
class Layers:
    """Expressions of the CTEs, by column name."""

    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    def add_text(self, name: str, sql: str) -> str:
        """A text of the first CTE; gives its name."""
        self.texts[name] = sql
        return name

    def number(self, expressions: Expressions, name: str, rule: Rule | None) -> str:
        """A number read in two steps; gives the name of its value."""
        if rule is None:
            self.texts[f"t_{name}"] = "null::varchar"
            self.numbers[f"n_{name}"] = "null::double"
            return f"n_{name}"
        value = expressions.number(rule)
        self.texts[f"t_{name}"] = value.text
        if value.value:
            self.texts[f"v_{name}"] = value.value
            self.numbers[f"n_{name}"] = f"v_{name}"
        else:
            self.numbers[f"n_{name}"] = expressions.number_of_text(rule, f"t_{name}")
        return f"n_{name}"

    def time(self, expressions: Expressions, name: str, rule: Rule) -> str:
        """A time read in two steps; gives the name of its value."""
        value = expressions.time(rule)
        self.texts[f"t_{name}"] = value.text
        if value.value:
            self.texts[f"v_{name}"] = value.value
            self.numbers[f"n_{name}"] = f"v_{name}"
        else:
            self.numbers[f"n_{name}"] = expressions.time_of_text(rule, f"t_{name}")
        return f"n_{name}"


def events_select(
    mapping: Mapping, section: Section, columns: Columns, file_number: int, now: datetime.datetime
) -> str:
    """SQL that selects `STAGED_EVENTS` from one raw table, in their order."""
    expressions = Expressions(columns, section)
    rules = section.rules
    layers, faults = Layers(), Faults()
    for name in ("event_id", "event_name", "user_id", "item_id", "order_id", "search_term", "promotion_id"):
        rule = rules.get(name)
        layers.add_text(f"t_{name}", expressions.text(rule) if rule else "null::varchar")
    currency = _currency(mapping, section, expressions, layers)
    layers.time(expressions, "event_at", rules["event_at"])
    for name in ("quantity", "amount", "unit_price", "discount", "coupon_discount", "rating"):
        layers.number(expressions, name, rules.get(name))
    item_price = section.item_rules.get("unit_price")
    layers.number(expressions, "item_price", item_price)
    for name in ("kind", "title", "category", "brand"):
        rule = section.item_rules.get(name)
        layers.add_text(f"i_{name}", expressions.text(rule) if rule else "null::varchar")
    available = section.item_rules.get("is_available")
    layers.add_text("t_available", expressions.text(available) if available else "null::varchar")
    layers.add_text("attributes", attributes_sql(expressions, section.attributes))
    layers.add_text("i_attributes", attributes_sql(expressions, section.item_attributes))
    layers.add_text("is_wanted", expressions.conditions(section.where))
    layers.add_text("record", columns.raw.record_sql)
    layers.add_text("row_number", columns.raw.row_number_sql)
    layers.add_text("element", "r.element_number" if section.file_format.explode else "null::uinteger")

    _event_faults(faults, mapping, section, now, currency)
    factor = _factor(currency)
    money = {
        name: _minor(f"a_{name}", rules.get(name), factor)
        for name in ("amount", "unit_price", "discount", "coupon_discount")
    }
    price = _minor("n_item_price", item_price, factor) if item_price else "null::bigint"
    skip = "not is_wanted"
    if mapping.zero_quantity == "skip":
        skip += " or n_quantity is not distinct from 0"
    code = f"case when {skip} then {SKIPPED} else {faults.code_sql()} end"
    own_id = "t_event_id"
    if section.file_format.explode and "event_id" in rules:
        # One record with several items is several events; they may not share an id.
        own_id = "t_event_id || '#' || element"
    has_money = " or ".join(
        f"n_{name} is not null" for name in ("amount", "unit_price", "discount", "coupon_discount") if name in rules
    )
    constants = {name for name in _CONTENT if name not in rules and name not in _derived(rules, section)}
    content = ", ".join(
        "''" if name in constants else f"coalesce({_content(name)}, '')" for name in _CONTENT
    )
    refused = f"code not in (0, {SKIPPED})"
    return f"""
with texts as (
    select {_named(layers.texts)}
    from {_rows(columns)}{_joins(columns, section, expressions)}
), numbers as (
    select *, {_named(layers.numbers)} from texts
), signed as (
    select *,
        case when n_quantity < 0 and t_event_name = 'purchase' then 'refund'
             when n_quantity < 0 and t_event_name = 'add_to_cart' then 'remove_from_cart'
             else t_event_name end as event_name,
        {"case when n_quantity = 0 then 1 else abs(n_quantity) end" if mapping.zero_quantity == "one" else "abs(n_quantity)"} as quantity,
        {_currency_used(mapping, currency, has_money)} as currency
    from numbers
), amounts as (
    select *,
        {_paid("amount", rules)} as a_amount,
        n_unit_price * coalesce(quantity, 1) as a_unit_price,
        {_paid("discount", rules)} as a_discount,
        {_paid("coupon_discount", rules)} as a_coupon_discount
    from signed
), judged as (
    select *, ({code})::utinyint as code from amounts
), made as (
    select *,
        case when code = 0 then coalesce({money["amount"]}, {money["unit_price"]}) end as amount_minor,
        case when code = 0 then {money["discount"]} end as discount_minor,
        case when code = 0 then {money["coupon_discount"]} end as coupon_discount_minor,
        case when code = 0 then {price} end as item_price_minor
    from judged
), named as (
    select *, t_user_id as user_id, t_item_id as item_id, n_event_at as event_at, t_order_id as order_id,
        n_rating as rating, t_search_term as search_term, t_promotion_id as promotion_id
    from made
)
select
    {file_number}::usmallint, row_number::ubigint, element::uinteger, code,
    case when {refused} then {faults.case_sql(2)} end,
    case when {refused} then {faults.case_sql(3)} end,
    case when {refused} then record::varchar end,
    coalesce({own_id}, 'c:' || md5(concat_ws(chr(31), {content})) || ':1'),
    t_event_id is not null,
    event_name, user_id, item_id, event_at, order_id, quantity,
    amount_minor, discount_minor, coupon_discount_minor, currency, rating,
    search_term, promotion_id, attributes,
    i_kind, i_title, i_category, i_brand, item_price_minor, {expressions.flag_of_text("t_available")}, i_attributes
from named
"""


def _derived(rules: dict[str, Rule], section: Section) -> set[str]:
    names = {"event_name", "user_id", "event_at", "currency"}
    if "quantity" in rules:
        names.add("quantity")
    if "amount" in rules or "unit_price" in rules:
        names.add("amount_minor")
    if "discount" in rules:
        names.add("discount_minor")
    if "coupon_discount" in rules:
        names.add("coupon_discount_minor")
    if section.attributes:
        names.add("attributes")
    return names


def _content(name: str) -> str:
    if name == "event_at":
        return "epoch_us(event_at)::varchar"
    return name if name in ("event_name", "user_id", "item_id", "order_id", "currency", "attributes") else f"{name}::varchar"


def _event_faults(
    faults: Faults, mapping: Mapping, section: Section, now: datetime.datetime, currency: str | None
) -> None:
    rules = section.rules
    faults.add("event_name is null", "MISSING_EVENT_NAME", "event_name", "null")
    names = mapping.event_names
    faults.add(
        f"event_name not in ({literals(list(names))})", "UNKNOWN_EVENT_NAME", "event_name", "t_event_name"
    )
    faults.add("t_user_id is null", "MISSING_USER", "user_id", "null")
    needy = [name for name, needs_item in names.items() if needs_item]
    faults.add(f"t_item_id is null and event_name in ({literals(needy)})", "MISSING_ITEM", "item_id", "null")
    for name in ("user_id", "item_id", "event_id", "order_id", "promotion_id"):
        if name in rules:
            faults.add(too_long(f"t_{name}"), "ID_TOO_LONG", name, f"t_{name}")
    time_text = "coalesce(t_event_at, n_event_at::varchar)"
    faults.add("n_event_at is null and t_event_at is null", "MISSING_TIME", "event_at", "null")
    faults.add("n_event_at is null", "INVALID_TIME", "event_at", time_text)
    latest = min(now, mapping.latest) if mapping.latest else now
    faults.add(
        f"n_event_at < {timestamp(mapping.earliest)} or n_event_at > {timestamp(latest)}",
        "IMPOSSIBLE_TIME",
        "event_at",
        time_text,
    )
    for name in ("quantity", "amount", "unit_price", "discount", "coupon_discount", "rating"):
        if name in rules and not rules[name].is_constant:
            faults.add(not_a_number(name), "INVALID_NUMBER", name, f"coalesce(t_{name}, n_{name}::varchar)")
    if "quantity" in rules:
        value = "coalesce(t_quantity, n_quantity::varchar)"
        faults.add(
            "n_quantity < 0 and event_name not in ('refund', 'remove_from_cart')", "INVALID_NUMBER", "quantity", value
        )
        if mapping.zero_quantity == "refuse":
            faults.add("n_quantity = 0", "ZERO_QUANTITY", "quantity", value)
    if "unit_price" in rules:
        faults.add("n_unit_price < 0", "NEGATIVE_PRICE", "unit_price", "coalesce(t_unit_price, n_unit_price::varchar)")
    for name in ("amount", "discount", "coupon_discount"):
        if name in rules:
            faults.add(f"a_{name} < 0", "NEGATIVE_PRICE", name, f"coalesce(t_{name}, n_{name}::varchar)")
    if "unit_price" in section.item_rules:
        faults.add(not_a_number("item_price"), "INVALID_NUMBER", "item.unit_price", "t_item_price")
        faults.add("n_item_price < 0", "NEGATIVE_PRICE", "item.unit_price", "t_item_price")
    if currency is None and ("currency" in rules):
        faults.add(f"currency not in ({literals(list(DIGITS))})", "INVALID_CURRENCY", "currency", "currency")
        if not mapping.currency:
            faults.add(
                "currency is null and coalesce(n_amount, n_unit_price, n_discount, n_coupon_discount, n_item_price)"
                " is not null",
                "INVALID_CURRENCY",
                "currency",
                "null",
            )


def too_long(name: str) -> str:
    """SQL test: an id over the limit of UTF-8 bytes."""
    return f"strlen({name}) > {ID_BYTES_MAX}"


def not_a_number(name: str) -> str:
    """SQL test: there is a text and no number in it, or the number is not finite or too large."""
    return (
        f"((t_{name} is not null and n_{name} is null) or not isfinite(n_{name}) or abs(n_{name}) >= {_AMOUNT_MAX!r})"
    )


def timestamp(moment: datetime.datetime) -> str:
    """SQL of a point in time, UTC."""
    return f"timestamp {literal(moment.strftime('%Y-%m-%d %H:%M:%S.%f'))}"


def _currency(mapping: Mapping, section: Section, expressions: Expressions, layers: Layers) -> str | None:
    """The currency of all rows, or none if each row has its own (then it is the text `t_currency`)."""
    rule = section.rules.get("currency")
    if rule is None or (rule.is_constant and isinstance(rule.value, str) and rule.value.upper() in DIGITS):
        layers.add_text("t_currency", "null::varchar")
        return mapping.currency if rule is None else str(rule.value).upper()
    layers.add_text("t_currency", f"upper({expressions.text(rule)})")
    return None


def _currency_used(mapping: Mapping, currency: str | None, has_money: str) -> str:
    if not has_money:
        return "t_currency" if currency is None else "null::varchar"
    if currency is not None:
        return f"case when {has_money} then {literal(currency or None)} end"
    if mapping.currency:
        return f"coalesce(t_currency, case when {has_money} then {literal(mapping.currency)} end)"
    return "t_currency"


def _factor(currency: str | None) -> str:
    """SQL of minor units in one major unit."""
    if currency is not None:
        return f"{10.0 ** DIGITS.get(currency, 2)!r}::double"
    by_digits: dict[int, list[str]] = {}
    for code, digits in DIGITS.items():
        by_digits.setdefault(digits, []).append(code)
    branches = " ".join(
        f"when currency in ({literals(codes)}) then {10.0**digits!r}::double"
        for digits, codes in sorted(by_digits.items())
        if digits != 2
    )
    return f"(case {branches} else 100.0::double end)"


def _paid(name: str, rules: dict[str, Rule]) -> str:
    """SQL of an amount of the line, positive where goods came back."""
    rule = rules.get(name)
    if rule is None:
        return "null::double"
    value = f"n_{name}" if rule.per == "line" else f"n_{name} * coalesce(quantity, 1)"
    return f"case when event_name in ('refund', 'remove_from_cart') then abs({value}) else {value} end"


def _minor(value: str, rule: Rule | None, factor: str) -> str:
    """SQL of whole minor units: half away from zero, after the noise of binary fractions is rounded off."""
    if rule is None:
        return "null::bigint"
    scaled = value if rule.unit == "minor" else f"{value} * {factor}"
    return f"(case when abs({scaled}) < {_AMOUNT_MAX!r} then round(round({scaled}, 4))::bigint end)"


def attributes_sql(expressions: Expressions, attributes: dict[str, Rule]) -> str:
    """SQL of a JSON object with the attributes that are there, null if there are none."""
    if not attributes:
        return "null::varchar"
    parts = []
    for name, rule in attributes.items():
        key = literal(f"{_json_text(name)}:")
        parts.append(f"{key} || to_json({expressions.text(rule)})::varchar")
    listed = f"concat_ws(',', {', '.join(parts)})"
    return f"(case when {listed} <> '' then '{{' || {listed} || '}}' end)"


def _json_text(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _named(expressions: dict[str, str]) -> str:
    return ",\n        ".join(f"{sql} as {name}" for name, sql in expressions.items())


def _rows(columns: Columns) -> str:
    """The rows of the raw table as `r`, with the JSON values that are read as lists `v` and `e`."""
    rows = columns.rows_sql()
    lists = []
    if columns.json_paths:
        lists.append(f"json_extract_string(r.json, [{literals(list(columns.json_paths))}]) as v")
    if columns.element_paths:
        lists.append(f"json_extract_string(r.element, [{literals(list(columns.element_paths))}]) as e")
    return f"(select r.*, {', '.join(lists)} from {rows}) r" if lists else rows


def _joins(columns: Columns, section: Section, expressions: Expressions) -> str:
    """Left joins to the lookup tables, whose keys are unique."""
    sql = ""
    for join in section.joins:
        alias = f'"j_{join.table}"'
        tests = []
        for own, theirs in join.on:
            mine = expressions.cell_text(columns.cell(own, f"{join.path}.on"), None)
            other = expressions.cell_text(columns.cell(f"{join.table}.{theirs}", f"{join.path}.on"), None)
            tests.append(f"{mine} = {other}")
        sql += f"\n    left join {columns.joined[join.table].name} {alias} on {' and '.join(tests)}"
    return sql
