"""What the tests of the events room share: a shop's files in a folder, imported, and rows to look at."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import duckdb

from promosvc.events import ImportReport, Mapping, import_files

NOW = datetime.datetime(2024, 7, 1)

PLAIN = """
[source]
name = "shop"
currency = "EUR"

[[events]]

[events.columns]
event_name = "event_name"
user_id = "user_id"
item_id = "item_id"
event_at = "event_at"
"""


def write(path: Path, content: str | bytes) -> Path:
    """Write a file; texts as UTF-8."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    """Write JSON lines."""
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


def import_text(folder: Path, mapping: str, *files: Path, **more: Any) -> ImportReport:
    """Import event files into `folder`/events.duckdb and check that the counts add up."""
    report = import_files(
        folder / "events.duckdb", Mapping.parse(mapping), events=files, **{"now": NOW, **more}
    )
    for counts in (report.event_counts, report.item_counts, report.user_counts):
        assert counts.adds_up, counts
    return report


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query over the database."""
    with duckdb.connect(str(folder / "events.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def event(folder: Path, columns: str = "*") -> Any:
    """The only event: one value, or a tuple of several."""
    (row,) = rows(folder, f"select {columns} from events")
    return row[0] if len(row) == 1 else row


def everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that an import means, without what tells one import from another."""
    return {
        "events": rows(folder, "select * exclude (import_id) from events order by all"),
        "items": rows(folder, "select * from items order by all"),
        "users": rows(folder, "select * from users order by all"),
    }
