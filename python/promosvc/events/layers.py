"""What the statements that clean events, items and users are made of.

A statement is a chain of CTEs. `Layers` holds the expressions of the first two: texts as the mapping
makes them, and the numbers and times read from those. `Faults` holds the tests that refuse a row, in
order; it gives the code and, for the few rows that need it, the field at fault and its text.
"""

from __future__ import annotations

import datetime
import json
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
"""Code of a row that `where` skips."""
DUPLICATE: Final = 254
"""Code of a row that says again what was said before."""
REFUSED: Final = f"between 1 and {DUPLICATE - 1}"
"""SQL test of a code: the row was refused."""
AMOUNT_MAX: Final = 9e15
"""Numbers from here on are refused: a double holds no smaller steps than one."""


@dataclass(frozen=True)
class Statement:
    """Two selects over the rows of one raw table.

    `rows` gives the staging table's columns for every row. `details` gives row_number, field, value and
    record (JSON), and is asked for refused rows alone: most files have few, and making the texts of all
    rows costs more than everything else together.
    """

    rows: str
    details: str


@dataclass
class Faults:
    """Tests that refuse a row, in the order in which they are asked; the first that holds counts."""

    tests: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, test: str, reason: str, name: str, value: str) -> None:
        """Refuse rows for which `test` holds; `value` is the SQL of the text to keep."""
        self.tests.append((test, reason, name, value))

    def code(self) -> str:
        """SQL of the reason's number, 0 for none."""
        branches = " ".join(f"when {test} then {REASONS[reason]}" for test, reason, _, _ in self.tests)
        return f"case {branches} else 0 end" if branches else "0"

    def name(self) -> str:
        """SQL of the field at fault."""
        return self._case([literal(name) for _, _, name, _ in self.tests])

    def value(self) -> str:
        """SQL of the text at fault."""
        return self._case([value for _, _, _, value in self.tests])

    def _case(self, values: list[str]) -> str:
        branches = " ".join(
            f"when {each[0]} then {value}" for each, value in zip(self.tests, values, strict=True)
        )
        return f"case {branches} end" if branches else "null"


@dataclass
class Layers:
    """Expressions of the first two CTEs, by column name; `d_` columns are texts for details only."""

    expressions: Expressions
    wants_details: bool
    texts: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def add_texts(self, rules: dict[str, Rule], names: tuple[str, ...], prefix: str = "t_") -> None:
        """Add a text for each name; null where there is no rule."""
        for name in names:
            rule = rules.get(name)
            self.texts[f"{prefix}{name}"] = self.expressions.text(rule) if rule else "null::varchar"

    def add_number(self, name: str, rule: Rule | None) -> None:
        """Add `n_name`, a double; null where there is no rule."""
        if rule is None:
            self._add(name, "null::varchar", "null::double")
            return
        value = self.expressions.number(rule)
        self._add(name, value.text, value.value or None)
        if not value.value:
            self.values[f"n_{name}"] = self.expressions.number_of_text(rule, f"t_{name}")

    def add_time(self, name: str, rule: Rule) -> None:
        """Add `n_name`, a timestamp in UTC."""
        value = self.expressions.time(rule)
        self._add(name, value.text, value.value or None)
        if not value.value:
            self.values[f"n_{name}"] = self.expressions.time_of_text(rule, f"t_{name}")

    def add_attributes(self, name: str, attributes: dict[str, Rule]) -> None:
        """Add a JSON object of the attributes that are there; null if there are none."""
        if not attributes:
            self.texts[name] = "null::varchar"
            return
        parts = []
        for key, rule in attributes.items():
            parts.append(f"{literal(json.dumps(key, ensure_ascii=False) + ':')} || {self._json_text(rule)}")
        if len(parts) == 1:
            self.texts[name] = f"'{{' || {parts[0]} || '}}'"
            return
        self.texts[f"l_{name}"] = f"concat_ws(',', {', '.join(parts)})"
        self.values[name] = f"case when l_{name} <> '' then '{{' || l_{name} || '}}' end"

    def add_row(self, section: Section, columns: Columns) -> None:
        """Add what every statement has: whether the row is wanted, its number, its record."""
        self.texts["is_wanted"] = self.expressions.conditions(section.where)
        self.texts["row_number"] = columns.raw.row_number_sql
        self.texts["element"] = "r.element_number" if section.file_format.explode else "null::uinteger"
        self.texts["record"] = columns.raw.record_sql if self.wants_details else "null::json"

    def sql(self, section: Section, columns: Columns, refused_rows: str) -> str:
        """The first two CTEs, `texts` and `numbers`; details read only `refused_rows`."""
        rows = _rows(columns)
        joins = _joins(columns, section, self.expressions)
        only = f"\n    where {columns.raw.row_number_sql} in ({refused_rows})" if self.wants_details else ""
        return (
            f"with texts as (\n    select {_named(self.texts)}\n    from {rows}{joins}{only}\n)"
            f", numbers as (\n    select *, {_named(self.values)}\n    from texts\n)"
        )

    def _add(self, name: str, text: str, value: str | None) -> None:
        """A value that the file has as such needs its text only for details."""
        if value is None:
            self.texts[f"t_{name}"] = text
            self.texts[f"d_{name}"] = "null::varchar"
            return
        self.texts[f"t_{name}"] = "null::varchar"
        self.texts[f"d_{name}"] = text if self.wants_details else "null::varchar"
        self.texts[f"v_{name}"] = value
        self.values[f"n_{name}"] = f"v_{name}"

    def _json_text(self, rule: Rule) -> str:
        text = self.expressions.text(rule)
        return f"to_json({text})::varchar"


