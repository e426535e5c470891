"""Decisions made again, from the data folder."""

import json
from typing import Any

from promosvc import _core
from promosvc.config.model import DataConfig


def replay_decisions(
    folders: DataConfig, *, position: int | None = None, last: int = 1
) -> list[dict[str, Any]]:
    """Make recorded decisions again and compare them byte for byte.

    Args:
        folders: where the logs and snapshots are.
        position: one decision by its place in the decision log.
        last: without a position, so many of the newest.

    Returns:
        For each, oldest first: `position`, `decided_at_us`, `snapshot_id` and `verdict`, which is "SAME",
        "DIFFERENT" (then with `recorded` and `replayed`, encoded `RecommendResponse`s in base64, and
        `is_catalogue_same`) or "NOT_RETAINED" (then with `missing`).

    Raises:
        FailedPreconditionError: there is no decision log.
        NotFoundError: no decision has that position yet.
        SnapshotError: a log or snapshot is damaged.
    """
    answer: list[dict[str, Any]] = json.loads(
        _core.replay_decisions(
            str(folders.decision_log),
            str(folders.event_log),
            str(folders.snapshots),
            position=position,
            last=last,
        )
    )
    return answer
