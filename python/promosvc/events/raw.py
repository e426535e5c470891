"""Files become raw tables: one temporary table a file, cells as they stood, in the file's order.

Cells of a CSV are texts, a JSON line is one JSON value, Parquet and Arrow keep their types. Columns
are stored as c0, c1, ... because a stranger's header may hold two names that differ in case only.
What cannot be read as a record at all (too many or too few cells, bytes that are not text, a line
that is no JSON object) goes to a second table with its line, so that it is counted and kept.

DuckDB reads everything in parallel and keeps the order, so that `rowid` is the number of the record.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

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
    malformed_count: int = 0
    has_row_numbers: bool = False

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
        """Number of the record in its file, from 1; malformed ones count, blank lines do not."""
        return "r.row_number" if self.has_row_numbers else "r.rid + 1"


def read(
    connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str, scratch: Path
) -> RawTable:
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


def peek(connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str) -> RawTable | None:
    """Make the table of a file without its rows, to check a mapping by; none where that needs the rows.

    A CSV in UTF-8 tells its columns in its first record, a Parquet file in its schema.
    """
    kind = form.of(path)
    try:
        if kind == "parquet":
            return _read_relation(
                connection, f"(from read_parquet({literal(str(path))}) limit 0)", path.name, name
            )
        if kind == "csv" and form.encoding.lower() in _UTF8:
            columns = _csv_columns(path, form)[1]
            spec = ", ".join(f"{stored} {kind}" for stored, kind in columns.values()) or "c0 varchar"
            connection.execute(f"create temp table {name} ({spec})")
            return RawTable(name, path.name, columns, False, 0, "")
    except (duckdb.Error, OSError, UnicodeError, EOFError):
        return None  # read() will say what is wrong with the file
    return None


def read_frame(connection: duckdb.DuckDBPyConnection, frame: Any, label: str, name: str) -> RawTable:
    """Read an Arrow table into the temporary table `name`."""
    # A frame can only be registered or let go while no result is open; fetching closes it.
    connection.execute(f"create temp table {name}_bad (row_number ubigint, line varchar)").fetchall()
    connection.register(f"{name}_frame", frame)
    try:
        return _read_relation(connection, f"{name}_frame", label, name)
    finally:
        connection.execute("select 1").fetchall()
        connection.unregister(f"{name}_frame")


def _read_relation(connection: duckdb.DuckDBPyConnection, relation: str, file: str, name: str) -> RawTable:
    described = connection.execute(f"describe select * from {relation}").fetchall()
    columns = {row[0]: (f"c{index}", str(row[1])) for index, row in enumerate(described)}
    names = ", ".join(f"{identifier(each)} as {stored}" for each, (stored, _) in columns.items())
    connection.execute(f"create temp table {name} as select {names} from {relation}")
    return RawTable(name, file, columns, False, _count(connection, name), f"{name}_bad")


def _read_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str, scratch: Path
) -> RawTable:
    path_read = _as_utf8(path, form, scratch, name)
    delimiter, columns = _csv_columns(path_read, form, path.name)
    if not columns:
        connection.execute(f"create temp table {name} (c0 varchar)")
        return RawTable(name, path.name, {}, False, 0, f"{name}_bad")
    spec = ", ".join(f"'{stored}': 'VARCHAR'" for stored, _ in columns.values())
    header_flag = "true" if form.has_header else "false"
    options = (
        f"delim={literal(delimiter)}, quote={literal(form.quote)},"
        f" escape={literal(form.escape or form.quote)},"
        f" header={header_flag}, skip={form.skip_rows}, columns={{{spec}}}"
    )
    stored_names = ", ".join(stored for stored, _ in columns.values())
    _read_text(connection, path_read, options, stored_names, name, form.skip_rows + int(form.has_header))
    bad = _count(connection, f"{name}_bad")
    if bad:
        _number_records(connection, name)
    records = _count(connection, name) + bad
    return RawTable(name, path.name, columns, False, records, f"{name}_bad", bad, bad > 0)


def _csv_columns(path: Path, form: FileFormat, file: str = "") -> tuple[str, dict[str, tuple[str, str]]]:
    """The delimiter, and the columns of the first record or of `column_names`."""
    delimiter, header = _header(path, form)
    if form.column_names:
        if header and len(header) != len(form.column_names):
            raise refuse(
                "column_names",
                f"names {len(form.column_names)} columns,"
                f" but the first record of {file or path.name} has {len(header)}",
                file=file or path.name,
            )
        header = list(form.column_names)
    return delimiter, {each: (f"c{index}", "VARCHAR") for index, each in enumerate(_unique(header))}


def _read_json_lines(
    connection: duckdb.DuckDBPyConnection, path: Path, form: FileFormat, name: str, scratch: Path
) -> RawTable:
    # A line of JSON holds no raw control character, so \x01 never splits one.
    options = f"delim='\x01', quote='', escape='', header=false, skip={form.skip_rows}"
    options += ", columns={'line': 'VARCHAR'}"
    path_read = _as_utf8(path, form, scratch, name)
    _read_text(connection, path_read, options, "line", name, form.skip_rows)
    _number_records(connection, name)
    blanks = literal(" \t\r\ufeff")
    connection.execute(
        f"""
        create or replace temp table {name} as
        select row_number, try_cast(ltrim(line, {blanks}) as json) as json, line
        from {name} where trim(line, {blanks}) <> ''
        """
    )
    return _json_table(connection, path, name, "line")


def _read_json(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> RawTable:
    """Read a file that is one JSON array, or objects one after the other."""
    connection.execute(
        f"""
        create temp table {name} as
        select row_number() over () as row_number, json
        from read_json_objects({literal(str(path))}, format='auto', maximum_object_size={LINE_BYTES_MAX})
        """
    )
    return _json_table(connection, path, name, "json::varchar")


def _json_table(connection: duckdb.DuckDBPyConnection, path: Path, name: str, line: str) -> RawTable:
    """Keep the objects; what is no object is malformed."""
    is_bad = "json is null or json_type(json) <> 'OBJECT'"
    connection.execute(f"insert into {name}_bad select row_number, {line} from {name} where {is_bad}")
    connection.execute(
        f"create or replace temp table {name} as select row_number, json from {name} where not ({is_bad})"
    )
    bad = _count(connection, f"{name}_bad")
    return RawTable(name, path.name, {}, True, _count(connection, name) + bad, f"{name}_bad", bad, True)


def _read_text(
    connection: duckdb.DuckDBPyConnection, path: Path, options: str, names: str, name: str, lines_before: int
) -> None:
    """Read a text file with DuckDB's CSV reader, keeping what it rejects."""
    for table in ("rejected", "reject_scans"):
        connection.execute(f"drop table if exists {table}")
    connection.execute(
        f"""
        create temp table {name} as select {names} from read_csv(
            {literal(str(path))}, auto_detect=false, {options}, nullstr='\x02',
            max_line_size={LINE_BYTES_MAX}, buffer_size={2 * LINE_BYTES_MAX},
            store_rejects=true, rejects_table='rejected', rejects_scan='reject_scans')
        """
    )
    connection.execute(
        f"""
        insert into {name}_bad
        select line - {lines_before}, any_value(trim(csv_line, chr(13) || chr(10)))
        from rejected group by line order by line
        """
    )


