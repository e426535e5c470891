"""Tells a difference from noise: paired bootstrap over users (Efron and Tibshirani 1993, chapter 16).

Two models answer the same users; users are drawn with replacement, the mean difference is taken each
time, and the middle 95 % of these means are the interval. Pairing matters: users differ far more than
models do.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
_AT_ONCE = 100


@dataclass(frozen=True)
class Difference:
    """A mean difference with its interval."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired_difference(
    ours: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.float64],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Difference:
    """Mean of `ours - theirs` over users with a bootstrap interval; all 0 without users.

    Args:
        ours: one figure for each user.
        theirs: the same users, the same order.
        seed: equal seeds give equal intervals.
        resamples: how often users are drawn.
        level: share of the resampled means inside of the interval.
    """
    difference = ours - theirs
    users = len(difference)
    if not users:
        return Difference(0.0, 0.0, 0.0)
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            difference[random.integers(0, users, (min(_AT_ONCE, resamples - done), users))].mean(axis=1)
            for done in range(0, resamples, _AT_ONCE)
        ]
    )
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Difference(float(difference.mean()), float(low), float(high))
