"""Makes the keys of lookup tables unique, so that a join never multiplies rows."""

from __future__ import annotations

import duckdb

from promosvc.events.mapping import Join, LookupTable
from promosvc.events.resolve import Columns
from promosvc.events.toml import refuse


def make_unique(
    connection: duckdb.DuckDBPyConnection, table: LookupTable, join: Join, columns: Columns
) -> None:
    """Leave one row for each key: equal rows count as one, different ones by the table's rule."""
    raw = columns.joined[table.name]
    alias = f'"j_{table.name}".'
    cells = [columns.cell(f"{table.name}.{theirs}", f"{join.path}.on") for _, theirs in join.on]
    keys = ", ".join(cell.sql.replace(alias, "") for cell in cells)
    first = "desc" if table.duplicates == "last" else "asc"
    if table.duplicates == "refuse":
        row = connection.execute(
            f"""
            select {keys}, count(distinct to_json({raw.name})::varchar) from {raw.name}
            group by all having count(distinct to_json({raw.name})::varchar) > 1 order by all limit 1
            """
        ).fetchone()
        if row is not None:
            key = ", ".join(f"{theirs} = {value}" for (_, theirs), value in zip(join.on, row, strict=False))
            raise refuse(
                table.path,
                f"{raw.file} has {row[-1]} different rows with {key}, and a join must find one;"
                " say duplicates = 'first' or 'last', or join on more columns",
                file=raw.file,
            )
    connection.execute(
        f"""
        create or replace temp table {raw.name} as select * exclude (occurrence) from (
            select *, row_number() over (partition by {keys} order by rowid {first}) as occurrence
            from {raw.name}
        ) where occurrence = 1
        """
    )
