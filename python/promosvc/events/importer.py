"""Imports files into the event database, all or nothing.

Stages: *plan* (which section of the mapping reads which file), *read* (files become raw tables),
*check* (every column that the mapping names is there, or the import is refused before its first row),
*clean* (raw tables become staged rows, each with a code), *deduplicate*, *sessions* (with the bot
rule), *write*. Raw and staged rows are temporary tables; all that is
kept is written in one transaction, so that a process that dies leaves the database as it was. The
fingerprint of mapping and file contents says whether the same was imported before; then the old report
is the answer.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import duckdb

from promosvc.columns import EVENT_COLUMNS, REASONS
from promosvc.errors import ImportRefusedError, InternalError, MappingError
from promosvc.events import catalogue, cleaning, duplicates, raw, sessions
from promosvc.events.database import create_tables, open_database
from promosvc.events.mapping import LookupTable, Mapping, Section
from promosvc.events.quoting import literal
from promosvc.events.raw import RawTable
from promosvc.events.report import Counts, FileCounts, ImportReport
from promosvc.events.resolve import Columns
from promosvc.events.toml import refuse

_FAMILIES: Final = ("events", "items", "users")


@dataclass(frozen=True)
class Stage:
    """How far an import is: rows of this stage that are done, of rows in all (0 while unknown)."""

    name: str
    rows_done: int
    rows_total: int


Progress = Callable[[Stage], None]


@dataclass(frozen=True)
class Source:
    """What one import reads: a file, or a frame with a label."""

    label: str
    path: Path | None = None
    reader: Any = None
    digest: str = ""


@dataclass
class Job:
    """One section of the mapping over one source."""

    section: Section
    source: Source
    number: int
    raw: RawTable | None = None
    columns: Columns | None = None


@dataclass
class Plan:
    """Everything that one import will do."""

    mapping: Mapping
    jobs: list[Job] = field(default_factory=list)
    tables: dict[str, Path] = field(default_factory=dict)
    fingerprint: str = ""


def import_files(
    database: Path | str,
    mapping: Mapping,
    events: Iterable[Path] = (),
    items: Iterable[Path] = (),
    users: Iterable[Path] = (),
    tables: dict[str, Path] | None = None,
    progress: Progress | None = None,
    *,
    now: datetime.datetime | None = None,
) -> ImportReport:
    """Import files of one source into the event database (created if it is not there).

    `tables` names the files of `[tables.NAME]`; one that is not named is looked for beside the event
    files. `now` is the latest time that an event can have had, UTC (default: the machine's clock).
    Raises `MappingError`, `ImportRefusedError`, `DatabaseBusyError`, `DatabaseError`; after any of them
    the database is as it was.
    """
    sources = {
        family: [Source(path.name, path) for path in map(Path, paths)]
        for family, paths in (("events", events), ("items", items), ("users", users))
    }
    return run(database, mapping, sources, dict(tables or {}), progress, now)


def run(
    database: Path | str,
    mapping: Mapping,
    sources: dict[str, list[Source]],
    tables: dict[str, Path],
    progress: Progress | None = None,
    now: datetime.datetime | None = None,
) -> ImportReport:
    """Import sources by family; what `import_files` and `import_frame` share."""
    started = time.monotonic()
    tell = progress or (lambda stage: None)
    clock = now or datetime.datetime.now(datetime.UTC)
    if clock.tzinfo is not None:
        clock = clock.astimezone(datetime.UTC).replace(tzinfo=None)
    plan = _plan(mapping, sources, tables)
    database = Path(database)
    scratch = Path(f"{database}.import")
    is_new = not database.exists()
    try:
        with open_database(database) as connection:
            before = _imported_before(connection, plan.fingerprint)
            if before is not None:
                return replace(before, was_imported_before=True)
            try:
                return _import(connection, plan, tell, clock, scratch, started)
            except duckdb.OutOfMemoryException as error:
                raise ImportRefusedError(
                    f"the import needs more memory or disk than there is: {error}", reason="OUT_OF_MEMORY"
                ) from error
            except duckdb.Error as error:
                raise InternalError(f"the import failed in the database: {error}", reason="IMPORT_FAILED") from error
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


def _plan(mapping: Mapping, sources: dict[str, list[Source]], tables: dict[str, Path]) -> Plan:
    plan = Plan(mapping)
    digests = [mapping.fingerprint]
    for family in _FAMILIES:
        sections: tuple[Section, ...] = getattr(mapping, family)
        for source in sources.get(family, []):
            if source.path is not None and not source.path.is_file():
                raise ImportRefusedError(
                    f"{source.path} is not a file that can be read",
                    reason="FILE_NOT_FOUND",
                    metadata={"file": str(source.path)},
                )
            taking = [
                section
                for section in sections
                if source.path is None or section.takes(source.path)
            ]
            if not taking:
                patterns = [pattern for section in sections for pattern in section.files]
                wanted = f"its patterns are {', '.join(patterns)}" if patterns else f"it has no [[{family}]] at all"
                raise refuse(
                    family,
                    f"no section of the mapping {mapping.name} reads {source.label}; {wanted}",
                    file=source.label,
                )
            digest = source.digest or _digest(source)
            for section in taking:
                plan.jobs.append(Job(section, source, len(plan.jobs)))
                digests.append(f"{section.path}:{digest}")
    if not plan.jobs:
        raise ImportRefusedError("no file was given to import", reason="NOTHING_TO_IMPORT")
    needed = {join.table for job in plan.jobs for join in job.section.joins}
    for name in tables:
        if name not in mapping.tables:
            raise refuse(f"tables.{name}", f"the mapping {mapping.name} has no table of this name")
    for name in sorted(needed):
        path = tables.get(name) or _find_table(mapping.tables[name], plan)
        plan.tables[name] = path
        digests.append(f"tables.{name}:{_digest(Source(path.name, path))}")
    plan.fingerprint = hashlib.sha256("\n".join([digests[0], *sorted(digests[1:])]).encode()).hexdigest()
    return plan


def _find_table(table: LookupTable, plan: Plan) -> Path:
    """Look for a table's file beside the files that are imported."""
    folders = dict.fromkeys(job.source.path.parent for job in plan.jobs if job.source.path is not None)
    if plan.mapping.directory is not None:
        folders[plan.mapping.directory] = None
    for pattern in table.files:
        for folder in folders:
            found = sorted(path for path in folder.glob(pattern) if path.is_file())
            if found:
                return found[0]
    raise refuse(
        table.path,
        f"no file was given for the table {table.name!r}, and none of {', '.join(table.files) or '(no patterns)'}"
        " lies beside the imported files",
        table=table.name,
    )


def _digest(source: Source) -> str:
    if source.path is None:
        return source.digest
    digest = hashlib.sha256()
    try:
        with source.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ImportRefusedError(
            f"{source.path} cannot be read: {error}", reason="FILE_UNREADABLE", metadata={"file": str(source.path)}
        ) from error
    return digest.hexdigest()


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
) -> ImportReport:
    started_at = datetime.datetime.now(datetime.UTC)
    total = _read(connection, plan, tell, scratch)
    statements = _statements(connection, plan, now)
    _stage(connection, plan, statements, tell, total)
    mapping = plan.mapping
    connection.execute("begin")
    create_tables(connection)
    row = connection.execute("select coalesce(max(import_id), 0) + 1 from imports").fetchone()
    import_id = int(row[0]) if row else 1
    tell(Stage("deduplicate", 0, total))
    duplicates.mark_duplicates(connection, mapping.source)
    tell(Stage("sessions", 0, total))
    withdrawn = 0
    connection.execute("create or replace temp table withdrawn (row_id bigint, user_id varchar, record json)")
    if any(job.section.family == "events" for job in plan.jobs):
        withdrawn = sessions.refuse_bots(connection, import_id, mapping.events_per_hour_max)
        _keep_records(connection, plan)
        sessions.cut_sessions(connection, mapping.session_minutes)
    tell(Stage("write", 0, total))
    _write_events(connection, plan, import_id)
    catalogue.merge_items(connection, mapping)
    catalogue.merge_seen_items(
        connection, mapping, any(job.section.item_rules or job.section.item_attributes for job in plan.jobs)
    )
    catalogue.merge_users(connection, mapping)
    counts = _counts(connection, plan)
    _write_quarantine(connection, plan, import_id)
    report = _report(connection, plan, counts, import_id, withdrawn, started_at, started)
    connection.execute(
        "insert into imports values (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            import_id,
            plan.fingerprint,
            mapping.source,
            mapping.name,
            [job.source.label for job in plan.jobs],
            started_at.replace(tzinfo=None),
            datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
            report.to_json(),
        ],
    )
    connection.execute("commit")
    tell(Stage("write", total, total))
    return report


