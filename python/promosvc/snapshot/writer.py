"""Writes a snapshot: aside, fsynced, renamed into place, verified. Nothing half-written ever has an id.

A process that dies while it writes leaves a `.building-*` directory, which nobody reads; a later write
removes those that are older than a day.
"""

import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from promosvc.errors import IoError, SnapshotError
from promosvc.snapshot.content import SnapshotContent
from promosvc.snapshot.manifest import canonical_json, manifest_bytes, snapshot_id
from promosvc.snapshot.shelf import BUILDING_PREFIX, verify
from promosvc.snapshot.tables import tables, to_bytes

ABANDONED_SECONDS = 86_400


def write(content: SnapshotContent, root: Path | str) -> str:
    """Write a snapshot below `root` and return its id; writing the same content again changes nothing.

    Args:
        content: what it holds.
        root: the directory of snapshots; made if there is none.

    Raises:
        InvalidArgumentError: the content does not fit the format; nothing is written.
        SnapshotError: the engine's reader refuses what was written; it is removed again.
        IoError: a file could not be written; what was written is removed again.
    """
    root = Path(root)
    batches = tables(content)
    building = root / f"{BUILDING_PREFIX}{secrets.token_hex(8)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(root)
        (building / "features").mkdir(parents=True)
        files: dict[str, dict[str, Any]] = {}
        for file, batch in batches.items():
            data = memoryview(to_bytes(batch))
            files[file] = _write_file(building / file, data, batch.num_rows)
        blend = canonical_json(content.blend) + b"\n"
        files["blend.json"] = _write_file(building / "blend.json", memoryview(blend), 0)
        schemas = {file: batch.schema for file, batch in batches.items()}
        manifest = manifest_bytes(content, schemas, files)
        _write_file(building / "manifest.json", memoryview(manifest), 0)
        if not content.features:
            (building / "features").rmdir()
        else:
            sync_directory(building / "features")
        sync_directory(building)
        id_ = snapshot_id(content.watermark_at_us, manifest)
        _move_into_place(building, root / id_)
    except OSError as error:
        raise IoError(f"{error.filename or building}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return id_


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_into_place(building: Path, final: Path) -> None:
    if final.exists():
        try:
            verify(final.parent, final.name)
            return
        except SnapshotError:
            # The same content was written before and has been damaged since: the fresh one takes its place.
            damaged = building.with_name(f"{building.name}-damaged")
            final.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
    building.rename(final)
    sync_directory(final.parent)
    try:
        verify(final.parent, final.name)
    except BaseException:
        shutil.rmtree(final, ignore_errors=True)
        raise


def _write_file(path: Path, data: memoryview, rows: int) -> dict[str, Any]:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": data.nbytes, "sha256": hashlib.sha256(data).hexdigest(), "rows": rows}


def _remove_abandoned(root: Path) -> None:
    for path in root.glob(f"{BUILDING_PREFIX}*"):
        if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
