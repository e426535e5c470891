"""From the event database to a published snapshot.

Deterministic: equal events, parameters, seed and library versions give the same snapshot id.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from promosvc import snapshot
from promosvc.events import open_database
from promosvc.pipeline.features import compute_views
from promosvc.pipeline.learn import BuildParameters, Progress, content_of, fit
from promosvc.pipeline.past import cut_at, load_past
from promosvc.pipeline.stopwatch import StopWatch
from promosvc.pipeline.tail import tail
from promosvc.pipeline.validate import Validation, learn_blend


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    snapshot_id: str
    path: str
    is_published: bool
    watermark_at_us: int
    """Time of the newest event in it."""
    as_of: str
    """Events are strictly before this time (UTC)."""
    items: int
    users: int
    history_entries: int
    feature_rows: dict[str, int]
    """Rows of each feature view."""
    event_weights: dict[str, float]
    weights: dict[str, dict[str, float]]
    """The blend."""
    events_position: int
    """The position of the event log before which everything is in it."""
    validation: dict[str, Any]
    """Where the weights come from: `cut_at` and, for `unseen` and `repeats`, users and nDCG@10."""
    seconds: dict[str, float]
    """Wall time of each stage."""

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    def text(self) -> str:
        """The report for people, several lines."""
        state = "published" if self.is_published else "not published"
        rows = sum(self.feature_rows.values())
        lines = [
            f"Snapshot {self.snapshot_id}, {state}",
            f"  events before {self.as_of} UTC: {self.items:,} items, {self.users:,} users, "
            f"{self.history_entries:,} history entries, {rows:,} rows of {len(self.feature_rows)} views",
            f"  an event says: {_named(self.event_weights)}",
        ]
        for case, about in (("unseen", "seen items hidden"), ("repeats", "repeats allowed")):
            learned = self.validation.get(case)
            line = f"  blend, {about}: {_named(self.weights[case])}"
            if learned:
                line += f" (nDCG@10 {learned['ndcg']:.4f} on {learned['users']:,} validation users)"
            else:
                line += " (defaults: too few users to learn from)"
            lines.append(line)
        lines.append(f"  {sum(self.seconds.values()):.1f} s: {_named(self.seconds, '.1f')}")
        return "\n".join(lines)


def build(
    database: Path | str,
    snapshots_dir: Path | str,
    until: datetime | None = None,
    seed: int = 7,
    progress: Progress | None = None,
    publish: bool = True,
    parameters: BuildParameters | None = None,
    *,
    log_directory: Path | str | None = None,
    until_position: int | None = None,
) -> BuildReport:
    """Learn from an event database and publish a snapshot.

    Args:
        database: an event database; only read, but for what the log brings.
        snapshots_dir: the directory of snapshots; made if there is none.
        until: only events strictly before it; without time zone it is UTC. Without it, all. It is for looking at
            the past: what was recorded since is in no answer until the next build or refresh.
        seed: of everything random.
        progress: called with (stage, done, total).
        publish: whether the snapshot becomes the current one.
        parameters: of the models; the defaults if not given.
        log_directory: of the event log, which is merged first. Without it the snapshot holds what is merged.
        until_position: how far the log is merged; see `tail`.

    Raises:
        FailedPreconditionError: the log begins after what the database holds; reason LOG_GAP.
        FailedPreconditionError: no event before `until`; reason NO_EVENTS.
        DatabaseError, DatabaseBusyError: the database cannot be read.
        IoError: the snapshot cannot be written.
    """
    tell = progress or _silent
    chosen = parameters or BuildParameters()
    clock = StopWatch()
    if log_directory is not None:
        tail(database, log_directory, until_position, tell)
        clock.lap("tail")
    with open_database(database, is_read_only=True) as connection:
        tell("load", 0, 1)
        past = load_past(connection, cut_at(connection, until))
        tell("load", 1, 1)
        clock.lap("load")
        validation = learn_blend(connection, past, chosen, seed, tell)
        clock.lap("validate")
        views = compute_views(connection, past.as_of, tell)
        clock.lap("features")
    models = fit(past, chosen, tell)
    clock.lap("fit")
    tell("write", 0, 1)
    content = content_of(past, models, views, validation.weights, chosen, seed)
    id_ = snapshot.write(content, snapshots_dir)
    if publish:
        snapshot.publish(snapshots_dir, id_)
    tell("write", 1, 1)
    clock.lap("write")
    return BuildReport(
        snapshot_id=id_,
        path=str(snapshot.snapshot_path(snapshots_dir, id_)),
        is_published=publish,
        watermark_at_us=past.watermark_at_us,
        as_of=past.as_of.isoformat(),
        items=past.items.num_rows,
        users=past.users.num_rows,
        history_entries=len(past.histories.item),
        feature_rows={view.view.name: len(view.entity_id) for view in views},
        event_weights=dict(past.weights),
        weights={case: dict(weights) for case, weights in validation.weights.items()},
        events_position=past.events_position,
        validation=_described(validation),
        seconds=clock.laps,
    )


def _described(validation: Validation) -> dict[str, Any]:
    return {
        "cut_at": None if validation.cut_at is None else validation.cut_at.isoformat(),
        **{case: asdict(learned) for case, learned in validation.learned.items()},
    }


def _named(numbers: Mapping[str, float], form: str = ".3g") -> str:
    return ", ".join(f"{name} {number:{form}}" for name, number in numbers.items() if number) or "nothing"


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
