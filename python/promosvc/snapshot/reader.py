"""Reads from a snapshot what a later one may carry over: models, blend, and the ids that their rows stand for.

It is verified by the engine's reader first, so that nothing damaged is carried on; what is read here is read
without doubts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from promosvc.errors import IoError
from promosvc.snapshot.content import Model, NeighbourLists
from promosvc.snapshot.shelf import snapshot_path, verify


@dataclass(frozen=True)
class Carried:
    """What a snapshot has that was learned, not counted."""

    snapshot_id: str
    watermark_at_us: int
    events_position: int
    seed: int
    library_versions: Mapping[str, str]
    item_ids: pa.Array
    """The items that rows and neighbours of `item_neighbours` stand for."""
    user_ids: pa.Array
    item_neighbours: NeighbourLists
    user_neighbours: NeighbourLists
    blend: Mapping[str, Any]
    models: tuple[Model, ...]
    """All models with their versions."""


def read(root: Path | str, snapshot_id: str) -> Carried:
    """Verify a snapshot and read what can be carried over from it.

    Raises:
        NotFoundError: there is no such snapshot.
        SnapshotError: it is damaged or of another format.
        IoError: a file cannot be read.
    """
    verify(root, snapshot_id)
    path = snapshot_path(root, snapshot_id)
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        return Carried(
            snapshot_id=snapshot_id,
            watermark_at_us=int(manifest["watermark_at_us"]),
            events_position=int(manifest["events_position"]),
            seed=int(manifest["seed"]),
            library_versions=manifest["library_versions"],
            item_ids=_batch(path / "items.arrow")["item_id"],
            user_ids=_batch(path / "users.arrow")["user_id"],
            item_neighbours=_neighbours(path / "item_neighbours.arrow"),
            user_neighbours=_neighbours(path / "user_neighbours.arrow"),
            blend=json.loads((path / "blend.json").read_bytes()),
            models=tuple(
                Model(model["name"], (), model["parameters"], model["version"])
                for model in manifest["models"]
            ),
        )
    except OSError as error:
        raise IoError(f"{error.filename or path}: {error.strerror or error}") from error


def _batch(file: Path) -> pa.RecordBatch:
    return pa.ipc.open_file(file.read_bytes()).get_batch(0)


def _neighbours(file: Path) -> NeighbourLists:
    batch = _batch(file)
    neighbour, similarity = batch["neighbour"], batch["similarity"]
    return NeighbourLists(
        _numbers(neighbour.offsets).astype(np.int64),
        _numbers(neighbour.values),
        _numbers(similarity.values),
    )


def _numbers(array: pa.Array) -> npt.NDArray[Any]:
    numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers
