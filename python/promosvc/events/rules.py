"""What a mapping says about one value: where it comes from and how it is made.

A `Rule` is one entry of `columns`: a column name, or a table with a source (`column`, `columns`,
`first_of`, `value`, `formula` or `when`) and steps. The steps of a text run in this order: null
spellings, trim, replace, extract, split and level, case, pad, map, prefix and suffix, default. A
`Condition` is one test of a row, used by `where` and `when`.

Here rules are only read and checked in themselves; `expressions` turns them into SQL once the
columns of the file are known.
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from promosvc.events import formula
from promosvc.events.toml import Table, refuse

Kind = Literal["text", "number", "money", "time", "flag"]
"""What a rule must give: a text, a number, an amount of money, a point in time, or true/false."""

_SOURCES: Final = ("column", "columns", "first_of", "value", "formula", "when")
_TIME_WORDS: Final = ("iso", "epoch_s", "epoch_ms", "epoch_us", "excel")
_DIRECTIVES: Final = frozenset("aAwdeDbBhmyYHIpMSfgnzZjUWcxX%-")
Scalar = str | int | float | bool


@dataclass(frozen=True)
class Condition:
    """One test of a column; `test` is in, not_in, matches, below, above, at_least, at_most or missing."""

    path: str
    column: str
    test: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Branch:
    """If all conditions hold, this rule gives the value."""

    conditions: tuple[Condition, ...]
    rule: Rule


@dataclass(frozen=True)
class Rule:
    """Where one value comes from and how it is made."""

    path: str
    kind: Kind
    columns: tuple[str, ...] = ()
    is_first_of: bool = False
    separator: str = " "
    value: Scalar | None = None
    formula: formula.Formula | None = None
    when: tuple[Branch, ...] = ()
    otherwise: Rule | None = None
    is_optional: bool = False
    trim: bool = True
    null_values: tuple[str, ...] | None = None
    replace: tuple[tuple[str, str], ...] = ()
    extract: str = ""
    split: str = ""
    level: int = 0
    case: str = ""
    pad: int = 0
    map: dict[str, str] = field(default_factory=dict)
    unmapped: str | None = None
    prefix: str = ""
    suffix: str = ""
    default: Scalar | None = None
    decimal: str | None = None
    thousands: str | None = None
    strip: tuple[str, ...] = ()
    unit: str = "major"
    per: str = "line"
    is_absolute: bool = False
    formats: tuple[str, ...] = ()
    timezone: str = ""

    @property
    def is_constant(self) -> bool:
        """Whether it reads no column at all."""
        return not (self.columns or self.formula or self.when)


def read_rule(value: Any, path: str, kind: Kind) -> Rule:
    """Read one entry of `columns`: a column name, or a table."""
    if isinstance(value, str):
        if not value:
            raise refuse(path, "is empty; name a column, or write { value = ... } for a constant")
        return Rule(path, kind, columns=(value,))
    if isinstance(value, bool | int | float):
        raise refuse(path, f"{value!r} is no column name; write {{ value = {value!r} }} for a constant")
    table = Table(value, path)
    sources = [source for source in _SOURCES if table.has(source)]
    if len(sources) > 1:
        raise refuse(path, f"has {' and '.join(sources)}; only one of them can give the value")
    if not sources:
        raise refuse(path, f"says no source; give one of {', '.join(_SOURCES)}")
    rule = _read_table(table, path, kind, sources[0])
    table.close()
    return rule


def _read_table(table: Table, path: str, kind: Kind, source: str) -> Rule:
    given: dict[str, Any] = {}
    if source == "column":
        given["columns"] = (table.text("column", required=True),)
    elif source in ("columns", "first_of"):
        columns = table.texts(source)
        if not columns:
            raise refuse(table.at(source), "is empty; name at least one column")
        given["columns"] = columns
        given["is_first_of"] = source == "first_of"
        given["separator"] = table.text("separator", " ")
    elif source == "value":
        given["value"] = _scalar(table.take("value"), table.at("value"))
    elif source == "formula":
        text = table.text("formula")
        try:
            given["formula"] = formula.parse(text)
        except ValueError as error:
            raise refuse(table.at("formula"), f"{text!r}: {error}", value=text) from None
    else:
        branches = []
        for branch in table.tables("when"):
            conditions = read_conditions(branch.take("where"), branch.at("where"))
            rule = _branch_value(branch, kind)
            branch.close()
            branches.append(Branch(conditions, rule))
        given["when"] = tuple(branches)
        otherwise = table.take("otherwise")
        if otherwise is not None:
            given["otherwise"] = _value_or_rule(otherwise, table.at("otherwise"), kind)
    if kind in ("number", "money") and "value" in given and not _is_number(given["value"]):
        raise refuse(table.at("value"), f"{given['value']!r} is not a number", value=given["value"])
    given |= _text_steps(table)
    if kind in ("number", "money"):
        given |= _number_steps(table, kind)
    if kind == "time":
        given |= _time_steps(table)
    return Rule(path, kind, **given)


def _branch_value(branch: Table, kind: Kind) -> Rule:
    if branch.has("value"):
        value = _scalar(branch.take("value"), branch.at("value"))
        return Rule(branch.at("value"), kind, value=value)
    for key in ("column", "rule"):
        if branch.has(key):
            return read_rule(branch.take(key), branch.at(key), kind)
    raise refuse(branch.path, "says no value; give value, column or rule")


def _value_or_rule(value: Any, path: str, kind: Kind) -> Rule:
    if isinstance(value, dict):
        return read_rule(value, path, kind)
    return Rule(path, kind, value=_scalar(value, path))


def _text_steps(table: Table) -> dict[str, Any]:
    steps: dict[str, Any] = {
        "is_optional": table.flag("optional", False),
        "trim": table.flag("trim", True),
        "null_values": table.texts("null_values"),
        "extract": table.text("extract"),
        "split": table.text("split"),
        "level": table.integer("level", 0, least=-1000, most=1000),
        "case": table.choice("case", ("lower", "upper"), ""),
        "pad": table.integer("pad", 0, least=0, most=1000),
        "prefix": table.text("prefix"),
        "suffix": table.text("suffix"),
    }
    if steps["extract"]:
        try:
            re.compile(steps["extract"])
        except re.error as error:
            raise refuse(
                table.at("extract"), f"{steps['extract']!r} is no regular expression: {error}"
            ) from None
    if bool(steps["split"]) != bool(steps["level"]):
        raise refuse(
            table.path, "split and level go together; level is 1 for the first part, -1 for the last"
        )
    replace = table.take("replace", {})
    if not isinstance(replace, dict) or not all(isinstance(text, str) for text in replace.values()):
        raise refuse(table.at("replace"), "is not a table of texts, such as { 'old' = 'new' }")
    steps["replace"] = tuple(replace.items())
    mapped = table.take("map", {})
    if not isinstance(mapped, dict):
        raise refuse(table.at("map"), "is not a table, such as { buy = 'purchase' }")
    steps["map"] = {key: _text(each, f"{table.at('map')}.{key}") for key, each in mapped.items()}
    if table.has("unmapped"):
        if not mapped:
            raise refuse(table.at("unmapped"), "needs a map")
        steps["unmapped"] = table.text("unmapped")
    default = table.take("default")
    if default is not None:
        steps["default"] = _scalar(default, table.at("default"))
    return steps


def _number_steps(table: Table, kind: Kind) -> dict[str, Any]:
    steps: dict[str, Any] = {
        "decimal": table.character("decimal"),
        "thousands": table.character("thousands"),
        "strip": table.texts("strip") or (),
        "is_absolute": table.flag("absolute", False),
    }
    if kind == "money":
        steps["unit"] = table.choice("unit", ("major", "minor"), "major")
        steps["per"] = table.choice("per", ("line", "unit"), "line")
    return steps


def _time_steps(table: Table) -> dict[str, Any]:
    formats = table.texts("format") or ()
    for each in formats:
        check_time_format(each, table.at("format"))
    zone = table.text("timezone")
    if zone:
        check_timezone(zone, table.at("timezone"))
    return {"formats": formats, "timezone": zone}


def check_time_format(text: str, path: str) -> None:
    """Refuse what is neither one of the words nor a strptime format that DuckDB knows."""
    if text in _TIME_WORDS:
        return
    directives = re.findall(r"%(-?.)", text)
    unknown = [each for each in directives if each.lstrip("-") not in _DIRECTIVES]
    if not directives or unknown or re.search(r"(?:^|[^%])(?:%%)*%$", text):
        raise refuse(
            path,
            f"{text!r} is neither one of {', '.join(_TIME_WORDS)} nor a strptime format"
            " such as '%d/%m/%Y %H:%M'",
            value=text,
        )


def check_timezone(name: str, path: str) -> None:
    """Refuse a name that is not in the IANA time zone database."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse(path, f"{name!r} is no time zone; write an IANA name such as 'Europe/Berlin'") from None