def _number_records(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Give each record its number in the file: its place, plus the malformed ones that stood before it."""
    connection.execute(
        f"""
        create or replace temp table {name} as
        with numbered as (
            select row_number, row_number() over (order by row_number) as bad from {name}_bad
        ), steps as (
            select row_number - bad as good_before, max(bad) as bad_before from numbered group by all
        ), records as (
            select rowid as row_id, * from {name}
        )
        select r.* exclude (row_id), r.row_id + 1 + coalesce(s.bad_before, 0) as row_number
        from records r asof left join steps s on r.row_id >= s.good_before
        order by r.row_id
        """
    )


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
        decoder = codecs.getincrementaldecoder(form.encoding)("surrogateescape")
        while block := source.read(1 << 22):
            target.write(decoder.decode(block).encode("utf-8", "surrogateescape"))
        target.write(decoder.decode(b"", True).encode("utf-8", "surrogateescape"))
    return copy


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb"))


def _header(path: Path, form: FileFormat) -> tuple[str, list[str]]:
    """Read the first record: the delimiter (guessed if not given) and its cells."""
    if path.suffix.lower() == ".zst" and not form.column_names:
        raise MappingError(f"{path.name}: the header of a .zst file cannot be read; give column_names")
    with _open(path) as source:
        lines = [
            line.decode("utf-8-sig" if at == 0 else "utf-8", "replace")
            for at, line in enumerate(_lines(source, form))
        ]
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
