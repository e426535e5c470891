"""What was chosen most in the last days."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from promosvc.errors import InvalidArgumentError
from promosvc.models.arrays import Float32s, UInt32s, at_least, codes, numbers
from promosvc.models.interactions import decay


class Popular:
    """Items by the weight of their events in a window: the baseline that every model must beat.

    Args:
        window_days: Only events younger than this count.
        half_life_days: After so many days an event counts half; None counts all in the window alike.

    >>> popular = Popular(window_days=7).fit([2, 0, 2, 1], ages_days=[1, 2, 3, 9], n_items=3)
    >>> popular.items_.tolist(), popular.scores_.tolist()
    ([2, 0], [2.0, 1.0])
    """

    def __init__(self, window_days: float = 7, *, half_life_days: float | None = None) -> None:
        self.window_days = window_days
        self.half_life_days = half_life_days

    items_: UInt32s
    """Items with a score above 0: score descending, then item ascending."""
    scores_: Float32s
    """Their scores."""

    def fit(
        self,
        items: npt.ArrayLike,
        ages_days: npt.ArrayLike,
        n_items: int,
        *,
        weights: npt.ArrayLike | None = None,
    ) -> Self:
        """Adds up the events of each item.

        Args:
            items: Row number of each event's item.
            ages_days: Age of each event in days. An event from the future (age below 0) does not count.
            n_items: Number of items.
            weights: Weight of each event (1 if absent).

        Raises:
            InvalidArgumentError: Lengths differ, a row number is out of range, a number is not finite.
        """
        at_least("window_days", self.window_days, 0, is_open=True)
        item_codes = codes("items", items, n_items)
        ages = numbers("ages_days", ages_days, len(item_codes))
        values = np.ones(len(ages)) if weights is None else numbers("weights", weights, len(ages))
        if (values < 0).any():
            raise InvalidArgumentError(
                f"weights holds {values.min()}; a weight is at least 0",
                reason="NEGATIVE_VALUE",
                field="weights",
            )
        if self.half_life_days is not None:
            at_least("half_life_days", self.half_life_days, 0, is_open=True)
            values = values * decay(ages, self.half_life_days)
        counts = (ages >= 0) & (ages < self.window_days)
        sums = np.bincount(item_codes[counts], weights=values[counts], minlength=n_items).astype(np.float32)
        order = np.argsort(-sums, kind="stable")
        order = order[sums[order] > 0]
        self.items_ = order.astype(np.uint32)
        self.scores_ = sums[order]
        return self
