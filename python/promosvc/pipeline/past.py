"""All that a build learns from, loaded as of a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from promosvc.errors import FailedPreconditionError
from promosvc.features import (
    EventName,
    Histories,
    entry_weights,
    event_weights,
    load_event_names,
    load_histories,
    load_items,
    load_users,
    utc_naive,
)

EPOCH = datetime(1970, 1, 1)
ONE_US = timedelta(microseconds=1)
US_PER_DAY = 86_400_000_000


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


def load_past(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> Past:
    """Load what was known just before a time.

    Raises:
        FailedPreconditionError: there is no event before it.
    """
    event_names = tuple(load_event_names(connection, as_of))
    if not event_names:
        raise _no_events(as_of)
    items, users = load_items(connection, as_of), load_users(connection, as_of)
    histories = load_histories(connection, as_of, event_names, items, users)
    return Past(
        as_of=as_of,
        watermark_at_us=max(event.last_at_us for event in event_names),
        event_names=event_names,
        items=items,
        users=users,
        histories=histories,
        weights=event_weights(histories.events),
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
