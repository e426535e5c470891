"""Opens the event database: one DuckDB file, one writer at a time.

DuckDB lets one process write and then keeps all others out, readers too. Whoever comes second waits
up to ten seconds and then hears which process holds the file.

A file of an older promosvc gets the columns and tables that have come since when a writer opens it; a
reader that meets such a file opens it once as a writer first.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb

from promosvc.columns import (
    EVENT_COLUMNS,
    EVENT_COLUMNS_REQUIRED,
    IMPORT_COLUMNS,
    ITEM_COLUMNS,
    LOG_POSITION_COLUMNS,
    QUARANTINE_COLUMNS,
    REFRESH_COLUMNS,
    USER_COLUMNS,
)
from promosvc.errors import DatabaseBusyError, DatabaseError
from promosvc.events.quoting import literal

WAIT_SECONDS: Final = 10.0
MEMORY_LIMIT: Final = "1200MB"
_POLL_SECONDS: Final = 0.05
_TABLES: Final = ("events", "items", "users", "quarantine", "imports")
# What later versions added: each stands at the end of its table, so that old and new files have one order.
_ADDED_COLUMNS: Final = (("events", "exposed_by"), ("events", "log_position"), ("items", "stock"))
_ADDED_TABLES: Final = ("log_positions", "refreshes")


@contextlib.contextmanager
def open_database(
    path: Path | str, *, is_read_only: bool = False, wait_seconds: float | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the event database, creating it for a writer; closes it at the end.

    Raises `DatabaseBusyError` with the holder's PID after `wait_seconds` (ten by default), and
    `DatabaseError` for a file that is missing (for a reader) or no event database.
    """
    path = Path(path)
    if is_read_only and not path.exists():
        raise DatabaseError(
            f"{path} does not exist; import something first",
            reason="DATABASE_MISSING",
            metadata={"file": str(path)},
        )
    if not is_read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    wait = WAIT_SECONDS if wait_seconds is None else wait_seconds
    connection = _connect(path, is_read_only, wait)
    try:
        if is_read_only and _is_outdated(connection):
            connection.close()
            with open_database(path, wait_seconds=wait):
                pass
            connection = _connect(path, is_read_only, wait)
        connection.execute("set TimeZone = 'UTC'")
        # DuckDB would draw a bar of its own over ours.
        connection.execute("set enable_progress_bar = false")
        if not is_read_only:
            # Many cores share the limit: each thread of a hash table or sort needs room of its own.
            connection.execute(f"set temp_directory = {literal(str(path) + '.tmp')}")
        _check(connection, path, is_read_only)
        if not is_read_only and _is_outdated(connection):
            _migrate(connection)
        yield connection
    finally:
        connection.close()


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of `docs/events-schema.md` that are not there yet."""
    # Ids are mostly digits of a hash: trying to compress them costs a tenth of an import and halves little.
    special = {"event_id": " using compression uncompressed"}
    events = ", ".join(
        f"{name} {kind}{' not null' if name in EVENT_COLUMNS_REQUIRED else ''}{special.get(name, '')}"
        for name, kind in EVENT_COLUMNS.items()
    )
    items = ", ".join(
        f"{name} {kind}"
        + {
            "item_id": " primary key",
            "kind": " not null default 'product'",
            "is_available": " not null default true",
        }.get(name, "")
        for name, kind in ITEM_COLUMNS.items()
    )
    users = ", ".join(
        f"{name} {kind}{' primary key' if name == 'user_id' else ''}" for name, kind in USER_COLUMNS.items()
    )
    for table, spec in (
        ("events", events),
        ("items", items),
        ("users", users),
        ("quarantine", ", ".join(f"{name} {kind}" for name, kind in QUARANTINE_COLUMNS.items())),
        ("imports", ", ".join(f"{name} {kind}" for name, kind in IMPORT_COLUMNS.items())),
        ("bot_hours", "user_id varchar not null, hour_at timestamp not null"),
        ("log_positions", _keyed(LOG_POSITION_COLUMNS)),
        ("refreshes", _keyed(REFRESH_COLUMNS)),
    ):
        connection.execute(f"create table if not exists {table} ({spec})")


def _keyed(columns: dict[str, str]) -> str:
    """Columns of which the first is the key and all are needed."""
    return ", ".join(
        f"{name} {kind} {'primary key' if at == 0 else 'not null'}"
        for at, (name, kind) in enumerate(columns.items())
    )


def _is_outdated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether an event database lacks what later versions added; false for any other file."""
    found = {
        (str(table), str(column))
        for table, column in connection.execute(
            "select table_name, column_name from duckdb_columns() where database_name = current_database()"
        ).fetchall()
    }
    tables = {table for table, _ in found}
    if not tables.issuperset(_TABLES):
        return False
    return not found.issuperset(_ADDED_COLUMNS) or not tables.issuperset(_ADDED_TABLES)


def _migrate(connection: duckdb.DuckDBPyConnection) -> None:
    kinds = {"events": EVENT_COLUMNS, "items": ITEM_COLUMNS}
    connection.execute("begin")
    for table, column in _ADDED_COLUMNS:
        connection.execute(f"alter table {table} add column if not exists {column} {kinds[table][column]}")
    create_tables(connection)
    connection.execute("commit")


def _connect(path: Path, is_read_only: bool, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(
                str(path),
                read_only=is_read_only,
                config={"memory_limit": MEMORY_LIMIT, "threads": os.cpu_count() or 1},
            )
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise DatabaseError(
                    f"{path} cannot be opened: {error}",
                    reason="DATABASE_UNREADABLE",
                    metadata={"file": str(path)},
                ) from None
            if time.monotonic() >= deadline:
                raise _busy(path, str(error), wait_seconds) from None
            time.sleep(_POLL_SECONDS)
        except duckdb.ConnectionException as error:
            raise _busy(path, f"{error} (PID {os.getpid()})", 0) from None
        except duckdb.Error as error:
            raise DatabaseError(
                f"{path} cannot be opened: {error}",
                reason="DATABASE_UNREADABLE",
                metadata={"file": str(path)},
            ) from None


def _busy(path: Path, message: str, waited: float) -> DatabaseBusyError:
    found = re.search(r"PID (\d+)", message)
    holder = f"process {found.group(1)}" if found else "another process"
    return DatabaseBusyError(
        f"{path} is held by {holder}; waited {waited:g} s for it to close the file",
        metadata={"file": str(path), "pid": found.group(1) if found else "", "waited_seconds": f"{waited:g}"},
    )


def _check(connection: duckdb.DuckDBPyConnection, path: Path, is_read_only: bool) -> None:
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = current_database()"
    ).fetchall()
    tables = {str(row[0]) for row in rows}
    if not tables and not is_read_only:
        return
    missing = [table for table in _TABLES if table not in tables]
    if missing:
        raise DatabaseError(
            f"{path} is no event database: it has no table {missing[0]!r}",
            reason="DATABASE_FOREIGN",
            metadata={"file": str(path), "table": missing[0]},
        )
