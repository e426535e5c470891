"""Behaviour events: files of any shop become one clean event database.

    files ─► raw ─► clean ─► deduplicate ─► sessions ─► write
             │       │                       │
             │       └ mapping (TOML)        └ bot rule
             └ CSV, Parquet, JSON, frames

What the event log recorded was cleaned before and joins at *deduplicate* (`recorded`).

A mapping says what the columns mean (`docs/mapping.md`); the database is that of
`docs/events-schema.md`. Nothing disappears: each row is accepted, a duplicate, skipped by the mapping,
or refused with a reason and kept in `quarantine`; the report's counts add up to the rows read.

The trade-off chosen: cleaning is set-based SQL that DuckDB runs over whole files, not a loop over rows.
It is a hundred times faster and bounded in memory, and costs that the rules are written as expressions.
"""

from __future__ import annotations

from promosvc.events.completejourney import import_completejourney
from promosvc.events.database import open_database
from promosvc.events.frame import import_frame
from promosvc.events.importer import Progress, Stage, import_files, read_report, read_reports
from promosvc.events.mapping import Mapping
from promosvc.events.recorded import EVENT_LOG, MergeCounts, merge_recorded, merged_position
from promosvc.events.refreshes import DatabaseState, database_state, last_refresh, remember_refresh
from promosvc.events.report import Counts, FileCounts, ImportReport
from promosvc.events.sending import Recorder, Verdict

__all__ = [
    "EVENT_LOG",
    "Counts",
    "DatabaseState",
    "FileCounts",
    "ImportReport",
    "Mapping",
    "MergeCounts",
    "Progress",
    "Recorder",
    "Stage",
    "Verdict",
    "database_state",
    "import_completejourney",
    "import_files",
    "import_frame",
    "last_refresh",
    "merge_recorded",
    "merged_position",
    "open_database",
    "read_report",
    "read_reports",
    "remember_refresh",
]
