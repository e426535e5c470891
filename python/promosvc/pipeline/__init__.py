"""The offline composition root: the only room that knows database, features, models, evaluation and snapshot.

    database ─► catalogue, users, histories ─► models ────────────────► snapshot ─► CURRENT
        │                    └─ before the validation cut ─► engine ─► weights ┘
        └─► feature views ─────────────────────────────────────────────┘

    event log ─► database                                              tail
    published models + all that is counted ─► snapshot ─► CURRENT      refresh

Verbs of the command line call this room and nothing behind it.
"""

from promosvc.events import (
    ImportReport,
    Mapping,
    Recorder,
    Stage,
    Verdict,
    import_completejourney,
    import_files,
    read_report,
    read_reports,
)
from promosvc.features import feature_views
from promosvc.pipeline.build import BuildReport, build
from promosvc.pipeline.evaluate import evaluate
from promosvc.pipeline.features import features, write_features
from promosvc.pipeline.learn import BuildParameters, Progress
from promosvc.pipeline.refresh import RefreshReport, refresh
from promosvc.pipeline.tail import TailReport, tail
from promosvc.snapshot import SnapshotInfo, list_snapshots
from promosvc.snapshot import current as current_snapshot
from promosvc.snapshot import prune as prune_snapshots
from promosvc.snapshot import publish as publish_snapshot
from promosvc.snapshot import rollback as rollback_snapshot
from promosvc.snapshot import verify as verify_snapshot

__all__ = [
    "BuildParameters",
    "BuildReport",
    "ImportReport",
    "Mapping",
    "Progress",
    "Recorder",
    "RefreshReport",
    "SnapshotInfo",
    "Stage",
    "TailReport",
    "Verdict",
    "build",
    "current_snapshot",
    "evaluate",
    "feature_views",
    "features",
    "import_completejourney",
    "import_files",
    "list_snapshots",
    "prune_snapshots",
    "publish_snapshot",
    "read_report",
    "read_reports",
    "refresh",
    "rollback_snapshot",
    "tail",
    "verify_snapshot",
    "write_features",
]
