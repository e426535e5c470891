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
            "events": _events(config) if config.events.enabled else None,
            "decisions": _decisions(config) if config.events.enabled and config.decisions.enabled else None,
            "attribution": (
                {"keys_file": str(config.data.attribution_keys)} if config.attribution.enabled else None
            ),
            "placements": config.placements_document(),
        }
    )


def _events(config: Config) -> dict[str, Any]:
    events = config.events
    return {
        "directory": str(config.data.event_log),
        "source": events.source,
        "custom_events": {
            **dict.fromkeys(events.custom_item_events, True),
            **dict.fromkeys(events.custom_events, False),
        },
        "segment_bytes": events.segment_max_bytes,
        "retention_hours": events.retention_hours,
        "checkpoint_seconds": events.checkpoint_seconds,
        "queue_commands_max": events.queue_commands_max,
        "dedupe_hours": events.dedupe_hours,
        "dedupe_bytes_max": events.dedupe_max_bytes,
        "request_window_hours": events.request_window_hours,
        "request_window_bytes_max": events.request_window_max_bytes,
        "live_state_bytes_max": events.live_state_max_bytes,
        "events_per_user_max": events.events_per_user_max,
        "earliest_us": _microseconds(parse_time(events.earliest, "events.earliest")),
    }


def _decisions(config: Config) -> dict[str, Any]:
    decisions = config.decisions
    return {
        "directory": str(config.data.decision_log),
        "sample_rate": decisions.sample_rate,
        "queue_records_max": decisions.queue_records_max,
        "segment_bytes": decisions.segment_max_bytes,
        "retention_hours": decisions.retention_hours,
    }


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
