"""What goes into a snapshot, as arrays.

Lists are compressed rows: entries of row r lie at `indptr[r]:indptr[r + 1]`. Orders and bounds are those of
docs/snapshot-format.md; the engine's reader checks them when the snapshot is verified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class HistoryLists:
    """Each user's past: one row for each user; by time descending, then item, then event."""

    events: Sequence[str]
    """Names; `event` is an index into them."""
    indptr: npt.NDArray[np.int64]
    item: npt.NDArray[np.uint32]
    event: npt.NDArray[np.uint8]
    last_at_us: npt.NDArray[np.int64]
    count: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class NeighbourLists:
    """Neighbours of each row, by similarity descending, then row."""

    indptr: npt.NDArray[np.int64]
    neighbour: npt.NDArray[np.uint32]
    similarity: npt.NDArray[np.float32]


@dataclass(frozen=True)
class PopularLists:
    """Popular items: one row for each window, by score descending, then item."""

    window_days: Sequence[int]
    indptr: npt.NDArray[np.int64]
    item: npt.NDArray[np.uint32]
    score: npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureRows:
    """One feature view; n rows of k features."""

    name: str
    entity: str
    """`user`, `item` or `user_category`."""
    ttl_seconds: int
    features: Sequence[tuple[str, str, Sequence[str]]]
    """Name, `number` or `category`, and the dictionary of a category."""
    entity_id: pa.Array
    category: pa.Array | None
    event_at_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    statuses: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Model:
    """A model of the manifest."""

    name: str
    files: Sequence[str]
    """Files of the snapshot that hold it; its version is made from their content and `parameters`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    """Kept as it is for a model that an earlier snapshot had; made anew where it is empty."""


@dataclass(frozen=True)
class SnapshotContent:
    """Everything that a snapshot holds."""

    watermark_at_us: int
    """Time of the newest event."""
    seed: int
    items: pa.Table
    """The columns of `items.arrow`."""
    users: pa.Table
    """The column of `users.arrow`."""
    history: HistoryLists
    item_neighbours: NeighbourLists
    user_neighbours: NeighbourLists
    popular: PopularLists
    features: Sequence[FeatureRows]
    blend: Mapping[str, Any]
    """The document of `blend.json`."""
    models: Sequence[Model]
    library_versions: Mapping[str, str]
    event_ids: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 2), np.uint64))
    """uint64[n, 2]: keys of imported events, ascending, unique."""
    events_position: int = 0
    """Everything of the event log before this position is in it, and nothing from it on."""
