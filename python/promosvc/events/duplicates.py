"""Finds rows that say again what was said before.

An event with an id is a duplicate if its source gave that id to an event of the same name before: ids of
a table of orders and of a table of views often begin with 1 both. An event without one has the
id 'c:' + hash of its content + ':' + n, where n counts the lines of equal content in one file: two
equal lines of one file are two events, but the same line in another file is the same event.

Only ids that occur more than once are looked at in order, so that a file without repetition costs one
hash aggregation of 8-byte keys and nothing else.
"""

from __future__ import annotations

import duckdb

from promosvc.events.layers import DUPLICATE
from promosvc.events.quoting import literal


def mark_duplicates(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Number equal contents and give later rows of an id, and ids of the database, the duplicate's code.

    `source` is SQL over `staged`: one text for an import, a column where rows of many sources came together.
    """
    if _find_repeated(connection):
        connection.execute(
            """
            update staged set event_id = left(event_id, -1) || o.occurrence
            from (
                select rowid as row_id, row_number() over (
                    partition by file_number, event_id order by row_number, element) as occurrence
                from staged
                where code = 0 and not has_own_id and hash(event_id) in (select id_hash from repeated)
            ) o
            where o.row_id = staged.rowid and o.occurrence > 1
            """
        )
        if _find_repeated(connection):
            connection.execute(
                f"""
                update staged set code = {DUPLICATE}
                from (
                    select rowid as row_id, row_number() over same as occurrence
                    from staged
                    where code = 0 and hash(event_id) in (select id_hash from repeated)
                    window same as (
                        partition by event_id, event_name, {source}
                        order by file_number, row_number, element)
                ) o
                where o.row_id = staged.rowid and o.occurrence > 1
                """
            )
    connection.execute(
        f"""
        update staged set code = {DUPLICATE}
        from events
        where staged.code = 0 and events.event_id = staged.event_id
            and events.event_name = staged.event_name and events.source = {source}
        """
    )


def count_conflicts(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    """Count duplicates by id whose event in the database is of another user, item or time."""
    found = f"from staged s where s.code = {DUPLICATE} and s.has_own_id"
    if not connection.execute(f"select 1 {found} limit 1").fetchone():
        return 0
    row = connection.execute(
        f"""
        select count(*) from staged s
        join events e on e.event_id = s.event_id and e.event_name = s.event_name
            and e.source = {literal(source)}
        where s.code = {DUPLICATE} and s.has_own_id and (
            e.user_id is distinct from s.user_id or e.item_id is distinct from s.item_id
            or e.event_at is distinct from s.event_at)
        """
    ).fetchone()
    return int(row[0]) if row else 0


def _find_repeated(connection: duckdb.DuckDBPyConnection) -> bool:
    connection.execute(
        """
        create or replace temp table repeated as
        select hash(event_id) as id_hash from staged where code = 0 group by all having count(*) > 1
        """
    )
    row = connection.execute("select count(*) from repeated").fetchone()
    return bool(row and row[0])
