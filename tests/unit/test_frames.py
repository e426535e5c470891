"""Frames go in and come out as the same kind; pandas and polars load only for who gives them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from events_helpers import NOW, rows

from promosvc import frames
from promosvc.errors import InvalidArgumentError, MappingError
from promosvc.events import import_frame

DATA: dict[str, list[Any]] = {"user": ["ann", "bob"], "n": [1, None]}
COLUMNS = {
    "event_name": {"value": "view_item"},
    "user_id": "user",
    "item_id": "n",
    "event_at": {"value": "2024-06-01"},
}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_comes_back_as_its_kind(make: Any) -> None:
    frame = make(DATA)
    table = frames.to_arrow(frame)
    assert table["user"].to_pylist() == ["ann", "bob"]
    assert table.column_names == ["user", "n"]
    assert type(frames.like(table, frame)) is type(frame)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_is_imported_like_a_file(tmp_path: Path, make: Any) -> None:
    database = tmp_path / "events.duckdb"
    report = import_frame(database, make(DATA), COLUMNS, source="shop", now=NOW)
    assert report.event_counts.accepted == 1
    assert report.event_counts.refused == {"MISSING_ITEM": 1}
    assert rows(tmp_path, "select user_id, item_id, source from events") == [("ann", "1", "shop")]
    assert import_frame(database, make(DATA), COLUMNS, source="shop", now=NOW).was_imported_before
    users = import_frame(database, make(DATA), {"user_id": "user"}, family="users", now=NOW)
    assert users.user_counts.accepted == 2


def test_chunks_do_not_matter_to_the_digest() -> None:
    table = pa.table(DATA)
    assert frames.digest(table) == frames.digest(pa.concat_tables([table.slice(0, 1), table.slice(1)]))
    assert frames.digest(table) != frames.digest(table.slice(1))


def test_a_named_index_is_a_column_an_unnamed_one_is_not() -> None:
    named = pd.DataFrame({"n": [1]}, index=pd.Index(["ann"], name="user"))
    assert frames.to_arrow(named).column_names == ["user", "n"]
    assert frames.to_arrow(pd.DataFrame({"n": [1, 2]})[1:]).column_names == ["n"]


def test_what_is_no_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="list is no frame"):
        frames.to_arrow([1])
    with pytest.raises(InvalidArgumentError, match="'spark' is no kind of frame"):
        frames.from_arrow(pa.table(DATA), "spark")
    with pytest.raises(MappingError, match="'basket' is not one of events, items, users"):
        import_frame(tmp_path / "events.duckdb", pa.table(DATA), COLUMNS, family="basket")
    with pytest.raises(MappingError, match="there is no column 'user' in frame"):
        import_frame(tmp_path / "events.duckdb", pa.table({"x": [1]}), COLUMNS)


def test_neither_pandas_nor_polars_is_loaded() -> None:
    script = "import sys, promosvc.frames, promosvc.events; print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "'promosvc.events'" in run.stdout
    assert "'pandas'" not in run.stdout
    assert "'polars'" not in run.stdout
