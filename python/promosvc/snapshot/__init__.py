"""Writes, publishes and rolls back snapshots (docs/snapshot-format.md).

`write` builds aside, fsyncs, renames, verifies; `publish` and `rollback` move the one line of
`CURRENT`; `prune` removes old ones; `list_snapshots` and `verify` look; `read` gives what a later snapshot may
carry over. What is verified is verified by the engine's own reader, so
that what passes here is what a server takes.
"""

from promosvc.snapshot.content import (
    FeatureRows,
    HistoryLists,
    Model,
    NeighbourLists,
    PopularLists,
    SnapshotContent,
)
from promosvc.snapshot.reader import Carried, read
from promosvc.snapshot.shelf import (
    SnapshotInfo,
    current,
    list_snapshots,
    prune,
    publications,
    publish,
    rollback,
    snapshot_path,
    verify,
)
from promosvc.snapshot.writer import write

__all__ = [
    "Carried",
    "FeatureRows",
    "HistoryLists",
    "Model",
    "NeighbourLists",
    "PopularLists",
    "SnapshotContent",
    "SnapshotInfo",
    "current",
    "list_snapshots",
    "prune",
    "publications",
    "publish",
    "read",
    "rollback",
    "snapshot_path",
    "verify",
    "write",
]
