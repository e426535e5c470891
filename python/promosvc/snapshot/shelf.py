"""The directory of snapshots: which there are, which is published, and the moving of `CURRENT`.

    CURRENT    one line, the published id; replaced by a rename, so that a reader sees the old or the new one
    HISTORY    one line for each publication: "<id> <RFC 3339 UTC>"

Whoever moves `CURRENT` holds a lock on the directory meanwhile.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promosvc import _core
from promosvc.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    IoError,
    NotFoundError,
    SnapshotError,
)

BUILDING_PREFIX = ".building-"
"""What is not whole yet, or not any more, begins with it; nobody reads it."""

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")


@dataclass(frozen=True)
class SnapshotInfo:
    """One snapshot as its directory shows it; nothing but the manifest is read."""

    snapshot_id: str
    is_current: bool
    published_at: str
    """RFC 3339 time of its newest publication; empty if it was never published."""
    watermark_at_us: int
    bytes: int
    items: int
    users: int
    models: tuple[str, ...]
    """Name and version of each model, with a space between."""
    problem: str
    """Why its manifest cannot be read; empty when it can."""


def list_snapshots(root: Path | str) -> list[SnapshotInfo]:
    """All snapshots below `root`, by id; other names are left alone. A missing directory has none."""
    root = Path(root)
    published = dict(publications(root))
    now = current(root)
    found = sorted(path.name for path in root.iterdir() if _ID.fullmatch(path.name)) if root.is_dir() else []
    return [_info(root / name, name == now, published.get(name, "")) for name in found]


def verify(root: Path | str, snapshot_id: str) -> dict[str, Any]:
    """Verify a snapshot as the server does: every length, checksum, schema and index.

    Returns:
        The summary of its manifest.

    Raises:
        NotFoundError: there is no such snapshot.
        SnapshotError: it is damaged or foreign; the message names the file.
    """
    path = snapshot_path(root, snapshot_id)
    summary: dict[str, Any] = json.loads(_core.verify_snapshot(str(path)))
    return summary


def publish(
    root: Path | str, snapshot_id: str, *, at: datetime | None = None, instead_of: str | None = None
) -> str:
    """Verify a snapshot and make it the published one; publishing the current one again changes nothing.

    Args:
        root: the directory of snapshots.
        snapshot_id: which.
        at: time of the publication; now, if it is not given.
        instead_of: publish only if this is the current one.

    Returns:
        The id.

    Raises:
        NotFoundError, SnapshotError: as `verify`; the running snapshot stays.
        FailedPreconditionError: another than `instead_of` is current (CURRENT_MOVED); it stays.
        IoError: a file could not be written.
    """
    root = Path(root)
    with _locked(root, snapshot_id):
        verify(root, snapshot_id)
        now = current(root)
        if instead_of is not None and now != instead_of:
            raise FailedPreconditionError(
                f"{root}: {now or 'nothing'} is published, not {instead_of}, which {snapshot_id} was to follow",
                reason="CURRENT_MOVED",
                metadata={"value": now or "", "expected": instead_of},
            )
        if now != snapshot_id:
            _move(root, snapshot_id, at)
    return snapshot_id


def rollback(root: Path | str, *, at: datetime | None = None) -> str:
    """Publish the snapshot that was published before the current one, and return its id.

    That is the newest entry of `HISTORY` that differs from `CURRENT` and precedes its last publication;
    snapshots that are no longer there are passed over.

    Raises:
        FailedPreconditionError: nothing is published, or nothing was published before.
        SnapshotError: the earlier one is damaged; the running snapshot stays.
    """
    root = Path(root)
    with _locked(root, "CURRENT"):
        now = current(root)
        if now is None:
            raise FailedPreconditionError(
                f"{root}: nothing is published, so nothing can be rolled back", reason="NO_SNAPSHOT"
            )
        ids = [id_ for id_, _ in publications(root)]
        last = len(ids) - 1 - ids[::-1].index(now) if now in ids else len(ids)
        earlier = [id_ for id_ in ids[:last] if id_ != now and (root / id_).is_dir()]
        if not earlier:
            raise FailedPreconditionError(
                f"{root}: no other snapshot was published before {now}",
                reason="NO_EARLIER_SNAPSHOT",
                metadata={"value": now},
            )
        verify(root, earlier[-1])
        _move(root, earlier[-1], at)
        return earlier[-1]


def prune(root: Path | str, keep: int) -> list[str]:
    """Remove published snapshots but the `keep` newest, by their last publication, and return their ids.

    The current one always stays, and so does one that was never published: somebody may be about to. The lines
    of `HISTORY` that name what is gone go with it.

    Raises:
        InvalidArgumentError: keep is below 1.
        IoError: a file could not be removed or written.
    """
    if keep < 1:
        raise InvalidArgumentError(
            f"keep is {keep}; it must be at least 1", field="keep", metadata={"value": str(keep)}
        )
    root = Path(root)
    if not root.is_dir():
        return []
    with _locked(root, "HISTORY"):
        history = publications(root)
        newest_first = list(dict.fromkeys(id_ for id_, _ in reversed(history)))
        there = [id_ for id_ in newest_first if (root / id_).is_dir()]
        now = current(root)
        # What was published after the current one stays too: a crash may have come before CURRENT moved.
        newer = there.index(now) + 1 if now in there else 0
        gone = [id_ for id_ in there[max(keep, newer) :] if id_ != now]
        try:
            for id_ in gone:
                # Renamed first: a crash in between must not leave half a snapshot under its id.
                aside = root / f"{BUILDING_PREFIX}{secrets.token_hex(8)}-{id_}"
                (root / id_).rename(aside)
                shutil.rmtree(aside)
            stays = set(there) - set(gone)
            if any(id_ not in stays for id_, _ in history):
                _rewrite_history(root, [(id_, at) for id_, at in history if id_ in stays])
        except OSError as error:
            raise IoError(f"{error.filename}: {error.strerror}") from error
    return gone


def current(root: Path | str) -> str | None:
    """The published id; nothing when none is published.

    Raises:
        SnapshotError: `CURRENT` does not hold one id and a line end.
    """
    try:
        text = (Path(root) / "CURRENT").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IoError(f"{error.filename}: {error.strerror}") from error
    if not text.endswith("\n") or not _ID.fullmatch(text[:-1]):
        raise SnapshotError(
            f"CURRENT holds {text[:64]!r}; it must hold one snapshot id and a line end",
            reason="CURRENT_INVALID",
            metadata={"file": "CURRENT"},
        )
    return text[:-1]


def publications(root: Path | str) -> list[tuple[str, str]]:
    """All publications, oldest first: id and RFC 3339 time. A last line that was cut off is left out."""
    try:
        text = (Path(root) / "HISTORY").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    whole = text.split("\n")[:-1]
    fields = (line.split(" ") for line in whole)
    return [(pair[0], pair[1]) for pair in fields if len(pair) == 2 and _ID.fullmatch(pair[0])]


def snapshot_path(root: Path | str, snapshot_id: str) -> Path:
    """The directory of a snapshot.

    Raises:
        NotFoundError: there is no such snapshot.
    """
    path = Path(root) / snapshot_id
    if not _ID.fullmatch(snapshot_id) or not path.is_dir():
        raise NotFoundError(
            f"{root} holds no snapshot {snapshot_id!r}; an id is <YYYYMMDDTHHMMSSZ>-<16 hex digits>",
            reason="SNAPSHOT_NOT_FOUND",
            field="snapshot_id",
            metadata={"value": snapshot_id},
        )
    return path


def _move(root: Path, snapshot_id: str, at: datetime | None) -> None:
    time = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        # A line that a crash cut off must not swallow this one.
        history = root / "HISTORY"
        text = history.read_bytes() if history.exists() else b""
        lead = b"" if not text or text.endswith(b"\n") else b"\n"
        _append(history, lead + f"{snapshot_id} {time}\n".encode())
        new = root / "CURRENT.new"
        new.unlink(missing_ok=True)
        _append(new, f"{snapshot_id}\n".encode())
        new.replace(root / "CURRENT")
        _sync(root)
    except OSError as error:
        raise IoError(f"{error.filename}: {error.strerror}") from error


def _rewrite_history(root: Path, publications_left: list[tuple[str, str]]) -> None:
    new = root / "HISTORY.new"
    new.unlink(missing_ok=True)
    _append(new, "".join(f"{id_} {at}\n" for id_, at in publications_left).encode())
    new.replace(root / "HISTORY")
    _sync(root)


def _sync(root: Path) -> None:
    descriptor = os.open(root, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(root: Path, wanted: str) -> Iterator[None]:
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise NotFoundError(
            f"{root} is no directory of snapshots, so there is no {wanted} in it",
            reason="SNAPSHOT_NOT_FOUND",
            field="snapshots",
            metadata={"value": str(root)},
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _info(path: Path, is_current: bool, published_at: str) -> SnapshotInfo:
    problem = ""
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        files = manifest["files"]
        return SnapshotInfo(
            snapshot_id=path.name,
            is_current=is_current,
            published_at=published_at,
            watermark_at_us=int(manifest["watermark_at_us"]),
            bytes=sum(int(entry["bytes"]) for entry in files.values()),
            items=int(files["items.arrow"]["rows"]),
            users=int(files["users.arrow"]["rows"]),
            models=tuple(f"{model['name']} {model['version']}" for model in manifest["models"]),
            problem="",
        )
    except OSError as error:
        problem = f"manifest.json: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"manifest.json is not of this format: {error!r}"
    return SnapshotInfo(path.name, is_current, published_at, 0, 0, 0, 0, (), problem)
