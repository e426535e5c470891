"""Brings the event log into the event database, up to its durable position.

    log directory ─► _core.read_event_log ─► events.merge_recorded ─► database
                     at most BATCH_ENTRIES positions at a time, each in a transaction of its own

The database says how far it is; nothing else is remembered. Nothing is opened for writing while the log holds
nothing new, so that readers of the database are not disturbed every minute.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from promosvc import _core
from promosvc.events import MergeCounts, merge_recorded, merged_position, open_database
from promosvc.pipeline.learn import Progress

BATCH_ENTRIES = 500_000
"""Positions in memory at a time: about half a gigabyte of them."""


@dataclass(frozen=True)
class TailReport:
    """What one round of tailing did."""

    position: int
    """Everything before it is in the database."""
    merged: MergeCounts
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    def text(self) -> str:
        """The report for people, one line."""
        merged = self.merged
        told = f"{merged.events:,} events, {merged.duplicates:,} duplicates, {merged.items:,} items"
        if merged.bots or merged.withdrawn:
            told += f", {merged.bots + merged.withdrawn:,} of machines put aside"
        return f"Event log merged up to position {self.position:,}: {told} ({self.seconds:.1f} s)"


def tail(
    database: Path | str,
    log_directory: Path | str,
    until_position: int | None = None,
    progress: Progress | None = None,
    *,
    batch_entries: int = BATCH_ENTRIES,
) -> TailReport:
    """Merge what the event log holds beyond the database; made if there is none.

    Args:
        database: the event database.
        log_directory: of the event log; one that is not there is a log without records.
        until_position: stop before this position, the durable one that a running server tells. Without it, at
            the last whole record: right only while no server writes.
        progress: called with ("tail", positions done, 0).
        batch_entries: positions of one transaction.

    Raises:
        FailedPreconditionError: the log begins after what the database holds (LOG_GAP).
        SnapshotError: the log is damaged (LOG_CORRUPT).
        DatabaseError, DatabaseBusyError: the database cannot be opened.
    """
    began = time.monotonic()
    tell = progress or (lambda _stage, _done, _total: None)
    log = Path(log_directory)
    first = position = _merged(Path(database))
    counts = MergeCounts()
    if log.is_dir() and _core.read_event_log(str(log), position, until_position, entries_max=1)[2] > position:
        with open_database(database) as connection:
            while True:
                events, items, after = _core.read_event_log(
                    str(log), position, until_position, entries_max=batch_entries
                )
                if after == position:
                    break
                counts = counts.plus(
                    merge_recorded(connection, pa.table(events), pa.table(items), position, after)
                )
                position = after
                tell("tail", position - first, 0)
    return TailReport(position, counts, round(time.monotonic() - began, 3))


def _merged(database: Path) -> int:
    if not database.exists():
        return 0
    with open_database(database, is_read_only=True) as connection:
        return merged_position(connection)