def text_of(name: str) -> str:
    """SQL of the text that a number or time was read from, for details."""
    return f"coalesce(t_{name}, d_{name})"


def too_long(name: str) -> str:
    """SQL test: an id over the limit of UTF-8 bytes."""
    return f"strlen({name}) > {ID_BYTES_MAX}"


def not_a_number(name: str) -> str:
    """SQL test: there is a text and no number in it, or the number is not finite or too large."""
    unread = f"(t_{name} is not null and n_{name} is null)"
    return f"({unread} or not isfinite(n_{name}) or abs(n_{name}) >= {AMOUNT_MAX!r})"


def timestamp(moment: datetime.datetime) -> str:
    """SQL of a point in time, UTC."""
    return f"timestamp {literal(moment.isoformat(' ', 'microseconds'))}"


def fixed_currency(mapping: Mapping, section: Section, layers: Layers) -> str | None:
    """The currency of all rows, or none if each row has its own; then it is the text `t_currency`."""
    rule = section.rules.get("currency")
    if rule is None or (rule.is_constant and isinstance(rule.value, str) and rule.value.upper() in DIGITS):
        layers.texts["t_currency"] = "null::varchar"
        return mapping.currency if rule is None else str(rule.value).upper()
    layers.texts["t_currency"] = f"upper({layers.expressions.text(rule)})"
    return None


def minor_factor(currency: str | None) -> str:
    """SQL of how many minor units make one major unit; of the column `currency` if none is given."""
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


def minor(value: str, rule: Rule | None, factor: str) -> str:
    """SQL of whole minor units: half away from zero, once the noise of binary fractions is rounded off."""
    if rule is None:
        return "null::bigint"
    scaled = value if rule.unit == "minor" else f"{value} * {factor}"
    return f"(case when abs({scaled}) < {AMOUNT_MAX!r} then round(round({scaled}, 4))::bigint end)"


def _named(expressions: dict[str, str]) -> str:
    return ",\n        ".join(f"{sql} as {name}" for name, sql in expressions.items()) or "null as nothing"


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
        tests = []
        for own, theirs in join.on:
            mine = expressions.cell_text(columns.cell(own, f"{join.path}.on"), None)
            other = expressions.cell_text(columns.cell(f"{join.table}.{theirs}", f"{join.path}.on"), None)
            tests.append(f"{mine} = {other}")
        sql += f'\n    left join {columns.joined[join.table].name} "j_{join.table}" on {" and ".join(tests)}'
    return sql
