"""Finds what a mapping calls a column in the file at hand, or refuses it by name.

A reference is, in this order: a column of the file by its exact name; `$file`, the file's name;
`table.column` of a joined table; a dotted path into a nested value (`user.id`, `items[0].sku`,
`event_params[key=term].value.string_value`). Below the exploded list a path goes on in the element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import duckdb

from promosvc.columns import EVENT_NAMES
from promosvc.events.quoting import identifier, literal
from promosvc.events.raw import RawTable
from promosvc.events.toml import did_you_mean, refuse

_STEP: Final = re.compile(
    r"(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]|\[(?P<key>[^\[\]=]+)=(?P<value>[^\[\]]*)\]|\."
)
_SAMPLE: Final = 10_000

INTEGERS: Final = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"} | {
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
FLOATS: Final = {"FLOAT", "DOUBLE"}


@dataclass(frozen=True)
class Cell:
    """SQL of one value and its DuckDB type."""

    sql: str
    type: str

    @property
    def is_number(self) -> bool:
        """Whether it is a number already."""
        return self.type in INTEGERS or self.type in FLOATS or self.type.startswith("DECIMAL")


@dataclass
class Columns:
    """The columns that one file offers to a mapping's section."""

    connection: duckdb.DuckDBPyConnection
    raw: RawTable
    joined: dict[str, RawTable]
    explode: str = ""
    explode_separator: str = ""
    json_paths: dict[str, int] = field(default_factory=dict)
    element_paths: dict[str, int] = field(default_factory=dict)
    _cells: dict[str, Cell | None] = field(default_factory=dict)

    def cell(self, reference: str, path: str, *, is_optional: bool = False) -> Cell:
        """Find a reference of the mapping's key `path`; an optional one that is missing is null."""
        if reference not in self._cells:
            self._cells[reference] = self._find(reference)
        cell = self._cells[reference]
        if cell is not None:
            return cell
        if is_optional:
            return Cell("null::varchar", "VARCHAR")
        known = self.names()
        hint = did_you_mean(reference, known)
        if reference in EVENT_NAMES:
            hint = f"; for a constant write {{ value = {reference!r} }}"
        raise refuse(
            path,
            f"there is no column {reference!r} in {self.raw.file}{hint}"
            f"; its columns are {', '.join(known) or '(none)'}",
            column=reference,
            file=self.raw.file,
        )

    def names(self) -> list[str]:
        """What could have been meant: the columns, or for JSON the paths of the first records."""
        names = _json_names(self.connection, self.raw) if self.raw.is_json else list(self.raw.columns)
        for table, raw in self.joined.items():
            inner = _json_names(self.connection, raw) if raw.is_json else list(raw.columns)
            names += [f"{table}.{name}" for name in inner]
        return names

    def element_list_sql(self) -> str:
        """SQL of the list that is exploded, `[null]` for an empty or missing one."""
        if self.raw.is_json:
            source = f"json_extract(r.json, {literal(_json_path(_steps(self.explode)) + '[*]')})"
            return f"coalesce(nullif({source}, []), [null])"
        cell = self._nested(_steps(self.explode))
        if self.explode in self.raw.columns:
            stored, kind = self.raw.columns[self.explode]
            cell = Cell(f"r.{stored}", kind)
        if cell is None:
            raise refuse(
                "explode",
                f"there is no column {self.explode!r} in {self.raw.file}"
                f"{did_you_mean(self.explode, self.names())}; its columns are {', '.join(self.names())}",
            )
        if self.explode_separator:
            source = f"string_split({cell.sql}::varchar, {literal(self.explode_separator)})"
        elif cell.type.endswith("[]"):
            source = cell.sql
        elif cell.type == "JSON" or cell.type == "VARCHAR":
            source = f"json_extract(try_cast({cell.sql} as json), '$[*]')"
        else:
            raise refuse("explode", f"column {self.explode!r} of {self.raw.file} is {cell.type}, not a list")
        return f"coalesce(nullif({source}, []), [null])"

    def _find(self, reference: str) -> Cell | None:
        if reference in self.raw.columns:
            if reference == self.explode:
                return self._element([])
            stored, kind = self.raw.columns[reference]
            return Cell(f"r.{stored}", kind)
        if reference == "$file":
            return Cell(literal(self.raw.file), "VARCHAR")
        steps = _steps(reference)
        if not steps:
            return None
        if self.explode and _is_below(reference, self.explode):
            return self._element(_steps(reference[len(self.explode) :].lstrip(".")))
        table, _, rest = reference.partition(".")
        if table in self.joined and rest:
            return self._joined(table, rest)
        if self.raw.is_json:
            return self._json(reference, steps)
        return self._nested(steps)

    def _joined(self, table: str, name: str) -> Cell | None:
        raw = self.joined[table]
        alias = identifier(f"j_{table}")
        if raw.is_json:
            return (
                Cell(_json_value(f"{alias}.json", _steps(name)), "VARCHAR")
                if _json_has(self.connection, raw, _steps(name))
                else None
            )
        if name not in raw.columns:
            return None
        stored, kind = raw.columns[name]
        return Cell(f"{alias}.{stored}", kind)

    def _json(self, reference: str, steps: list[tuple[str, ...]]) -> Cell | None:
        if len(steps) > 1 and _json_has(self.connection, self.raw, [(reference,)], is_strict=True):
            steps = [(reference,)]
        elif not _json_has(self.connection, self.raw, steps):
            return None
        if any(len(step) == 2 for step in steps):
            return Cell(_json_value("r.json", steps), "VARCHAR")
        index = self.json_paths.setdefault(_json_path(steps), len(self.json_paths) + 1)
        return Cell(f"r.v[{index}]", "VARCHAR")

    def _element(self, steps: list[tuple[str, ...]]) -> Cell | None:
        kind = self._element_type()
        if kind == "JSON":
            if not steps:
                return Cell("json_extract_string(r.element, '$')", "VARCHAR")
            if any(len(step) == 2 for step in steps):
                return Cell(_json_value("r.element", steps), "VARCHAR")
            if not self._element_has(steps):
                return None
            index = self.element_paths.setdefault(_json_path(steps), len(self.element_paths) + 1)
            return Cell(f"r.e[{index}]", "VARCHAR")
        return self._path("r.element", steps, kind)

    def _element_has(self, steps: list[tuple[str, ...]]) -> bool:
        found = self.connection.execute(
            f"select count(*), count(*) filter (json_exists(e, {literal(_json_path(steps))})) from"
            f" (select unnest({self.element_list_sql()}) as e from {self.raw.name} r) where e is not null"
        ).fetchone()
        return found is None or not found[0] or bool(found[1])

    def rows_sql(self) -> str:
        """The rows as `r`: record number `rid`, cells, and the element of the exploded list."""
        if not self.explode:
            return f"(select rowid as rid, * from {self.raw.name}) r"
        listed = self.element_list_sql()
        return (
            f"(select r.*, unnest({listed}) as element, generate_subscripts({listed}, 1) as element_number"
            f" from (select rowid as rid, * from {self.raw.name}) r) r"
        )

    def _element_type(self) -> str:
        row = self.connection.execute(f"describe select r.element from {self.rows_sql()}").fetchone()
        return str(row[1]) if row else "VARCHAR"

    def _nested(self, steps: list[tuple[str, ...]]) -> Cell | None:
        first = steps[0]
        if len(first) != 1 or not isinstance(first[0], str) or first[0] not in self.raw.columns:
            return None
        stored, kind = self.raw.columns[first[0]]
        if len(steps) == 1:
            return Cell(f"r.{stored}", kind)
        return self._path(f"r.{stored}", steps[1:], kind)

    def _path(self, sql: str, steps: list[tuple[str, ...]], kind: str) -> Cell | None:
        """A path into a typed value; anything but plain struct fields goes by JSON."""
        if not steps:
            return Cell(sql, kind)
        if all(len(step) == 1 for step in steps) and kind.startswith("STRUCT"):
            for step in steps:
                sql = f"struct_extract({sql}, {literal(step[0])})"
            try:
                row = self.connection.execute(f"describe select {sql} from {self.rows_sql()}").fetchone()
            except duckdb.Error:
                return None
            return Cell(sql, str(row[1])) if row else None
        source = f"try_cast({sql} as json)" if kind in ("VARCHAR", "JSON") else f"to_json({sql})"
        return Cell(_json_value(source, steps), "VARCHAR")


