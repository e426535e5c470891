"""The offline composition root: the only room that knows database, features, models, evaluation and snapshot.

    database ─► catalogue, users, histories ─► models ────────────────► snapshot ─► CURRENT
        │                    └─ before the validation cut ─► engine ─► weights ┘
        └─► feature views ─────────────────────────────────────────────┘

Verbs of the command line call this room and nothing behind it.
"""

from promosvc.events import ImportReport, import_completejourney, import_files, read_report, read_reports
from promosvc.pipeline.build import BuildReport, build
from promosvc.pipeline.evaluate import evaluate
from promosvc.pipeline.features import features
from promosvc.pipeline.learn import BuildParameters, Progress

__all__ = [
    "BuildParameters",
    "BuildReport",
    "ImportReport",
    "Progress",
    "build",
    "evaluate",
    "features",
    "import_completejourney",
    "import_files",
    "read_report",
    "read_reports",
]
