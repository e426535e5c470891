"""Files become raw tables: one temporary table a file, cells as they stood, in the file's order.

Cells of a CSV are texts, a JSON line is one JSON value, Parquet and Arrow keep their types. Columns
are stored as c0, c1, ... because a stranger's header may hold two names that differ in case only.
What cannot be read as a record at all (too many or too few cells, bytes that are not text, a line
that is no JSON object) goes to a second table with its line, so that it is counted and kept.

DuckDB reads everything in parallel and keeps the order, so that `rowid` is the number of the record.
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import duckdb

from promosvc.errors import ImportRefusedError, MappingError
from promosvc.events.mapping import FileFormat
from promosvc.events.quoting import identifier, literal
from promosvc.events.toml import refuse

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest line of a text file; a longer one is a malformed row."""

_DELIMITERS: Final = (",", ";", "\t", "|")
_UTF8: Final = ("utf-8", "utf8", "utf_8", "ascii", "us-ascii", "utf-8-sig")


@dataclass(frozen=True)
class RawTable:
    """One file in a temporary table.

    `columns` maps the file's column names to (stored name, DuckDB type); for JSON it is empty and
    the record lies in the column `json`. `malformed` is the table of unreadable records:
    (row_number, line).
    """

    name: str
    file: str
    columns: dict[str, tuple[str, str]]
    is_json: bool
    records: int
    malformed: str
    malformed_count: int

    @property
    def record_sql(self) -> str:
        """The whole record as JSON, for quarantine."""
        if self.is_json:
            return "r.json"
        if not self.columns:
            return "null::json"
        pairs = ", ".join(f"{literal(name)}, r.{stored}" for name, (stored, _) in self.columns.items())
        return f"json_object({pairs})"

    @property
    def row_number_sql(self) -> str:
        """Number of the record in its file, from 1, malformed ones counted."""
        if not self.malformed_count:
            return "r.rid + 1"
        # The n-th good record comes after as many malformed ones as stand before it.
        return (
            f"(r.rid + 1 + (select count(*) from (select row_number - row_number() over (order by row_number)"
            f" as good_before from {self.malformed}) where good_before <= r.rid))"
        )


def read(connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str, scratch: Path) -> RawTable:
    """Read one file into the temporary table `name`."""
    kind = form.of(path)
    if not path.is_file():
        raise ImportRefusedError(
            f"{path} is not a file that can be read", reason="FILE_NOT_FOUND", metadata={"file": str(path)}
        )
    connection.execute(f"create temp table {name}_bad (row_number ubigint, line varchar)")
    try:
        if kind == "csv":
            return _read_csv(connection, path, form, name, scratch)
        if kind == "jsonl":
            return _read_json_lines(connection, path, form, name, scratch)
        if kind == "json":
            return _read_json(connection, path, name)
        return _read_relation(connection, f"read_parquet({literal(str(path))})", path.name, name)
    except (duckdb.Error, OSError, UnicodeError, EOFError) as error:
        raise ImportRefusedError(
            f"{path.name} cannot be read as {kind}: {error}",
            reason="FILE_UNREADABLE",
            metadata={"file": str(path), "format": kind},
        ) from error


def read_frame(connection: duckdb.DuckDBPyConnection, reader: Any, label: str, name: str) -> RawTable:
    """Read an Arrow reader into the temporary table `name`."""
    connection.execute(f"create temp table {name}_bad (row_number ubigint, line varchar)")
    connection.register(f"{name}_frame", reader)
    try:
        return _read_relation(connection, f"{name}_frame", label, name)
    finally:
        connection.unregister(f"{name}_frame")


def _read_relation(connection: duckdb.DuckDBPyConnection, relation: str, file: str, name: str) -> RawTable:
    described = connection.execute(f"describe select * from {relation}").fetchall()
    columns = {row[0]: (f"c{index}", str(row[1])) for index, row in enumerate(described)}
    names = ", ".join(f"{identifier(each)} as {stored}" for each, (stored, _) in columns.items())
    connection.execute(f"create temp table {name} as select {names} from {relation}")
    return RawTable(name, file, columns, False, _count(connection, name), f"{name}_bad", 0)


def _read_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str, scratch: Path
) -> RawTable:
    path_read = _as_utf8(path, form, scratch, name)
    delimiter, header = _header(path_read, form)
    if form.column_names:
        if len(header) != len(form.column_names) and header:
            raise refuse(
                "column_names",
                f"names {len(form.column_names)} columns, but the first record of {path.name} has {len(header)}",
                file=path.name,
            )
        header = list(form.column_names)
    names = _unique(header)
    columns = {each: (f"c{index}", "VARCHAR") for index, each in enumerate(names)}
    if not columns:
        connection.execute(f"create temp table {name} (c0 varchar)")
        return RawTable(name, path.name, {}, False, 0, f"{name}_bad", 0)
    spec = ", ".join(f"'{stored}': 'VARCHAR'" for stored, _ in columns.values())
    names_of = ", ".join(stored for stored, _ in columns.values())
    options = (
        f"delim={literal(delimiter)}, quote={literal(form.quote)}, escape={literal(form.escape or form.quote)}, "
        f"header={'true' if form.has_header else 'false'}, skip={form.skip_rows}, columns={{{spec}}}"
    )
    _read_text(connection, path_read, options, names_of, name, form.skip_rows + int(form.has_header))
    return _text_table(connection, path, columns, name, is_json=False)