def _read(connection: duckdb.DuckDBPyConnection, plan: Plan, tell: Progress, scratch: Path) -> int:
    """Read every file once into a raw table; gives the number of records."""
    connection.execute("set preserve_insertion_order = true")
    read: dict[tuple[str, str], RawTable] = {}
    total = 0
    tell(Stage("read", 0, 0))
    for job in plan.jobs:
        form = job.section.file_format
        key = (str(job.source.path or job.source.label), repr(form))
        if key not in read:
            name = f"raw_{job.number}"
            if job.source.path is not None:
                with _named_section(job.section):
                    read[key] = raw.read(connection, job.source.path, form, name, scratch)
            else:
                read[key] = raw.read_frame(connection, job.source.reader, job.source.label, name)
        job.raw = read[key]
        total += job.raw.records
        tell(Stage("read", total, 0))
    tables: dict[str, RawTable] = {}
    for at, (name, path) in enumerate(plan.tables.items()):
        table = plan.mapping.tables[name]
        tables[name] = raw.read(connection, path, table.file_format, f"lookup_{at}", scratch)
    for job in plan.jobs:
        if job.raw is not None:
            job.columns = Columns(
                connection,
                job.raw,
                {join.table: tables[join.table] for join in job.section.joins},
                job.section.file_format.explode,
                job.section.file_format.explode_separator,
            )
            for join in job.section.joins:
                _make_unique(connection, plan.mapping.tables[join.table], tables, join.on, job)
    return total


