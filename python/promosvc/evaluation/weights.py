"""Learns how much each source counts in the blend.

Problem: sources s give normalised scores f_s(u, i) in 0..1 to the candidates of each validation user;
find weights w >= 0 with sum 1 that make the mean nDCG@k of `Σ_s w_s f_s` largest. The objective is
piecewise constant in w, so gradients do not help; with six sources coordinate ascent (Metzler and Croft,
2007) does: from two starts, change one weight at a time by shrinking steps while the objective gets better.

One ascent on all users fits the noise of a few thousand short lists. So it runs on several samples of the
users (drawn with replacement) and the weights are the mean of what it finds (bagging, Breiman 1996); on
held-out users that is as good or better, and it is steadier from build to build.

Cost: an evaluation scores users x candidates x sources (2,000 x 600 x 6, about 10 ms); an ascent makes about
a hundred.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promosvc.evaluation.metrics import Targets

Floats = npt.NDArray[np.float32]
SOURCES = ("item_knn", "user_knn", "repeat", "popular_1d", "popular_7d", "popular_30d")
"""All sources in the order in which weights and scores are stored."""

STEPS = (0.5, 0.25, 0.1, 0.04)
BAGS = 6
USERS_MAX = 2_000
"""More users than this do not make the weights steadier, only slower; a seeded sample is taken."""


@dataclass(frozen=True)
class SourceScores:
    """Candidates of all users, user by user, with what each source says of them."""

    user: npt.NDArray[np.int64]
    """Position of the user, ascending."""
    item: npt.NDArray[np.int64]
    """Row of the item in the catalogue."""
    scores: Floats
    """One row for each candidate, one column for each source; 0..1."""


@dataclass(frozen=True)
class LearnedWeights:
    """Weights and what they are worth on the users that they were learned from."""

    weights: tuple[float, ...]
    """One for each source; at least 0, sum 1 (all 0 when there was nothing to learn from)."""
    users: int
    """Validation users with a target."""
    ndcg: float
    """Mean nDCG@k of the blend over these users."""
    ndcg_single: tuple[float, ...]
    """The same of each source alone."""


def learn_weights(
    scores: SourceScores, targets: Targets, allowed: Sequence[bool], *, seed: int, k: int = 10
) -> LearnedWeights:
    """Learn weights from validation users.

    Args:
        scores: candidates and their source scores.
        targets: what the users chose in the validation period.
        allowed: for each source whether it may get weight.
        seed: equal seeds give equal weights.
        k: length of the list that nDCG looks at.
    """
    sources = len(allowed)
    chosen = np.flatnonzero(targets.counts > 0)
    if not len(chosen) or not len(scores.user) or not any(allowed):
        return LearnedWeights((0.0,) * sources, 0, 0.0, (0.0,) * sources)
    random = np.random.default_rng(seed)
    if len(chosen) > USERS_MAX:
        chosen = np.sort(random.choice(chosen, USERS_MAX, replace=False))
    problem = _Problem(scores, targets, chosen, k)
    singles = np.eye(sources)
    single = tuple(problem.objective(singles[s]) if allowed[s] else 0.0 for s in range(sources))
    starts = [singles[int(np.argmax(single))], np.array(allowed) / np.sum(allowed)]
    found = []
    for _ in range(BAGS):
        sample = random.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)))
        found.append(
            max((_ascend(problem, start, allowed, sample) for start in starts), key=lambda x: x[0])[1]
        )
    weights = np.mean(found, axis=0)
    # Four decimals are more than the data can tell, and read well.
    weights = np.round(weights / weights.sum(), 4)
    return LearnedWeights(
        tuple(float(weight) for weight in weights), len(chosen), problem.objective(weights), single
    )


class _Problem:
    """Candidates in one rectangle of users x places, so that a weight vector is judged by matrix products."""

    def __init__(self, scores: SourceScores, targets: Targets, chosen: npt.NDArray[np.int64], k: int) -> None:
        self.k = k
        begins = np.searchsorted(scores.user, chosen)
        lengths = np.searchsorted(scores.user, chosen, side="right") - begins
        # At least k places, so that the first k always exist.
        width = max(int(lengths.max(initial=0)), k + 1)
        place = np.arange(width)
        is_filled = place < lengths[:, None]
        at = np.where(is_filled, begins[:, None] + place, 0)
        self.is_filled = is_filled
        self.features = np.where(is_filled[..., None], scores.scores[at], np.float32(-1))
        key = int(max(scores.item.max(initial=0), targets.item.max(initial=0))) + 1
        pairs = targets.user * key + targets.item
        self.is_target = is_filled & np.isin(chosen[:, None] * key + scores.item[at], pairs)
        discount = 1.0 / np.log2(np.arange(2, k + 2))
        self.discount = discount
        ideal = np.concatenate([[1.0], np.cumsum(discount)])
        self.ideal = ideal[np.minimum(targets.counts[chosen], k)]

    def per_user(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """nDCG@k of each user; of equal scores the earlier candidate comes first."""
        blended = self.features @ weights.astype(np.float32)
        best = np.argpartition(-blended, self.k, axis=1)[:, : self.k]
        best.sort(axis=1)
        order = np.argsort(-np.take_along_axis(blended, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        gain = np.take_along_axis(self.is_target, best, axis=1) @ self.discount
        per_user: npt.NDArray[np.float64] = gain / self.ideal
        return per_user

    def objective(
        self, weights: npt.NDArray[np.float64], sample: npt.NDArray[np.int64] | None = None
    ) -> float:
        """Mean nDCG@k, over a sample that says how often each user counts."""
        return float(np.average(self.per_user(weights), weights=sample))


def _ascend(
    problem: _Problem,
    start: npt.NDArray[np.float64],
    allowed: Sequence[bool],
    sample: npt.NDArray[np.int64],
) -> tuple[float, npt.NDArray[np.float64]]:
    weights = np.asarray(start, np.float64)
    best = problem.objective(weights, sample)
    for step in STEPS:
        is_better = True
        while is_better:
            is_better = False
            for source in np.flatnonzero(allowed):
                for value in (0.0, weights[source] - step, weights[source] + step):
                    trial = weights.copy()
                    trial[source] = max(value, 0.0)
                    if trial.sum() <= 0:
                        continue
                    trial /= trial.sum()
                    score = problem.objective(trial, sample)
                    # A gain below this is one user's luck, and the walk must end.
                    if score > best + 1e-5:
                        best, weights, is_better = score, trial, True
    return best, weights
