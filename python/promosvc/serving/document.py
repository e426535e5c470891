"""The configuration as the native core reads it: one JSON document, the clock already resolved."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promosvc.config import Config
from promosvc.config.load import parse_time
from promosvc.errors import FailedPreconditionError, SnapshotError


def native_document(config: Config) -> str:
    """The JSON that `_core.Server` and `_core.Door` take.

    Raises:
        FailedPreconditionError: the clock shall start at the watermark and no snapshot is published.
    """
    server = asdict(config.server)
    del server["drain_seconds_max"]  # Python stops the server, so only Python needs to know.
    return json.dumps(
        {
            "server": server,
            "clock": _clock(config),
            "snapshots": {
                "directory": str(config.data.snapshots),
                "poll_ms": config.snapshots.poll_ms,
            },
            "placements": config.placements_document(),
        }
    )


def _clock(config: Config) -> dict[str, Any]:
    start = config.clock.start
    manual_us = _microseconds(parse_time(config.clock.manual_start, "clock.manual_start"))
    if start == "manual":
        return {"mode": "manual", "offset_us": 0, "manual_now_us": manual_us}
    if start == "machine":
        offset_us = 0
    else:
        now_us = _microseconds(datetime.now(UTC))
        start_us = (
            _watermark_us(config.data.snapshots)
            if start == "watermark"
            else _microseconds(parse_time(start, "clock.start"))
        )
        offset_us = start_us - now_us
    return {"mode": "offset", "offset_us": offset_us, "manual_now_us": 0}


def _watermark_us(snapshots: Path) -> int:
    """Time of the newest event in the published snapshot.

    Only this number is read here; the core verifies the whole snapshot when it opens it.
    """
    try:
        snapshot_id = (snapshots / "CURRENT").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise FailedPreconditionError(
            f"clock.start is watermark, but {snapshots} holds no snapshot yet; run `promosvc build`",
            reason="NO_SNAPSHOT",
            field="clock.start",
        ) from None
    manifest = snapshots / snapshot_id / "manifest.json"
    try:
        return int(json.loads(manifest.read_text(encoding="utf-8"))["watermark_at_us"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{manifest} cannot be read: {error}", reason="MANIFEST_UNREADABLE") from error


def _microseconds(time: datetime) -> int:
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