class _named_section:  # noqa: N801 - reads as a phrase where it is used
    """Puts the section's path before the key of an error about its file format."""

    def __init__(self, section: Section) -> None:
        self._section = section

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MappingError) and not error.field.startswith(self._section.path):
            error.field = f"{self._section.path}.{error.field}"


def _make_unique(
    connection: duckdb.DuckDBPyConnection,
    table: LookupTable,
    tables: dict[str, RawTable],
    on: tuple[tuple[str, str], ...],
    job: Job,
) -> None:
    """A row may find one row at most; equal rows count as one, others by the table's rule."""
    found = tables[table.name]
    if job.columns is None:
        return
    keys = ", ".join(
        job.columns.cell(f"{table.name}.{theirs}", f"{table.path}").sql.replace(f'"j_{table.name}".', "")
        for _, theirs in on
    )
    connection.execute(f"create temp table {found.name}_u as select distinct on (row_values) * exclude (row_id, row_values) from (select *, rowid as row_id, to_json({found.name}) as row_values from {found.name}) order by row_values, row_id")
    row = connection.execute(
        f"select {keys}, count(*) from {found.name}_u group by all having count(*) > 1 order by count(*) desc, 1 limit 1"
    ).fetchone()
    if row is None:
        connection.execute(f"create or replace temp table {found.name} as select * from {found.name}_u")
    elif table.duplicates == "refuse":
        raise refuse(
            table.path,
            f"{found.file} has {row[-1]} different rows for {', '.join(map(str, row[:-1]))}, so that a join finds"
            " more than one; say duplicates = 'first' or 'last', or join on more columns",
            file=found.file,
        )
    else:
        order = "" if table.duplicates == "first" else " desc"
        connection.execute(
            f"create or replace temp table {found.name} as select * exclude (row_id, n) from (select *, rowid as row_id,"
            f" row_number() over (partition by {keys} order by rowid{order}) as n from {found.name}) where n = 1"
        )
    connection.execute(f"drop table {found.name}_u")


