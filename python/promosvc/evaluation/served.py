"""Asks the engine that a server would run, in batches: Arrow in, Arrow out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from promosvc import _core
from promosvc.evaluation.metrics import Lists
from promosvc.evaluation.weights import SOURCES, SourceScores

USERS_AT_ONCE = 500


def open_engine(snapshot: Path) -> _core.Engine:
    """The served engine on a snapshot's directory.

    Raises:
        SnapshotError: the snapshot is damaged.
    """
    return _core.Engine(str(snapshot))


def recommend(
    engine: _core.Engine,
    users: pa.Array,
    catalogue: pa.Array,
    *,
    hide_seen: bool,
    seen_event_names: Sequence[str],
    now_us: int,
    sources: Sequence[str] = (),
    page_size: int = 100,
) -> Lists:
    """The lists of all users.

    Args:
        engine: from `open_engine`.
        users: ids; unknown ones are answered as a server would.
        catalogue: item ids of the snapshot, in its order.
        hide_seen: whether what the user chose before is hidden.
        seen_event_names: the events that make an item seen.
        now_us: the clock.
        sources: only these; none means the blend as it is served, fallback and all.
        page_size: length of a list, at most 100.
    """
    parts = []
    for start in range(0, len(users), USERS_AT_ONCE):
        answer = pa.table(
            engine.recommend(
                pa.table({"user_id": users.slice(start, USERS_AT_ONCE)}),
                page_size=page_size,
                hide_seen=hide_seen,
                seen_event_names=list(seen_event_names),
                sources=list(sources),
                weights=None,
                category_cap=0,
                now_us=now_us,
            )
        )
        parts.append((start, answer))
    return Lists(
        user=_joined([_numbers(part["user_row"]) + start for start, part in parts], np.int64),
        item=_joined([_rows(part["item_id"], catalogue) for _, part in parts], np.int64),
        score=_joined([part["score"].to_numpy() for _, part in parts], np.float32),
    )


def source_scores(
    engine: _core.Engine,
    users: pa.Array,
    catalogue: pa.Array,
    *,
    hide_seen: bool,
    seen_event_names: Sequence[str],
    now_us: int,
    candidates: int = 200,
) -> SourceScores:
    """Each source's normalised scores for the union of the sources' best candidates of each user.

    Args:
        engine: from `open_engine`.
        users: ids.
        catalogue: item ids of the snapshot, in its order.
        hide_seen: whether what the user chose before is hidden.
        seen_event_names: the events that make an item seen.
        now_us: the clock.
        candidates: how many of each source.
    """
    parts = []
    for start in range(0, len(users), USERS_AT_ONCE):
        answer = pa.table(
            engine.source_scores(
                pa.table({"user_id": users.slice(start, USERS_AT_ONCE)}),
                hide_seen=hide_seen,
                seen_event_names=list(seen_event_names),
                sources=[],
                candidates=candidates,
                now_us=now_us,
            )
        )
        parts.append((start, answer))
    columns = [_joined([part[source].to_numpy() for _, part in parts], np.float32) for source in SOURCES]
    return SourceScores(
        user=_joined([_numbers(part["user_row"]) + start for start, part in parts], np.int64),
        item=_joined([_rows(part["item_id"], catalogue) for _, part in parts], np.int64),
        scores=np.stack(columns, axis=1),
    )


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.to_numpy().astype(np.int64)


def _rows(item_ids: pa.ChunkedArray, catalogue: pa.Array) -> Any:
    return pc.index_in(item_ids, value_set=catalogue).to_numpy().astype(np.int64)


def _joined(parts: Sequence[Any], dtype: Any) -> Any:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype, copy=False)
