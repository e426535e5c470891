"""All that a build learns from, loaded as of a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from promosvc.errors import FailedPreconditionError
from promosvc.events import merged_position
from promosvc.features import (
    EventName,
    Histories,
    entry_weights,
    event_weights,
    extended_weights,
    load_event_ids,
    load_event_names,
    load_histories,
    load_items,
    load_users,
    utc_naive,
    vocabulary_weights,
)

EPOCH = datetime(1970, 1, 1)
ONE_US = timedelta(microseconds=1)
US_PER_DAY = 86_400_000_000
DEDUPE_WINDOW = timedelta(days=7)
"""An event that is recorded this long after a file brought it is known again at once."""


@dataclass(frozen=True)
class Past:
    """The data before a cut."""

    as_of: datetime
    """The cut, UTC without time zone: events are strictly before it."""
    watermark_at_us: int
    """Time of the newest event."""
    event_names: tuple[EventName, ...]
    items: pa.Table
    users: pa.Table
    histories: Histories
    weights: dict[str, float]
    """What one event of each name says about liking; the strongest is 1."""
    vocabulary_weights: dict[str, float]
    """The same also for names that the data do not have yet, by which live events are weighed."""
    event_ids: npt.NDArray[np.uint64]
    """Keys of the events that files brought in the last days before the watermark."""
    events_position: int
    """The position of the event log before which everything is in the database."""

    @property
    def as_of_us(self) -> int:
        """The cut in microseconds since 1970-01-01 UTC."""
        return to_us(self.as_of)

    @property
    def target_events(self) -> tuple[str, ...]:
        """The events that say most: what a recommendation is meant to lead to."""
        strongest = max(self.weights.values(), default=0.0)
        return tuple(name for name, weight in self.weights.items() if weight == strongest > 0)

    @property
    def ages_days(self) -> npt.NDArray[np.float64]:
        """Age of each history entry at the cut."""
        ages: npt.NDArray[np.float64] = (self.as_of_us - self.histories.last_at_us) / US_PER_DAY
        return ages

    @property
    def entry_weights(self) -> npt.NDArray[np.float64]:
        """What each history entry says before decay."""
        return entry_weights(self.histories, self.weights)


def load_past(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    carried_weights: Mapping[str, float] | None = None,
) -> Past:
    """Load what was known just before a time.

    Args:
        connection: to an event database.
        as_of: the cut.
        carried_weights: what events say, from an earlier snapshot; names that it does not have are weighed on
            its scale. Without them the weights are made of the data.

    Raises:
        FailedPreconditionError: there is no event before it.
    """
    event_names = tuple(load_event_names(connection, as_of))
    if not event_names:
        raise _no_events(as_of)
    items, users = load_items(connection, as_of), load_users(connection, as_of)
    histories = load_histories(connection, as_of, event_names, items, users)
    if carried_weights is None:
        weights, all_weights = event_weights(histories.events), vocabulary_weights(histories.events)
    else:
        all_weights = extended_weights(carried_weights, histories.events)
        weights = {name: all_weights[name] for name in histories.events}
    watermark_at_us = max(event.last_at_us for event in event_names)
    return Past(
        as_of=as_of,
        watermark_at_us=watermark_at_us,
        event_names=event_names,
        items=items,
        users=users,
        histories=histories,
        weights=weights,
        vocabulary_weights=all_weights,
        event_ids=load_event_ids(connection, from_us(watermark_at_us) - DEDUPE_WINDOW, as_of),
        events_position=merged_position(connection),
    )


def cut_at(connection: duckdb.DuckDBPyConnection, until: datetime | None) -> datetime:
    """The cut of a build: `until`, but never later than an instant after the newest event.

    So equal events give an equal build, whatever later time was asked for.

    Raises:
        FailedPreconditionError: there is no event before it.
    """
    far = datetime.max if until is None else utc_naive(until)
    names = load_event_names(connection, far)
    if not names:
        raise _no_events(far)
    return min(far, from_us(max(event.last_at_us for event in names)) + ONE_US)


def to_us(time: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of a time without time zone."""
    return (time - EPOCH) // ONE_US


def from_us(time_us: int) -> datetime:
    """The time without time zone, in UTC."""
    return EPOCH + timedelta(microseconds=time_us)


def _no_events(as_of: datetime) -> FailedPreconditionError:
    when = "" if as_of == datetime.max else f" before {as_of.isoformat(sep=' ')}"
    return FailedPreconditionError(
        f"the database holds no event{when}; import something first (`promosvc import`)",
        reason="NO_EVENTS",
        field="until",
    )
