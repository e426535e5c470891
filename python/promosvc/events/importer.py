"""Imports files into the event database, all or nothing.

Stages: *read* (files become raw tables), *check* (every column that the mapping names is there, or the
import is refused before its first row), *clean* (raw tables become staged rows, each with a code),
*deduplicate*, *sessions* (with the bot rule), *write*. Raw and staged rows are temporary tables; all
that is kept is written in one transaction, so that a process that dies leaves the database as it was.

While a server runs, accepted rows are sent to it instead (`sending`) and come back by the event log. What was sent
stays sent when the import fails later; the same import again finds duplicates.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb

from promosvc.columns import REASONS
from promosvc.errors import ImportRefusedError, InternalError, MappingError
from promosvc.events import catalogue, cleaning, duplicates, raw, sending, sessions, writing
from promosvc.events.database import create_tables, open_database
from promosvc.events.layers import DUPLICATE, Statement
from promosvc.events.lookups import make_unique
from promosvc.events.mapping import Mapping, Section
from promosvc.events.plan import Job, Plan, Source, plan_import
from promosvc.events.quoting import literal
from promosvc.events.raw import RawTable
from promosvc.events.report import ImportReport
from promosvc.events.resolve import Columns
from promosvc.events.sending import Recorder

STAGES: Final = ("read", "clean", "deduplicate", "sessions", "write")
"""Names of the stages that `progress` hears of, in order."""


@dataclass(frozen=True)
class Stage:
    """How far an import is: rows of this stage that are done, of rows in all (0 while unknown)."""

    name: str
    rows_done: int
    rows_total: int


Progress = Callable[[Stage], None]


def import_files(
    database: Path | str,
    mapping: Mapping,
    events: Iterable[Path | str] = (),
    items: Iterable[Path | str] = (),
    users: Iterable[Path | str] = (),
    tables: dict[str, Path] | None = None,
    progress: Progress | None = None,
    *,
    now: datetime.datetime | None = None,
    send: Recorder | None = None,
) -> ImportReport:
    """Import files of one source into the event database (created if it is not there).

    `tables` names the files of `[tables.NAME]`; one that is not named is looked for beside the event
    files. `now` is the latest time that an event can have had, UTC (default: the machine's clock).
    With `send`, accepted events go there instead of the table `events`, and what is new about items too; the
    report counts what was said of them.
    Raises `MappingError`, `ImportRefusedError`, `DatabaseBusyError`, `DatabaseError`; after any of them
    the database is as it was.
    """
    sources = {
        family: [Source(Path(path).name, Path(path)) for path in paths]
        for family, paths in (("events", events), ("items", items), ("users", users))
    }
    return run(database, mapping, sources, tables or {}, progress, now, send)


def run(
    database: Path | str,
    mapping: Mapping,
    sources: dict[str, list[Source]],
    tables: dict[str, Path],
    progress: Progress | None = None,
    now: datetime.datetime | None = None,
    send: Recorder | None = None,
) -> ImportReport:
    """Import sources by family; what files and frames share."""
    started = time.monotonic()
    plan = plan_import(mapping, sources, tables)
    database = Path(database)
    is_new = not database.exists()
    scratch = database.with_name(database.name + ".import")
    try:
        with open_database(database) as connection:
            before = _imported_before(connection, plan.fingerprint)
            if before is not None:
                return replace(before, was_imported_before=True)
            with _named_failures():
                return _import(connection, plan, progress or _ignore, _utc(now), scratch, started, send)
    except BaseException:
        if is_new:
            database.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read_reports(database: Path | str) -> list[ImportReport]:
    """The reports of all imports, oldest first."""
    with open_database(database, is_read_only=True) as connection:
        rows = connection.execute("select report from imports order by import_id").fetchall()
    return [ImportReport.from_dict(json.loads(row[0])) for row in rows]


def read_report(database: Path | str, import_id: int | None = None) -> ImportReport | None:
    """The report of one import, or of the newest; none if there is no such import."""
    reports = read_reports(database)
    if import_id is None:
        return reports[-1] if reports else None
    return next((report for report in reports if report.import_id == import_id), None)


def _ignore(stage: Stage) -> None:
    del stage


def _utc(now: datetime.datetime | None) -> datetime.datetime:
    clock = now or datetime.datetime.now(datetime.UTC)
    return clock if clock.tzinfo is None else clock.astimezone(datetime.UTC).replace(tzinfo=None)


@contextlib.contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise ImportRefusedError(
            f"the import needs more memory or disk than there is: {error}", reason="OUT_OF_MEMORY"
        ) from error
    except duckdb.Error as error:
        raise InternalError(f"the import failed in the database: {error}", reason="IMPORT_FAILED") from error


def _imported_before(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> ImportReport | None:
    if not connection.execute("select 1 from duckdb_tables() where table_name = 'imports'").fetchone():
        return None
    row = connection.execute("select report from imports where fingerprint = ?", [fingerprint]).fetchone()
    return ImportReport.from_dict(json.loads(row[0])) if row else None


def _import(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    tell: Progress,
    now: datetime.datetime,
    scratch: Path,
    started: float,
    send: Recorder | None,
) -> ImportReport:
    mapping = plan.mapping
    started_at = datetime.datetime.now(datetime.UTC)
    _check_heads(connection, plan, now)
    total = _read(connection, plan, tell, scratch)
    statements = _check(connection, plan, now)
    _clean(connection, statements, tell, total)
    connection.execute("begin")
    create_tables(connection)
    import_id = writing.next_import_id(connection)
    tell(Stage("deduplicate", 0, total))
    duplicates.mark_duplicates(connection, literal(mapping.source))
    tell(Stage("sessions", 0, total))
    withdrawn = sessions.refuse_bots(connection, import_id, mapping.events_per_hour_max)
    sessions.cut_sessions(connection, mapping.session_minutes)
    tell(Stage("write", 0, total))
    cut = 0
    if send is None:
        given = {"source": literal(mapping.source), "import_id": str(import_id)}
        writing.write_events(connection, {**given, "exposed_by": "null", "log_position": "null"})
        _merge_items(connection, plan, seen=plan.has_events)
    else:
        cut = sending.send_events(
            connection, send, mapping.source, lambda done: tell(Stage("write", done, total))
        )
        sending.remember_items(connection)
        # An import that died may have sent events and not what they say of items, so that here duplicates speak too.
        _merge_items(connection, plan, seen=bool(_seen_columns(plan)), codes=(0, DUPLICATE))
        cut += sending.send_items(connection, send, plan.fingerprint)
    catalogue.merge_users(connection, mapping)
    details = {job.number: statement.details for job, statement in statements}
    writing.write_quarantine(connection, plan, details, import_id, has_verdicts=send is not None)
    report = writing.make_report(connection, plan, import_id, withdrawn, started_at, started)
    report = replace(report, cut_texts=cut)
    writing.write_report(connection, plan, report, started_at)
    connection.execute("commit")
    tell(Stage("write", total, total))
    return report


def _merge_items(
    connection: duckdb.DuckDBPyConnection, plan: Plan, *, seen: bool, codes: tuple[int, ...] = (0,)
) -> None:
    catalogue.merge_items(connection, plan.mapping)
    if seen:
        source, kind = literal(plan.mapping.source), plan.mapping.item_kind
        catalogue.merge_seen_items(connection, source, kind, _seen_columns(plan), codes)


def _seen_columns(plan: Plan) -> set[str]:
    """Columns of `items` that sections of events speak of."""
    seen = set()
    for job in plan.jobs:
        seen |= {"unit_price_minor" if name == "unit_price" else name for name in job.section.item_rules}
        seen |= {"attributes"} if job.section.item_attributes else set()
    return seen


def _check_heads(connection: duckdb.DuckDBPyConnection, plan: Plan, now: datetime.datetime) -> None:
    """Check the mapping against heads and schemas alone, so that a typo costs no reading of big files."""
    for job in plan.jobs:
        if job.source.path is None:
            continue
        with _named_section(job.section):
            own = raw.peek(connection, job.source.path, job.section.file_format, f"head_{job.number}")
        joined: dict[str, RawTable] = {}
        for join in job.section.joins:
            table = plan.mapping.tables[join.table]
            name = f"head_{job.number}_{len(joined)}"
            found = raw.peek(connection, plan.tables[join.table], table.file_format, name)
            if found is not None:
                joined[join.table] = found
        if own is None or len(joined) < len(job.section.joins):
            continue
        form = job.section.file_format
        columns = Columns(connection, own, joined, form.explode, form.explode_separator)
        with _named_section(job.section):
            _statement(plan.mapping, job, columns, now)


def _read(connection: duckdb.DuckDBPyConnection, plan: Plan, tell: Progress, scratch: Path) -> int:
    """Read every file once into a raw table; gives the number of records."""
    # rowid numbers the records of a file, so their order must be the file's.
    connection.execute("set preserve_insertion_order = true")
    read: dict[tuple[str, str], RawTable] = {}
    total = 0
    tell(Stage("read", 0, 0))
    for job in plan.jobs:
        form = job.section.file_format
        key = (str(job.source.path or job.source.label), repr(form))
        with _named_section(job.section):
            if key not in read and job.source.path is not None:
                read[key] = raw.read(connection, job.source.path, form, f"raw_{job.number}", scratch)
            elif key not in read:
                read[key] = raw.read_frame(
                    connection, job.source.reader, job.source.label, f"raw_{job.number}"
                )
        job.raw = read[key]
        total += job.raw.records
        tell(Stage("read", total, 0))
    for job in plan.jobs:
        if job.raw is not None:
            job.columns = _columns(connection, plan, job, job.raw, scratch)
    return total


def _columns(
    connection: duckdb.DuckDBPyConnection, plan: Plan, job: Job, own: RawTable, scratch: Path
) -> Columns:
    """What the job's file and its lookup tables offer; each job has its own copy, unique by its keys."""
    joined: dict[str, RawTable] = {}
    for join in job.section.joins:
        table = plan.mapping.tables[join.table]
        name = f"lookup_{job.number}_{len(joined)}"
        joined[join.table] = raw.read(connection, plan.tables[join.table], table.file_format, name, scratch)
    form = job.section.file_format
    columns = Columns(connection, own, joined, form.explode, form.explode_separator)
    for join in job.section.joins:
        make_unique(connection, plan.mapping.tables[join.table], join, columns)
    return columns


def _check(
    connection: duckdb.DuckDBPyConnection, plan: Plan, now: datetime.datetime
) -> list[tuple[Job, Statement]]:
    """Write the statement of each job; refuses what the files do not have, before the first row."""
    statements = []
    for job in plan.jobs:
        if job.columns is None:
            continue
        with _named_section(job.section):
            statement = _statement(plan.mapping, job, job.columns, now)
            try:
                connection.execute(f"explain {statement.rows}")
            except duckdb.Error as error:
                raise MappingError(
                    f"{job.source.label} cannot be read as the mapping says: {error}",
                    field=job.section.path,
                    metadata={"file": job.source.label},
                ) from error
        statements.append((job, statement))
    return statements


def _statement(mapping: Mapping, job: Job, columns: Columns, now: datetime.datetime) -> Statement:
    if job.section.family == "events":
        return cleaning.events_statement(mapping, job.section, columns, job.number, now)
    if job.section.family == "items":
        return catalogue.items_statement(mapping, job.section, columns, job.number)
    return catalogue.users_statement(job.section, columns, job.number)


@contextlib.contextmanager
def _named_section(section: Section) -> Iterator[None]:
    """Put the section's path before the key of an error about its file format."""
    try:
        yield
    except MappingError as error:
        if not error.field.startswith((section.path, "tables.")):
            error.field = f"{section.path}.{error.field}"
        raise


def _clean(
    connection: duckdb.DuckDBPyConnection,
    statements: list[tuple[Job, Statement]],
    tell: Progress,
    total: int,
) -> None:
    """Run the statements, and stage what could not be read as a record at all."""
    connection.execute("set preserve_insertion_order = false")
    for table, columns in (
        ("staged", cleaning.STAGED_EVENTS),
        ("staged_items", catalogue.STAGED_ITEMS),
        ("staged_users", catalogue.STAGED_USERS),
    ):
        spec = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"create or replace temp table {table} ({spec})")
    done = 0
    for job, statement in statements:
        tell(Stage("clean", done, total))
        connection.execute(f"insert into {job.table} {statement.rows}")
        if job.raw is not None and job.raw.malformed_count:
            # Elements count from 1, so that 0 never meets the details of a record that was read.
            connection.execute(
                f"insert into {job.table} (file_number, row_number, element, code)"
                f" select {job.number}, row_number, 0, {REASONS['MALFORMED_ROW']} from {job.raw.malformed}"
            )
        done += job.raw.records if job.raw is not None else 0
    tell(Stage("clean", done, total))
