"""Rules become SQL expressions over the cells of one file.

Texts, numbers and times are made in two steps, so that a value that cannot be read is still there to
be quarantined: first the text as the mapping's steps leave it, then the value, which is null where
the text says nothing that can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb

from promosvc.events.mapping import Section
from promosvc.events.quoting import literal, literals
from promosvc.events.resolve import FLOATS, INTEGERS, Cell, Columns
from promosvc.events.rules import Condition, Rule
from promosvc.events.toml import refuse

_BLANKS: Final = " \t\r\n\v\f\u00a0\ufeff"
_OFFSET: Final = r":\d.*([zZ]|[+-]\d\d(:?\d\d)?)$|\d[zZ]$|( UTC| GMT)$"
_MICROS: Final = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0}
_YEAR_9000_US: Final = 221_845_392_000_000_000
TRUE_WORDS: Final = ("true", "t", "yes", "y", "1", "1.0", "on")
FALSE_WORDS: Final = ("false", "f", "no", "n", "0", "0.0", "off")


@dataclass(frozen=True)
class Value:
    """SQL of a value, and of the text that it was read from (null when there is nothing)."""

    text: str
    value: str
    is_constant: bool = False


@dataclass
class Expressions:
    """Writes the rules of one section for the columns of one file."""

    columns: Columns
    section: Section

    def text(self, rule: Rule) -> str:
        """A text: source, then steps."""
        if rule.value is not None:
            return self._steps(rule, literal(_plain(rule.value)))
        if rule.when:
            sql = "case"
            for branch in rule.when:
                sql += f" when {self.conditions(branch.conditions)} then {self.text(branch.rule)}"
            otherwise = self.text(rule.otherwise) if rule.otherwise else "null"
            return self._steps(rule, f"{sql} else {otherwise} end")
        if rule.formula is not None:
            number = self.formula(rule)
            return self._steps(rule, _number_text(number, "DOUBLE"))
        parts = [
            self.cell_text(self.columns.cell(each, rule.path, is_optional=rule.is_optional), rule)
            for each in rule.columns
        ]
        if rule.is_first_of:
            return self._steps(rule, f"coalesce({', '.join(parts)})")
        if len(parts) == 1:
            return self._steps(rule, parts[0])
        # A text with a missing part is missing: half a key would join what does not belong together.
        return self._steps(rule, "(" + f" || {literal(rule.separator)} || ".join(parts) + ")")

    def number(self, rule: Rule) -> Value:
        """A number; not finite or null where its text cannot be read."""
        if rule.value is not None and not _has_steps(rule):
            return Value("null::varchar", f"{float(rule.value)!r}::double", is_constant=True)
        if rule.formula is not None and not _has_steps(rule):
            value = self.formula(rule)
            return Value(self._formula_text(rule), _absolute(rule, value))
        if len(rule.columns) == 1 and not _has_steps(rule):
            cell = self.columns.cell(rule.columns[0], rule.path, is_optional=rule.is_optional)
            if cell.is_number:
                value = f"{cell.sql}::double"
                return Value(_number_text(cell.sql, cell.type), _absolute(rule, value))
        text = self.text(rule)
        return Value(text, "")

    def number_of_text(self, rule: Rule, text: str) -> str:
        """A number from a text column of the step before."""
        return _absolute(rule, self._parse_number(text, rule))

    def formula(self, rule: Rule) -> str:
        """A formula over numbers; infinite where one of its texts cannot be read."""
        assert rule.formula is not None
        return "(" + rule.formula.sql(lambda name: self._formula_number(name, rule)) + ")"

    def _formula_number(self, name: str, rule: Rule) -> str:
        cell = self.columns.cell(name, rule.path, is_optional=rule.is_optional)
        if cell.is_number:
            return f"{cell.sql}::double"
        text = self.cell_text(cell, rule)
        number = self._parse_number(text, rule)
        return f"(case when {text} is not null then coalesce({number}, 'nan'::double) end)"

    def _formula_text(self, rule: Rule) -> str:
        assert rule.formula is not None
        parts = []
        for name in rule.formula.columns:
            cell = self.columns.cell(name, rule.path, is_optional=rule.is_optional)
            parts.append(f"{literal(name + '=')} || coalesce({cell.sql}::varchar, '')")
        return f"concat_ws(', ', {', '.join(parts)})" if parts else "null::varchar"

    def time(self, rule: Rule) -> Value:
        """A point in time, UTC."""
        zone = rule.timezone or self.section.timezone
        formats = rule.formats or self.section.formats
        if len(rule.columns) == 1 and not _has_steps(rule):
            cell = self.columns.cell(rule.columns[0], rule.path, is_optional=rule.is_optional)
            if cell.type == "TIMESTAMP WITH TIME ZONE":
                return Value(f"{cell.sql}::varchar", f"({cell.sql} at time zone 'UTC')")
            if cell.type.startswith("TIMESTAMP") or cell.type == "DATE":
                return Value(f"{cell.sql}::varchar", _localise(f"{cell.sql}::timestamp", zone))
            if cell.is_number and not formats:
                raise refuse(
                    rule.path,
                    f"column {rule.columns[0]!r} of {self.columns.raw.file} is {cell.type}, not a time;"
                    " say format = 'epoch_s', 'epoch_ms', 'epoch_us', 'excel' or a strptime format",
                    column=rule.columns[0],
                    type=cell.type,
                )
            if cell.type in ("BOOLEAN", "TIME", "INTERVAL", "BLOB") or cell.type.endswith("]"):
                raise refuse(
                    rule.path,
                    f"column {rule.columns[0]!r} of {self.columns.raw.file} is {cell.type}, not a time",
                    column=rule.columns[0],
                    type=cell.type,
                )
        return Value(self.text(rule), "")

    def time_of_text(self, rule: Rule, text: str) -> str:
        """A point in time, UTC, from a text column of the step before: the formats in order."""
        zone = rule.timezone or self.section.timezone
        formats = rule.formats or self.section.formats or ("iso",)
        parsed = [_parse_time(text, each, zone) for each in formats]
        return parsed[0] if len(parsed) == 1 else f"coalesce({', '.join(parsed)})"

    def flag(self, rule: Rule) -> Value:
        """True or false; null where the text is neither."""
        text = self.text(rule)
        return Value(text, "")

    def flag_of_text(self, text: str) -> str:
        """True or false from a text column of the step before."""
        return (
            f"case when lower({text}) in ({literals(TRUE_WORDS)}) then true"
            f" when lower({text}) in ({literals(FALSE_WORDS)}) then false end"
        )

    def conditions(self, conditions: tuple[Condition, ...]) -> str:
        """All conditions hold; never null."""
        if not conditions:
            return "true"
        return "(" + " and ".join(self._condition(each) for each in conditions) + ")"

    def _condition(self, condition: Condition) -> str:
        cell = self.columns.cell(condition.column, condition.path)
        text = self.cell_text(cell, None)
        if condition.test == "missing":
            return f"({text} is {'null' if condition.values[0] else 'not null'})"
        if condition.test == "matches":
            self._check_pattern(str(condition.values[0]), condition.path)
            return f"coalesce(regexp_matches({text}, {literal(str(condition.values[0]))}), false)"
        if condition.test in ("below", "above", "at_least", "at_most"):
            sign = {"below": "<", "above": ">", "at_least": ">=", "at_most": "<="}[condition.test]
            number = f"{cell.sql}::double" if cell.is_number else self._parse_number(text, None)
            return f"coalesce({number} {sign} {float(condition.values[0])!r}::double, false)"
        tests = []
        numbers = [each for each in condition.values if _is_number(each)]
        texts = [_plain(each) for each in condition.values if not _is_number(each)]
        if numbers:
            number = f"{cell.sql}::double" if cell.is_number else self._parse_number(text, None)
            tests.append(
                f"coalesce({number} in ({', '.join(f'{float(each)!r}::double' for each in numbers)}), false)"
            )
        if texts:
            tests.append(f"coalesce({text} in ({literals(texts)}), false)")
        found = " or ".join(tests)
        return f"(not ({found}))" if condition.test == "not_in" else f"({found})"

    def _check_pattern(self, pattern: str, path: str) -> None:
        """Refuse what the database's regular expressions (RE2) lack, such as looking back."""
        try:
            self.columns.connection.execute("select regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            raise refuse(path, f"{pattern!r} is no regular expression that RE2 reads: {error}") from None

    def cell_text(self, cell: Cell, rule: Rule | None) -> str:
        """A cell as a text, trimmed, null where it is spelled so."""
        if cell.is_number:
            return _number_text(cell.sql, cell.type)
        if cell.type != "VARCHAR":
            return f"{cell.sql}::varchar"
        sql = cell.sql
        if rule is None or rule.trim:
            sql = f"trim({sql}, {literal(_BLANKS)})"
        spellings = self.section.null_values
        if rule is not None and rule.null_values is not None:
            spellings = rule.null_values
        for spelling in spellings:
            sql = f"nullif({sql}, {literal(spelling)})"
        return sql

    def _steps(self, rule: Rule, sql: str) -> str:
        for old, new in rule.replace:
            sql = f"replace({sql}, {literal(old)}, {literal(new)})"
        if rule.extract:
            self._check_pattern(rule.extract, f"{rule.path}.extract")
            group = 1 if "(" in rule.extract.replace("\\(", "").replace("(?:", "") else 0
            sql = f"nullif(regexp_extract({sql}, {literal(rule.extract)}, {group}), '')"
        if rule.split:
            part = f"string_split({sql}, {literal(rule.split)})[{rule.level}]"
            sql = f"nullif(trim({part}, {literal(_BLANKS)}), '')"
        if rule.case:
            sql = f"{rule.case}({sql})"
        if rule.pad:
            sql = f"case when length({sql}) < {rule.pad} then lpad({sql}, {rule.pad}, '0') else {sql} end"
        if rule.map:
            unmapped = sql if rule.unmapped is None else literal(rule.unmapped)
            branches = " ".join(f"when {literal(old)} then {literal(new)}" for old, new in rule.map.items())
            mapped = f"case {sql} {branches} else {unmapped} end"
            sql = mapped if rule.unmapped is None else f"case when {sql} is not null then {mapped} end"
        if rule.prefix:
            sql = f"({literal(rule.prefix)} || {sql})"
        if rule.suffix:
            sql = f"({sql} || {literal(rule.suffix)})"
        if rule.default is not None:
            sql = f"coalesce({sql}, {literal(_plain(rule.default))})"
        return sql

    def _parse_number(self, text: str, rule: Rule | None) -> str:
        sql = text
        for sign in rule.strip if rule else ():
            sql = f"replace({sql}, {literal(sign)}, '')"
        decimal = (rule.decimal if rule else None) or self.section.decimal
        thousands = rule.thousands if rule and rule.thousands is not None else self.section.thousands
        if thousands:
            # A grouping sign that does not group by three (or two, in India) is not one: 1,5 is not 15.
            group, mark = _class(thousands), _class(decimal)
            pattern = rf"[^0-9]*\d{{1,3}}({group}\d{{2,3}})*{group}\d{{3}}({mark}\d*)?[^0-9]*"
            sql = (
                f"case when contains({sql}, {literal(thousands)}) then"
                f" case when regexp_full_match({sql}, {literal(pattern)})"
                f" then replace({sql}, {literal(thousands)}, '') end"
                f" else {sql} end"
            )
        if decimal != ".":
            # With another decimal sign a point is a mistake, unless it groups.
            sql = f"case when not contains({sql}, '.') then replace({sql}, {literal(decimal)}, '.') end"
        # Accountants write (12.50) or 12.50- for a negative amount.
        rare = sql
        for pattern in (r"^\s*\((.*)\)\s*$", r"^\s*([0-9.]+)\s*-\s*$"):
            rare = f"regexp_replace({rare}, {literal(pattern)}, '-\\1')"
        return f"coalesce(try_cast({sql} as double), try_cast({rare} as double))"


def _class(character: str) -> str:
    return f"[\\{character}]" if character in "\\]^-" else f"[{character}]"


def _parse_time(text: str, form: str, zone: str) -> str:
    if form == "iso":
        offset = f"regexp_matches({text}, {literal(_OFFSET)})"
        return (
            f"case when {offset} then try_cast({text} as timestamptz) at time zone 'UTC'"
            f" else {_localise(f'try_cast({text} as timestamp)', zone)} end"
        )
    if form == "excel":
        # Day 1 of a spreadsheet is 1900-01-01, and it counts 1900-02-29, which never was.
        micros = f"(try_cast({text} as double) - 25569) * 86400e6"
        return _localise(_timestamp(micros), zone)
    if form in _MICROS:
        return _timestamp(f"try_cast({text} as double) * {_MICROS[form]!r}")
    parsed = f"try_strptime({text}, {literal(form)})"
    if "%z" in form or "%Z" in form:
        return f"({parsed} at time zone 'UTC')"
    return _localise(parsed, zone)


def _timestamp(micros: str) -> str:
    """Microseconds since 1970 as a timestamp; what no calendar holds becomes an impossible year."""
    bounded = f"least(greatest({micros}, {-_YEAR_9000_US}), {_YEAR_9000_US})"
    return f"(case when isfinite({micros}) then make_timestamp({bounded}::bigint) end)"


def _localise(sql: str, zone: str) -> str:
    if zone in ("UTC", "Etc/UTC", "GMT"):
        return f"({sql})"
    return f"(timezone({literal(zone)}, {sql}) at time zone 'UTC')"


def _number_text(sql: str, kind: str) -> str:
    """A number as a text; 17850.0 is 17850, because an id that met a missing value became a float."""
    if kind in INTEGERS:
        return f"{sql}::varchar"
    if kind in FLOATS:
        is_whole = f"{sql} = trunc({sql}) and abs({sql}) < 1e15"
        return f"(case when {is_whole} then {sql}::bigint::varchar else {sql}::varchar end)"
    return f"regexp_replace({sql}::varchar, '\\.0*$', '')"


def _has_steps(rule: Rule) -> bool:
    return bool(
        rule.replace
        or rule.extract
        or rule.split
        or rule.case
        or rule.pad
        or rule.map
        or rule.prefix
        or rule.suffix
        or rule.null_values
        or rule.default is not None
    )


def _absolute(rule: Rule, sql: str) -> str:
    return f"abs({sql})" if rule.is_absolute else sql


def _plain(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