def _read_json_lines(
    connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str, scratch: Path
) -> RawTable:
    # A line of JSON holds no raw control character, so \x01 never splits one.
    options = f"delim='\x01', quote='', escape='', header=false, skip={form.skip_rows}, columns={{'line': 'VARCHAR'}}"
    path_read = _as_utf8(path, form, scratch, name)
    _read_text(connection, path_read, options, "line", f"{name}_lines", form.skip_rows, bad=f"{name}_bad")
    connection.execute(
        f"create temp table {name}_checked as select rowid as row_id, line, try_cast(line as json) as json"
        f" from {name}_lines where trim(line, ' \t\r\ufeff') <> ''"
    )
    connection.execute(f"drop table {name}_lines")
    connection.execute(
        f"create temp table {name} as select json from {name}_checked where json_type(json) = 'OBJECT' order by row_id"
    )
    connection.execute(
        f"insert into {name}_bad select row_id + 1 + {form.skip_rows}, line from {name}_checked"
        " where json is null or json_type(json) <> 'OBJECT'"
    )
    connection.execute(f"drop table {name}_checked")
    return _text_table(connection, path, {}, name, is_json=True)


def _read_json(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> RawTable:
    connection.execute(
        f"create temp table {name} as select json from read_json_objects({literal(str(path))}, format='auto',"
        f" maximum_object_size={LINE_BYTES_MAX}) where json_type(json) = 'OBJECT'"
    )
    return _text_table(connection, path, {}, name, is_json=True)


def _read_text(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    options: str,
    names: str,
    name: str,
    lines_before: int,
    bad: str = "",
) -> None:
    """Read a text file with DuckDB's CSV reader, keeping what it rejects."""
    for table in ("rejected", "reject_scans"):
        connection.execute(f"drop table if exists {table}")
    connection.execute(
        f"create temp table {name} as select {names} from read_csv({literal(str(path))}, auto_detect=false, {options},"
        f" nullstr='\x02', max_line_size={LINE_BYTES_MAX}, buffer_size={2 * LINE_BYTES_MAX}, store_rejects=true,"
        " rejects_table='rejected', rejects_scan='reject_scans')"
    )
    connection.execute(
        f"insert into {bad or name + '_bad'} select line - {lines_before}, any_value(csv_line) from rejected group by line"
    )


def _text_table(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: dict[str, tuple[str, str]], name: str, *, is_json: bool
) -> RawTable:
    bad = _count(connection, f"{name}_bad")
    return RawTable(name, path.name, columns, is_json, _count(connection, name) + bad, f"{name}_bad", bad)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def _as_utf8(path: Path, form: FileFormat, scratch: Path, name: str) -> Path:
    """Give a file that DuckDB reads as UTF-8: the file itself, or a copy in another encoding.

    Bytes that the encoding does not know are copied as they are, are then no UTF-8, and so become
    malformed rows of the import instead of silent question marks.
    """
    if form.encoding.lower() in _UTF8:
        return path
    scratch.mkdir(parents=True, exist_ok=True)
    copy = scratch / f"{name}.txt"
    with _open(path) as source, copy.open("wb") as target:
        import codecs

        decoder = codecs.getincrementaldecoder(form.encoding)("surrogateescape")
        while block := source.read(1 << 22):
            target.write(decoder.decode(block).encode("utf-8", "surrogateescape"))
        target.write(decoder.decode(b"", True).encode("utf-8", "surrogateescape"))
    return copy


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _header(path: Path, form: FileFormat) -> tuple[str, list[str]]:
    """Read the first record: the delimiter (guessed if not given) and its cells."""
    if path.suffix.lower() == ".zst" and not form.column_names:
        raise MappingError(f"{path.name}: the header of a .zst file cannot be read; give column_names")
    with _open(path) as source:
        lines = [line.decode("utf-8-sig" if at == 0 else "utf-8", "replace") for at, line in enumerate(_lines(source, form))]
    candidates = (form.delimiter,) if form.delimiter else _DELIMITERS
    records = [(each, _first_record(lines, each, form)) for each in candidates]
    delimiter, cells = max(records, key=lambda record: len(record[1]))
    return delimiter, cells


def _lines(source: IO[bytes], form: FileFormat) -> Iterator[bytes]:
    """The lines that can hold the first record; a header with line breaks in quotes spans a few."""
    return itertools.islice(source, form.skip_rows, form.skip_rows + 20)


def _first_record(lines: list[str], delimiter: str, form: FileFormat) -> list[str]:
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=form.quote or None,
        quoting=csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
        escapechar=form.escape if form.escape not in (None, form.quote) else None,
    )
    return next(reader, [])


def _unique(header: list[str]) -> list[str]:
    names: list[str] = []
    for index, cell in enumerate(header):
        name = cell.strip() or f"column_{index + 1}"
        while name in names:
            name += "_2"
        names.append(name)
    return names
