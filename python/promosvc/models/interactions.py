"""Events to a sparse user x item matrix.

A cell is the sum of its events' weights, each decayed by age: `weight · 2^(-age / half_life)` (history decay,
as in ItemKNN with decay on Amazon Beauty: nDCG@10 .0434 against .0326 without). Optionally dampened, since
the tenth purchase says less than the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promosvc.errors import InvalidArgumentError
from promosvc.models.arrays import Float32s, Int64s, UInt32s, at_least, codes, numbers, one_of

DAMPINGS = ("none", "log", "binary")


@dataclass(frozen=True)
class Interactions:
    """A sparse user x item matrix in compressed rows; items ascend within a row and are unique."""

    indptr: Int64s
    """Where users begin; n_users + 1 entries."""
    indices: UInt32s
    """Item of each cell."""
    data: Float32s
    """Value of each cell, never 0."""
    n_items: int
    """Number of columns."""

    @property
    def n_users(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1


def build_interactions(
    users: npt.ArrayLike,
    items: npt.ArrayLike,
    *,
    n_users: int,
    n_items: int,
    weights: npt.ArrayLike | None = None,
    ages_days: npt.ArrayLike | None = None,
    half_life_days: float | None = None,
    damping: str = "none",
) -> Interactions:
    """Adds events up into a user x item matrix.

    Args: users: Row number of each event's user. items: Row number of each event's item. n_users: Number of
        rows. n_items: Number of columns. weights: Weight of each event (1 if absent). A cell whose weights
        add up to 0 is left out. ages_days: Age of each event in days, at the time of building; below 0 counts
        as 0. half_life_days: After so many days an event counts half; None is no decay. Needs `ages_days`.
        damping: "none" keeps the sum, "log" makes ln(1 + sum), "binary" makes 1 of every cell above 0; the
        last two drop
            cells that are not above 0.

    Raises:
        InvalidArgumentError: Lengths differ, a row number is out of range, a number is not finite.

    >>> m = build_interactions([0, 0, 1], [2, 2, 0], n_users=2, n_items=3)
    >>> m.indptr.tolist(), m.indices.tolist(), m.data.tolist()
    ([0, 1, 2], [2, 0], [2.0, 1.0])
    """
    user_codes = codes("users", users, n_users)
    item_codes = codes("items", items, n_items)
    count = len(user_codes)
    if len(item_codes) != count:
        raise InvalidArgumentError(
            f"items has {len(item_codes)} events; users has {count}, and the two must be equal",
            reason="LENGTHS_DIFFER",
            field="items",
        )
    one_of("damping", damping, DAMPINGS)
    values = np.ones(count) if weights is None else numbers("weights", weights, count)
    if half_life_days is not None:
        at_least("half_life_days", half_life_days, 0, is_open=True)
        if ages_days is None:
            raise InvalidArgumentError(
                "ages_days is absent; half_life_days needs the age of each event",
                reason="MISSING",
                field="ages_days",
            )
        values = values * decay(numbers("ages_days", ages_days, count), half_life_days)

    # One sortable key for each cell; the sort also puts items in ascending order.
    cells, cell_of_event = np.unique(user_codes * n_items + item_codes, return_inverse=True)
    sums = np.bincount(cell_of_event, weights=values, minlength=len(cells)).astype(np.float64)
    kept = sums != 0 if damping == "none" else sums > 0
    cells, sums = cells[kept], sums[kept]
    if damping == "log":
        sums = np.log1p(sums)
    elif damping == "binary":
        sums = np.ones(len(sums))
    indptr = np.zeros(n_users + 1, dtype=np.int64)
    np.cumsum(np.bincount(cells // max(n_items, 1), minlength=n_users), out=indptr[1:])
    return Interactions(
        indptr=indptr,
        indices=(cells % max(n_items, 1)).astype(np.uint32),
        data=sums.astype(np.float32),
        n_items=n_items,
    )


def decay(ages_days: npt.NDArray[np.float64], half_life_days: float) -> npt.NDArray[np.float64]:
    """2^(-age / half_life), 1 for ages below 0."""
    return np.exp2(-np.maximum(ages_days, 0.0) / half_life_days)