_TESTS: Final = (
    "equals",
    "in",
    "not",
    "not_in",
    "matches",
    "below",
    "above",
    "at_least",
    "at_most",
    "missing",
)


def read_conditions(value: Any, path: str) -> tuple[Condition, ...]:
    """Read a `where`: column = value, column = [values], or column = { test = value }."""
    if not isinstance(value, dict) or not value:
        raise refuse(path, "is not a table of tests, such as { status = 'paid', quantity = { above = 0 } }")
    conditions = []
    for column, expected in value.items():
        here = f"{path}.{column}"
        if isinstance(expected, dict):
            table = Table(expected, here)
            tests = [test for test in _TESTS if table.has(test)]
            if not tests:
                raise refuse(here, f"says no test; the tests are {', '.join(_TESTS)}")
            conditions += [_condition(test, table.take(test), here, column) for test in tests]
            for test in _TESTS:
                table.take(test)
            table.close()
        else:
            conditions.append(
                _condition("in" if isinstance(expected, list) else "equals", expected, here, column)
            )
    return tuple(conditions)


def _condition(test: str, value: Any, path: str, column: str) -> Condition:
    if test in ("in", "not_in"):
        if not isinstance(value, list) or not value:
            raise refuse(path, f"{value!r} is not a list of values")
        return Condition(path, column, test, tuple(_scalar(each, path) for each in value))
    scalar = _scalar(value, path)
    if test == "missing" and not isinstance(scalar, bool):
        raise refuse(path, f"missing is {scalar!r}; it is true or false")
    if test in ("below", "above", "at_least", "at_most") and not _is_number(scalar):
        raise refuse(path, f"{test} is {scalar!r}; it is a number")
    if test == "matches":
        try:
            re.compile(str(scalar))
        except re.error as error:
            raise refuse(path, f"{scalar!r} is no regular expression: {error}") from None
    if test == "not":
        return Condition(path, column, "not_in", (scalar,))
    if test == "equals":
        return Condition(path, column, "in", (scalar,))
    return Condition(path, column, test, (scalar,))


def _scalar(value: Any, path: str) -> Scalar:
    if not isinstance(value, str | int | float | bool):
        raise refuse(path, f"{value!r} is not a text, a number, true or false", value=value)
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise refuse(path, f"{value!r} is not a text", value=value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
