"""Cuts each user's events into sessions and takes machines out.

A session ends where the next event of the user comes more than the gap later. Its id is a function of
user and first event, `md5(user)[0..64 bits] xor (first event in µs + 2^60)`, so that importing a year
at once or day by day gives the same ids: within a user it is injective, and two users collide with
probability n²/2^65. A later import can join two sessions or begin one earlier, so all events of the
users it touches are cut anew and the ids that change are written back.

The bot rule counts a user's events in clock hours (UTC), over all imports. All events of an hour over
the limit are a machine's: those of this import are refused, those of earlier imports are withdrawn into
the quarantine, and the hour stays closed for later imports. So the order of imports does not matter.
"""

from __future__ import annotations

import duckdb

from promosvc.columns import EVENT_COLUMNS, REASONS


def refuse_bots(connection: duckdb.DuckDBPyConnection, import_id: int, events_per_hour_max: int) -> int:
    """Refuse machine-made hours; gives how many events of earlier imports were withdrawn."""
    connection.execute("create or replace temp table withdrawn (row_id bigint, user_id varchar, record json)")
    if events_per_hour_max == 0:
        return 0
    connection.execute(
        f"""
        create or replace temp table busy_hours as
        with staged_hours as (
            select user_id, date_trunc('hour', event_at) as hour_at, count(*) as events
            from staged where code = 0 group by all
        ), stored_hours as (
            select e.user_id, date_trunc('hour', e.event_at) as hour_at, count(*) as events
            from events e
            where exists (
                select 1 from staged_hours s
                where s.user_id = e.user_id and s.hour_at = date_trunc('hour', e.event_at))
            group by all
        )
        select user_id, hour_at from staged_hours left join stored_hours using (user_id, hour_at)
        where staged_hours.events + coalesce(stored_hours.events, 0) > {events_per_hour_max}
        union
        select user_id, hour_at from staged_hours join bot_hours using (user_id, hour_at)
        """
    )
    if not _count(connection, "busy_hours"):
        return 0
    connection.execute(
        f"""
        update staged set code = {REASONS["BOT"]}
        from busy_hours b
        where staged.code = 0 and b.user_id = staged.user_id
            and b.hour_at = date_trunc('hour', staged.event_at)
        """
    )
    connection.execute("insert into bot_hours select * from busy_hours except select * from bot_hours")
    record = ", ".join(f"'{name}', e.{name}" for name in EVENT_COLUMNS)
    busy = """
        from busy_hours b where b.user_id = e.user_id and b.hour_at = date_trunc('hour', e.event_at)
    """
    connection.execute(
        f"""
        insert into withdrawn
        select e.rowid as row_id, e.user_id, json_object({record}) as record from events e
        where exists (select 1 {busy})
        """
    )
    connection.execute(
        f"""
        insert into quarantine
        select {import_id}, '(an earlier import)', null, 'BOT', 'user_id', user_id, record from withdrawn
        """
    )
    connection.execute("delete from events where rowid in (select row_id from withdrawn)")
    return _count(connection, "withdrawn")


def cut_sessions(connection: duckdb.DuckDBPyConnection, session_minutes: int) -> None:
    """Make `moments`: the session_id of each (user_id, event_at) of the users that this import touches.

    The lines of a basket share their moment, so that a shop's year has ten times fewer moments than rows,
    and only moments are sorted.
    """
    connection.execute(
        f"""
        create or replace temp table moments as
        with touched as (
            select user_id from staged where code = 0 union select user_id from withdrawn
        ), seen as (
            select user_id, event_at from staged where code = 0
            union
            select user_id, event_at from events where user_id in (select user_id from touched)
        ), gaps as (
            select *, coalesce(
                event_at - lag(event_at) over by_user > interval {session_minutes} minute, true) as begins
            from seen
            window by_user as (partition by user_id order by event_at)
        ), starts as (
            select user_id, event_at, max(case when begins then event_at end) over (
                partition by user_id order by event_at rows unbounded preceding) as start_at
            from gaps
        )
        select user_id, event_at,
            xor(md5_number_lower(user_id), (epoch_us(start_at) + {1 << 60})::ubigint) as session_id
        from starts
        """
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
