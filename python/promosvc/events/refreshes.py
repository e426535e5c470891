"""What the newest refresh looked at, so that the next one knows whether anything is new.

Events come by imports and by the event log only: the number of the last import and the merged position say
together what the database holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from promosvc.events.recorded import merged_position


@dataclass(frozen=True)
class DatabaseState:
    """What the database holds."""

    position: int
    """Everything of the event log before it."""
    import_id: int
    """All imports up to this one; 0 for none."""


def database_state(connection: duckdb.DuckDBPyConnection) -> DatabaseState:
    """What the database holds now."""
    rows = connection.execute("select coalesce(max(import_id), 0) from imports").fetchall()
    return DatabaseState(merged_position(connection), int(rows[0][0]))


def last_refresh(connection: duckdb.DuckDBPyConnection) -> tuple[str, DatabaseState] | None:
    """The snapshot that the newest refresh left published, and what it looked at; nothing before the first."""
    rows = connection.execute("select snapshot_id, position, import_id from refreshes").fetchall()
    return (str(rows[0][0]), DatabaseState(int(rows[0][1]), int(rows[0][2]))) if rows else None


def remember_refresh(connection: duckdb.DuckDBPyConnection, snapshot_id: str, state: DatabaseState) -> None:
    """Remember what the refresh looked at that left this snapshot published."""
    connection.execute("begin")
    connection.execute("delete from refreshes")
    connection.execute(
        "insert into refreshes values (?, ?, ?)", [snapshot_id, state.position, state.import_id]
    )
    connection.execute("commit")