def _statements(
    connection: duckdb.DuckDBPyConnection, plan: Plan, now: datetime.datetime
) -> list[tuple[Job, str, str]]:
    """Write the statement of each job; refuses what the files do not have."""
    statements = []
    for job in plan.jobs:
        if job.columns is None:
            continue
        with _named_section(job.section):
            if job.section.family == "events":
                sql = cleaning.events_select(plan.mapping, job.section, job.columns, job.number, now)
                table = "staged"
            elif job.section.family == "items":
                sql = catalogue.items_select(plan.mapping, job.section, job.columns, job.number)
                table = "staged_items"
            else:
                sql = catalogue.users_select(job.section, job.columns, job.number)
                table = "staged_users"
        try:
            connection.execute(f"explain {sql}")
        except duckdb.Error as error:
            raise MappingError(
                f"the columns of {job.source.label} cannot be read as the mapping says: {error}",
                field=job.section.path,
                metadata={"file": job.source.label},
            ) from error
        statements.append((job, table, sql))
    return statements


def _stage(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    statements: list[tuple[Job, str, str]],
    tell: Progress,
    total: int,
) -> None:
    """Run the statements, and stage what could not be read at all."""
    connection.execute("set preserve_insertion_order = false")
    for table, columns in (
        ("staged", cleaning.STAGED_EVENTS),
        ("staged_items", catalogue.STAGED_ITEMS),
        ("staged_users", catalogue.STAGED_USERS),
    ):
        spec = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"create or replace temp table {table} ({spec})")
    done = 0
    for job, table, sql in statements:
        tell(Stage("clean", done, total))
        connection.execute(f"insert into {table} {sql}")
        if job.raw is not None and job.raw.malformed_count:
            connection.execute(
                f"""
                insert into {table} (file_number, row_number, code, value, record)
                select {job.number}, row_number, {REASONS["MALFORMED_ROW"]}, left(line, 1000),
                    json_object('line', line)::varchar
                from {job.raw.malformed}
                """
            )
        done += job.raw.records if job.raw is not None else 0
    tell(Stage("clean", done, total))


