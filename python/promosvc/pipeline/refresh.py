"""From the event log to a newer snapshot: what is counted is counted again, what is learned is carried over.

    log ─► database ─► histories, popular items, features, catalogue ─┐
    published snapshot ─► neighbours, blend, versions ────────────────┴─► snapshot ─► CURRENT ─► prune

Stages: *tail* (with the note at the end the only one that writes to the database, so that others wait for
milliseconds), *load*, *features*, *carry*, *write*, *prune*. The trade-off chosen: everything counted is computed
again from all events, not from what changed. It costs seconds for a million events and cannot drift: a refresh of
unchanged data gives the snapshot that is there.

A round that finds nothing new since the last one makes nothing. What the last one looked at stands in the database
(`refreshes`). A build or a rollback that publishes meanwhile wins: the round begins again on what is published now.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promosvc import snapshot
from promosvc.errors import DatabaseBusyError, FailedPreconditionError
from promosvc.events import DatabaseState, database_state, last_refresh, open_database, remember_refresh
from promosvc.features import EncodedView
from promosvc.pipeline.carry import carry
from promosvc.pipeline.features import compute_views
from promosvc.pipeline.learn import Progress, assemble, fit_popular
from promosvc.pipeline.past import Past, cut_at, load_past
from promosvc.pipeline.stopwatch import StopWatch
from promosvc.pipeline.tail import TailReport, tail
from promosvc.snapshot import Carried

KEEP = 5
"""Published snapshots that stay: so many steps back a rollback can go."""
ATTEMPTS = 3
"""Rounds that begin again because something else was published meanwhile."""
NOTE_WAIT_SECONDS = 1.0
"""The note only saves work, so that nobody waits long for it."""


@dataclass(frozen=True)
class RefreshReport:
    """What one round did."""

    snapshot_id: str
    """What is published after it."""
    is_published: bool
    """Whether this round published it; false where nothing was new."""
    tail: TailReport
    events_position: int
    """The position of the event log before which everything is in the snapshot."""
    watermark_at_us: int
    """Time of the newest event in it; 0 where nothing was looked at."""
    items: int
    users: int
    new_items: int
    """Items that the snapshot before did not have; they have no neighbours until the next build."""
    new_users: int
    feature_rows: dict[str, int]
    """Rows of each feature view."""
    carried: dict[str, str]
    """Version of each model that was carried over."""
    pruned: tuple[str, ...]
    """Snapshots that were removed."""
    seconds: dict[str, float]
    """Wall time of each stage."""

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    def text(self) -> str:
        """The report for people, several lines."""
        lines = [self.tail.text()]
        took = sum(self.seconds.values())
        if not self.is_published:
            return "\n".join([*lines, f"Nothing new: snapshot {self.snapshot_id} stays ({took:.1f} s)"])
        lines += [
            f"Snapshot {self.snapshot_id}, published, with the event log before {self.events_position:,}",
            f"  {self.items:,} items ({self.new_items:,} new), {self.users:,} users ({self.new_users:,} new), "
            f"{sum(self.feature_rows.values()):,} rows of {len(self.feature_rows)} views",
            f"  carried over: {', '.join(f'{name} {version}' for name, version in self.carried.items())}",
        ]
        if self.pruned:
            lines.append(f"  removed: {', '.join(self.pruned)}")
        named = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds.items())
        return "\n".join([*lines, f"  {took:.1f} s: {named}"])


def refresh(
    database: Path | str,
    snapshots_dir: Path | str,
    log_directory: Path | str,
    until_position: int | None = None,
    keep: int = KEEP,
    progress: Progress | None = None,
) -> RefreshReport:
    """Merge the event log, compute anew what is counted, and publish it with the models of the running snapshot.

    Args:
        database: the event database.
        snapshots_dir: the directory of snapshots.
        log_directory: of the event log.
        until_position: stop before this position, the durable one that a running server tells; see `tail`.
        keep: published snapshots that stay.
        progress: called with (stage, done, total).

    Raises:
        FailedPreconditionError: nothing is published, so that there are no models to carry over (NO_SNAPSHOT);
            others publish all the time (CURRENT_MOVED); no event at all (NO_EVENTS).
        SnapshotError: the published snapshot or the log is damaged or of another format; what runs stays.
        DatabaseError, DatabaseBusyError: the database cannot be opened.
        IoError: the snapshot cannot be written.
    """
    clock, tell = StopWatch(), progress or _silent
    tailed = tail(database, log_directory, until_position, tell)
    clock.lap("tail")
    for attempt in range(ATTEMPTS):
        try:
            return _round(Path(database), Path(snapshots_dir), tailed, keep, clock, tell)
        except FailedPreconditionError as error:
            if error.reason != "CURRENT_MOVED" or attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _round(
    database: Path, root: Path, tailed: TailReport, keep: int, clock: StopWatch, tell: Progress
) -> RefreshReport:
    current = snapshot.current(root)
    if current is None:
        raise FailedPreconditionError(
            f"{root}: nothing is published, so there are no models to carry over; run `promosvc build` first",
            reason="NO_SNAPSHOT",
        )
    with open_database(database, is_read_only=True) as connection:
        state = database_state(connection)
        if last_refresh(connection) == (current, state):
            clock.lap("load")
            return _nothing_new(current, state, tailed, clock)
        tell("load", 0, 1)
        before = snapshot.read(root, current)
        past = load_past(connection, cut_at(connection, None), before.blend["event_weights"])
        tell("load", 1, 1)
        clock.lap("load")
        views = compute_views(connection, past.as_of, tell)
        clock.lap("features")
    learned = carry(before, past)
    clock.lap("carry")
    tell("write", 0, 1)
    id_ = snapshot.write(assemble(past, learned, fit_popular(past), views, before.seed), root)
    snapshot.publish(root, id_, instead_of=current)
    tell("write", 1, 1)
    clock.lap("write")
    with (
        contextlib.suppress(DatabaseBusyError),
        open_database(database, wait_seconds=NOTE_WAIT_SECONDS) as connection,
    ):
        remember_refresh(connection, id_, state)
    clock.lap("note")
    if id_ == current:
        return _nothing_new(current, state, tailed, clock)
    pruned = snapshot.prune(root, keep)
    clock.lap("prune")
    return _report(id_, before, past, views, tailed, pruned, clock)


def _report(
    id_: str,
    before: Carried,
    past: Past,
    views: Sequence[EncodedView],
    tailed: TailReport,
    pruned: Sequence[str],
    clock: StopWatch,
) -> RefreshReport:
    return RefreshReport(
        snapshot_id=id_,
        is_published=True,
        tail=tailed,
        events_position=past.events_position,
        watermark_at_us=past.watermark_at_us,
        items=past.items.num_rows,
        users=past.users.num_rows,
        new_items=past.items.num_rows - len(before.item_ids),
        new_users=past.users.num_rows - len(before.user_ids),
        feature_rows={view.view.name: len(view.entity_id) for view in views},
        carried={model.name: model.version for model in before.models if model.name != "popular"},
        pruned=tuple(pruned),
        seconds=clock.laps,
    )


def _nothing_new(current: str, state: DatabaseState, tailed: TailReport, clock: StopWatch) -> RefreshReport:
    return RefreshReport(
        snapshot_id=current,
        is_published=False,
        tail=tailed,
        events_position=state.position,
        watermark_at_us=0,
        items=0,
        users=0,
        new_items=0,
        new_users=0,
        feature_rows={},
        carried={},
        pruned=(),
        seconds=clock.laps,
    )


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
