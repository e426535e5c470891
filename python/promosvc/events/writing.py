"""Writes what an import found: events, quarantine, report. All within the caller's transaction."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Final

import duckdb

from promosvc.columns import EVENT_COLUMNS, REASONS
from promosvc.errors import InternalError
from promosvc.events import duplicates
from promosvc.events.layers import DUPLICATE, REFUSED, SKIPPED
from promosvc.events.plan import FAMILIES, Job, Plan
from promosvc.events.quoting import literal
from promosvc.events.report import Counts, FileCounts, ImportReport

_VALUE_CHARACTERS_MAX: Final = 1_000
_SAMPLE_CHARACTERS_MAX: Final = 80
_NAMES: Final = {number: name for name, number in REASONS.items()}


def next_import_id(connection: duckdb.DuckDBPyConnection) -> int:
    """The id of this import: one more than the last."""
    row = connection.execute("select coalesce(max(import_id), 0) + 1 from imports").fetchone()
    return int(row[0]) if row else 1


def write_events(connection: duckdb.DuckDBPyConnection, given: Mapping[str, str]) -> None:
    """Write accepted rows with their sessions, and the sessions of stored events that changed.

    `given` is SQL over the staged rows `s`, by column, for what `staged` does not hold under that name.
    """
    connection.execute(
        """
        update events set session_id = m.session_id from moments m
        where m.user_id = events.user_id and m.event_at = events.event_at
            and m.session_id <> events.session_id
        """
    )
    made = {"session_id": "m.session_id", **given}
    columns = ", ".join(made.get(name, f"s.{name}") for name in EVENT_COLUMNS)
    connection.execute(
        f"""
        insert into events
        select {columns} from staged s join moments m on m.user_id = s.user_id and m.event_at = s.event_at
        where s.code = 0
        """
    )


def write_quarantine(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    details: dict[int, str],
    import_id: int,
    *,
    has_verdicts: bool = False,
) -> None:
    """Write each refused row with its reason, field, text and raw record.

    With `has_verdicts` there is a table `verdicts` of what a running server refused.
    """
    reasons = (
        "case s.code " + " ".join(f"when {code} then '{name}'" for code, name in _NAMES.items()) + " end"
    )
    for job in plan.jobs:
        if not _count_refused(connection, job):
            continue
        label = literal(job.source.label)
        is_bot = f"s.code = {REASONS['BOT']}"
        user = "s.user_id" if job.table != "staged_items" else "null"
        # What a running server refused, no rule of the mapping did.
        said = (
            "(select any_value(v.field) from verdicts v where v.row_id = s.rowid)"
            if has_verdicts and job.table == "staged"
            else "null"
        )
        connection.execute(
            f"""
            insert into quarantine
            select {import_id}, {label}, s.row_number, {reasons},
                case when {is_bot} then 'user_id' else coalesce(d.field, {said}) end,
                left(case when {is_bot} then {user} else d.value end, {_VALUE_CHARACTERS_MAX}), d.record
            from {job.table} s
            join ({details[job.number]}) d
                on d.row_number = s.row_number and d.element is not distinct from s.element
            where s.file_number = {job.number} and s.code {REFUSED}
            order by s.row_number, s.element
            """
        )
        if job.raw is not None and job.raw.malformed_count:
            connection.execute(
                f"""
                insert into quarantine
                select {import_id}, {label}, row_number, 'MALFORMED_ROW', '',
                    left(line, {_VALUE_CHARACTERS_MAX}),
                    json_object('line', line)
                from {job.raw.malformed} order by row_number
                """
            )


def make_report(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    import_id: int,
    withdrawn: int,
    started_at: datetime.datetime,
    started: float,
) -> ImportReport:
    """Count what became of every row; the counts must add up to the rows read."""
    files = [_count_job(connection, job) for job in plan.jobs]
    totals = {family: Counts() for family in FAMILIES}
    for each in files:
        totals[each.family] = totals[each.family].plus(each.counts)
    names = connection.execute(
        "select event_name, count(*) from staged where code = 0 group by 1 order by 2 desc, 1"
    ).fetchall()
    summary = connection.execute(
        """
        select count(distinct user_id), count(distinct item_id),
            min(event_at)::varchar, max(event_at)::varchar,
            (select count(distinct m.session_id) from moments m
                semi join (select user_id, event_at from staged where code = 0) s using (user_id, event_at))
        from staged where code = 0
        """
    ).fetchone() or (0, 0, None, None, 0)
    finished_at = datetime.datetime.now(datetime.UTC)
    return ImportReport(
        import_id=import_id,
        source=plan.mapping.source,
        mapping=plan.mapping.name,
        fingerprint=plan.fingerprint,
        was_imported_before=False,
        started_at=started_at.isoformat(timespec="seconds"),
        finished_at=finished_at.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 3),
        files=tuple(files),
        event_counts=totals["events"],
        item_counts=totals["items"],
        user_counts=totals["users"],
        event_names={str(name): int(count) for name, count in names},
        users=int(summary[0]),
        items=int(summary[1]),
        sessions=int(summary[4]),
        first_event_at=summary[2],
        last_event_at=summary[3],
        withdrawn=withdrawn,
        conflicting_ids=duplicates.count_conflicts(connection, plan.mapping.source),
        samples=_samples(connection, import_id),
    )


def write_report(
    connection: duckdb.DuckDBPyConnection, plan: Plan, report: ImportReport, started_at: datetime.datetime
) -> None:
    """Remember the import and its report."""
    connection.execute(
        "insert into imports values (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            report.import_id,
            plan.fingerprint,
            plan.mapping.source,
            plan.mapping.name,
            [job.source.label for job in plan.jobs],
            started_at.replace(tzinfo=None),
            datetime.datetime.fromisoformat(report.finished_at).replace(tzinfo=None),
            report.to_json(),
        ],
    )


def _count_refused(connection: duckdb.DuckDBPyConnection, job: Job) -> int:
    row = connection.execute(
        f"select count(*) from {job.table} where file_number = {job.number} and code {REFUSED}"
    ).fetchone()
    return int(row[0]) if row else 0


def _count_job(connection: duckdb.DuckDBPyConnection, job: Job) -> FileCounts:
    rows = connection.execute(
        f"select code, count(*) from {job.table} where file_number = {job.number} group by code order by code"
    ).fetchall()
    codes = {int(code): int(count) for code, count in rows}
    records = job.raw.records if job.raw is not None else 0
    counts = Counts(
        records_read=records,
        rows_read=sum(codes.values()),
        accepted=codes.get(0, 0),
        duplicates=codes.get(DUPLICATE, 0),
        skipped=codes.get(SKIPPED, 0),
        refused={_NAMES[code]: count for code, count in codes.items() if code in _NAMES},
    )
    if counts.rows_read < records or (counts.rows_read > records and not job.section.file_format.explode):
        raise InternalError(
            f"{job.source.label} has {records} records, but {counts.rows_read} rows were counted",
            reason="ROWS_LOST",
        )
    return FileCounts(job.source.label, job.section.family, job.section.path, counts)


def _samples(connection: duckdb.DuckDBPyConnection, import_id: int) -> tuple[dict[str, str], ...]:
    """One refused row for each reason, so that the report shows what a reader would look up first."""
    rows = connection.execute(
        f"""
        select reason, file, row_number, field, value from quarantine where import_id = {import_id}
        qualify row_number() over (partition by reason order by file, row_number, field, value) = 1
        order by reason
        """
    ).fetchall()
    return tuple(
        {
            "reason": str(reason),
            "file": str(file),
            "row_number": "" if row_number is None else str(row_number),
            "field": name or "",
            "value": (value or "")[:_SAMPLE_CHARACTERS_MAX],
        }
        for reason, file, row_number, name, value in rows
    )
