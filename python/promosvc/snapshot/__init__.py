"""Writes, publishes and rolls back snapshots (docs/snapshot-format.md).

`write` builds aside, fsyncs, renames, verifies; `publish` and `rollback` move the one line of
`CURRENT`; `list_snapshots` and `verify` look. What is verified is verified by the engine's own reader, so
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
from promosvc.snapshot.shelf import (
    SnapshotInfo,
    current,
    list_snapshots,
    publications,
    publish,
    rollback,
    snapshot_path,
    verify,
)
from promosvc.snapshot.writer import write

__all__ = [
    "FeatureRows",
    "HistoryLists",
    "Model",
    "NeighbourLists",
    "PopularLists",
    "SnapshotContent",
    "SnapshotInfo",
    "current",
    "list_snapshots",
    "publications",
    "publish",
    "rollback",
    "snapshot_path",
    "verify",
    "write",
]
