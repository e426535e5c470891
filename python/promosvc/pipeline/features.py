"""Feature frames from a database, as of a time."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from pyarrow import parquet

from promosvc.errors import IoError
from promosvc.events import open_database
from promosvc.features import EncodedView, compute, encode, feature_views, select_views
from promosvc.frames import FrameKind, from_arrow
from promosvc.pipeline.learn import Progress
from promosvc.pipeline.past import cut_at


def features(
    database: Path | str,
    as_of: datetime | None = None,
    views: Iterable[str] = (),
    kind: FrameKind = "pandas",
) -> dict[str, Any]:
    """Feature frames by view name: one row for each entity, keys first, then `event_at`, then the features.

    Args:
        database: an event database.
        as_of: only events strictly before it are looked at; without time zone it is UTC. Without it, all
            events are.
        views: names of views; none means all.
        kind: "pandas", "polars" or "arrow".

    Raises:
        NotFoundError: a view that there is not.
        FailedPreconditionError: there is no event before `as_of`.
        DatabaseError, DatabaseBusyError: the database cannot be read.
    """
    chosen = select_views(views)
    with open_database(database, is_read_only=True) as connection:
        moment = cut_at(connection, as_of) if as_of is None else as_of
        return {view.name: from_arrow(compute(connection, view, moment), kind) for view in chosen}


def write_features(
    database: Path | str,
    folder: Path | str,
    as_of: datetime | None = None,
    views: Iterable[str] = (),
) -> dict[Path, int]:
    """Write feature frames as Parquet, one file for each view, and give each file's number of rows.

    Args and errors are those of `features`; `IoError` where a file cannot be written.
    """
    folder = Path(folder)
    written = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in features(database, as_of, views, kind="arrow").items():
            path = folder / f"{name}.parquet"
            # Whole or not at all: a reader never meets half a file.
            new = path.with_suffix(".new")
            try:
                parquet.write_table(frame, new)
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)
            written[path] = frame.num_rows
    except OSError as error:
        raise IoError(f"{folder} cannot be written: {error}", metadata={"file": str(folder)}) from error
    return written


def compute_views(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, progress: Progress
) -> list[EncodedView]:
    """All views as a snapshot holds them."""
    views, encoded = feature_views(), []
    for done, view in enumerate(views):
        progress("features", done, len(views))
        encoded.append(encode(view, compute(connection, view, as_of)))
    progress("features", len(views), len(views))
    return encoded