def _is_below(reference: str, explode: str) -> bool:
    return reference == explode or reference.startswith((explode + ".", explode + "["))


def _steps(reference: str) -> list[tuple[str, ...]]:
    """Split a path: (name,), ("", index, "") or (key, value)."""
    steps: list[tuple[str, ...]] = []
    at = 0
    while at < len(reference):
        match = _STEP.match(reference, at)
        if match is None:
            return [(reference,)]
        if match["name"] is not None:
            steps.append((match["name"],))
        elif match["index"] is not None:
            steps.append(("", match["index"], ""))
        elif match["key"] is not None:
            steps.append((match["key"], match["value"]))
        at = match.end()
    return steps


def _json_path(steps: list[tuple[str, ...]]) -> str:
    path = "$"
    for step in steps:
        if len(step) == 3:
            path += f"[{step[1]}]"
        else:
            path += '."' + step[0].replace("\\", "\\\\").replace('"', '\\"') + '"'
    return path


def _json_value(source: str, steps: list[tuple[str, ...]]) -> str:
    """SQL of a path with `[key=value]` steps, which JSON paths lack."""
    plain: list[tuple[str, ...]] = []
    for at, step in enumerate(steps):
        if len(step) == 2:
            listed = f"json_extract({source}, {literal(_json_path(plain) + '[*]')})"
            key = literal(_json_path([(step[0],)]))
            found = f"list_filter({listed}, lambda x: json_extract_string(x, {key}) = {literal(step[1])})[1]"
            return _json_value(found, steps[at + 1 :])
        plain.append(step)
    return f"json_extract_string({source}, {literal(_json_path(plain))})"


def _json_has(
    connection: duckdb.DuckDBPyConnection,
    raw: RawTable,
    steps: list[tuple[str, ...]],
    *,
    is_strict: bool = False,
) -> bool:
    """Whether any record has the path: the first ones are looked at first, then all."""
    plain = list(steps)
    for at, step in enumerate(steps):
        if len(step) == 2:
            plain = steps[:at]
            break
    test = f"json_exists(json, {literal(_json_path(plain))})" if plain else "true"
    for source in (f"(select json from {raw.name} limit {_SAMPLE})", raw.name):
        row = connection.execute(f"select count(*), count(*) filter ({test}) from {source}").fetchone()
        if row is None or not row[0]:
            return not is_strict
        if row[1]:
            return True
    return False


def _json_names(connection: duckdb.DuckDBPyConnection, raw: RawTable) -> list[str]:
    rows = connection.execute(
        f"select distinct unnest(json_keys(json)) as name"
        f" from (select json from {raw.name} limit {_SAMPLE}) order by 1"
    ).fetchall()
    return [str(row[0]) for row in rows]