def _keep_records(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Give rows refused after cleaning (the bot rule) their raw record."""
    for job in plan.jobs:
        if job.raw is None or job.section.family != "events":
            continue
        connection.execute(
            f"""
            update staged set record = x.record
            from (
                select {job.raw.row_number_sql} as row_number, ({job.raw.record_sql})::varchar as record
                from (select rowid as rid, * from {job.raw.name}) r
            ) x
            where staged.code = {REASONS["BOT"]} and staged.file_number = {job.number}
                and x.row_number = staged.row_number
            """
        ) if _has_bots(connection, job.number) else None


def _has_bots(connection: duckdb.DuckDBPyConnection, number: int) -> bool:
    row = connection.execute(
        f"select count(*) from staged where code = {REASONS['BOT']} and file_number = {number}"
    ).fetchone()
    return bool(row and row[0])


def _write_events(connection: duckdb.DuckDBPyConnection, plan: Plan, import_id: int) -> None:
    if not any(job.section.family == "events" for job in plan.jobs):
        return
    given = {
        "source": literal(plan.mapping.source),
        "import_id": str(import_id),
        "session_id": "t.session_id",
    }
    columns = ", ".join(given.get(name, f"s.{name}") for name in EVENT_COLUMNS)
    # Stored events first: the rows that follow get new rowids, which the timeline does not know.
    connection.execute(
        """
        update events set session_id = t.session_id from timeline t
        where t.is_stored and t.row_id = events.rowid and events.session_id <> t.session_id
        """
    )
    connection.execute(
        f"""
        insert into events
        select {columns} from staged s join timeline t on not t.is_stored and t.row_id = s.rowid
        where s.code = 0
        """
    )


def _write_quarantine(connection: duckdb.DuckDBPyConnection, plan: Plan, import_id: int) -> None:
    names = ", ".join(f"({job.number}, {literal(job.source.label)})" for job in plan.jobs)
    reasons = ", ".join(f"({number}, {literal(name)})" for name, number in REASONS.items())
    for table in ("staged", "staged_items", "staged_users"):
        connection.execute(
            f"""
            insert into quarantine
            select {import_id}, f.name, s.row_number, r.name, s.field, s.value, s.record
            from {table} s
            join (values {names}) f(number, name) on f.number = s.file_number
            join (values {reasons}) r(code, name) on r.code = s.code
            order by s.file_number, s.row_number
            """
        )


def _counts(connection: duckdb.DuckDBPyConnection, plan: Plan) -> list[FileCounts]:
    """Count the rows of each job by what became of them; they must add up."""
    found: dict[int, dict[int, int]] = {}
    for table in ("staged", "staged_items", "staged_users"):
        for number, code, count in connection.execute(
            f"select file_number, code, count(*) from {table} group by all"
        ).fetchall():
            found.setdefault(number, {})[code] = count
    names = {number: name for name, number in REASONS.items()}
    counted = []
    for job in plan.jobs:
        codes = found.get(job.number, {})
        records = job.raw.records if job.raw is not None else 0
        counts = Counts(
            records_read=records,
            rows_read=sum(codes.values()),
            accepted=codes.get(0, 0),
            duplicates=codes.get(cleaning.DUPLICATE, 0),
            skipped=codes.get(cleaning.SKIPPED, 0),
            refused={names[code]: count for code, count in sorted(codes.items()) if code in names},
        )
        if counts.rows_read < records or (counts.rows_read != records and not job.section.file_format.explode):
            raise InternalError(
                f"{job.source.label} has {records} records, but {counts.rows_read} rows were counted",
                reason="ROWS_LOST",
            )
        counted.append(FileCounts(job.source.label, job.section.family, job.section.path, counts))
    return counted


def _report(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    files: list[FileCounts],
    import_id: int,
    withdrawn: int,
    started_at: datetime.datetime,
    started: float,
) -> ImportReport:
    totals = {family: Counts() for family in _FAMILIES}
    for each in files:
        totals[each.family] = totals[each.family].plus(each.counts)
    names = connection.execute(
        "select event_name, count(*) from staged where code = 0 group by 1 order by 2 desc, 1"
    ).fetchall()
    summary = connection.execute(
        """
        select approx_count_distinct(user_id), 0, min(event_at)::varchar, max(event_at)::varchar
        from staged where code = 0
        """
    ).fetchone()
    distinct = connection.execute(
        """
        select (select count(distinct user_id) from staged where code = 0),
            (select count(distinct item_id) from staged where code = 0),
            (select count(distinct session_id) from timeline where not is_stored)
        """
        if any(job.section.family == "events" for job in plan.jobs)
        else "select 0, 0, 0"
    ).fetchone()
    return ImportReport(
        import_id=import_id,
        source=plan.mapping.source,
        mapping=plan.mapping.name,
        fingerprint=plan.fingerprint,
        was_imported_before=False,
        started_at=started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        finished_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(time.monotonic() - started, 3),
        files=tuple(files),
        event_counts=totals["events"],
        item_counts=totals["items"],
        user_counts=totals["users"],
        event_names={str(name): int(count) for name, count in names},
        users=int(distinct[0]) if distinct else 0,
        items=int(distinct[1]) if distinct else 0,
        sessions=int(distinct[2]) if distinct else 0,
        first_event_at=summary[2] if summary else None,
        last_event_at=summary[3] if summary else None,
        withdrawn=withdrawn,
        conflicting_ids=duplicates.count_conflicts(connection, plan.mapping.source),
        samples=_samples(connection, plan),
    )


def _samples(connection: duckdb.DuckDBPyConnection, plan: Plan) -> tuple[dict[str, str], ...]:
    """One refused row for each reason, so that the report shows what a reader would look up first."""
    names = {number: name for name, number in REASONS.items()}
    labels = {job.number: job.source.label for job in plan.jobs}
    samples: dict[str, dict[str, str]] = {}
    for table in ("staged", "staged_items", "staged_users"):
        rows = connection.execute(
            f"""
            select code, file_number, row_number, field, value from {table}
            where code not in (0, {cleaning.DUPLICATE}, {cleaning.SKIPPED})
            qualify row_number() over (partition by code order by file_number, row_number) = 1 order by code
            """
        ).fetchall()
        for code, number, row_number, name, value in rows:
            samples.setdefault(
                names[code],
                {
                    "reason": names[code],
                    "file": labels[number],
                    "row_number": str(row_number),
                    "field": name or "the row",
                    "value": (value or "")[:80],
                },
            )
    return tuple(samples.values())


