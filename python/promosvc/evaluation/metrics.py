"""How good each user's ranked list is.

Notation: a user has n targets among N items; a list has L items with scores. An item's rank is the
number of items of the list with a higher score, plus the middle of its ties: three items that share places
2 to 4 all have rank 3. So a model that cannot tell items apart gains nothing by their order. A target that is
not in the list has no rank and gains nothing.

- nDCG@k: `Σ 1/log2(1 + rank)` over targets with rank <= k, over the same sum for the best possible list.
- recall@k: targets with rank <= k, over n. hit rate@k: whether there is one.
- MRR: 1 over the best target's rank, in the whole list. MAP@k: mean of the precision at each target with
  rank <= k, over min(k, n); precision takes the middle of tied targets as well, so that it stays within 1.
- coverage@k: different items among the first k of all lists, over N.

Every figure is 0 to 1, per user; a report averages over users.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

METRICS = ("ndcg", "recall", "hit_rate", "map", "mrr")
"""Names of the figures of one user; all but `mrr` look at the first k."""


@dataclass(frozen=True)
class Lists:
    """The answers to all users, user by user, best first."""

    user: Int64s
    """Position of the user, ascending."""
    item: Int64s
    """Row of the item in the catalogue."""
    score: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """What each user did later: items of user u lie at `indptr[u]:indptr[u + 1]`, unique."""

    indptr: Int64s
    item: Int64s
    """Row in the catalogue; a number of at least `catalogue_size` is an item that it did not hold yet."""
    catalogue_size: int

    @property
    def counts(self) -> Int64s:
        """Targets of each user."""
        return np.diff(self.indptr)

    @property
    def user(self) -> Int64s:
        """The user of each target."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.counts)


def judge(lists: Lists, targets: Targets, k: int = 10) -> dict[str, Floats]:
    """Each of `METRICS` for each user of `targets`; 0 for a user without targets."""
    users = len(targets.indptr) - 1
    counts = targets.counts
    rank = mid_ranks(lists.user, lists.score)
    is_hit = _is_target(lists, targets)
    user, hit_rank, hit_score = lists.user[is_hit], rank[is_hit], lists.score[is_hit]
    is_near = hit_rank <= k

    gain = 1.0 / np.log2(1.0 + hit_rank)
    dcg = np.bincount(user[is_near], weights=gain[is_near], minlength=users)
    ideal = np.concatenate([[1.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
    near = np.bincount(user[is_near], minlength=users).astype(np.float64)
    # The place of a hit among its user's hits, ties in the middle, as ranks are.
    precision = mid_ranks(user, hit_score) / hit_rank
    precision_sum = np.bincount(user[is_near], weights=precision[is_near], minlength=users)
    best = np.zeros(users)
    np.maximum.at(best, user, 1.0 / hit_rank)
    has_targets = np.maximum(counts, 1)
    return {
        "ndcg": dcg / ideal[np.clip(counts, 0, k)],
        "recall": near / has_targets,
        "hit_rate": (near > 0).astype(np.float64),
        "map": precision_sum / np.minimum(has_targets, k),
        "mrr": best,
    }


def coverage(lists: Lists, catalogue_size: int, k: int = 10) -> float:
    """Share of the catalogue among the first k of all lists, in the order of the answers."""
    if not catalogue_size:
        return 0.0
    place = np.arange(len(lists.user)) - np.searchsorted(lists.user, lists.user)
    return len(np.unique(lists.item[place < k])) / catalogue_size


def mid_ranks(user: Int64s, score: npt.NDArray[np.float32]) -> Floats:
    """Rank of each entry in its user's list, from 1, ties in the middle; entries are best first."""
    if not len(user):
        return np.zeros(0)
    begins_list = np.ones(len(user), bool)
    begins_list[1:] = user[1:] != user[:-1]
    begins_group = begins_list.copy()
    begins_group[1:] |= score[1:] != score[:-1]
    starts = np.flatnonzero(begins_group)
    sizes = np.diff(np.append(starts, len(user)))
    list_start = np.maximum.accumulate(np.where(begins_list, np.arange(len(user)), 0))
    middle = starts - list_start[starts] + (sizes + 1) / 2
    return np.repeat(middle, sizes)


def chance(list_length: int, targets: int, items: int, k: int = 10) -> dict[str, float]:
    """What a list without ties is worth when the targets are drawn at random from `items` items.

    Each item is a target with probability p = targets / items, so nDCG@k, recall@k and MAP@k are sums of
    expectations, and hit rate and MRR follow the hypergeometric law.
    """
    n, near = targets, min(list_length, k)
    if not n or not items:
        return dict.fromkeys(METRICS, 0.0)
    p = n / items
    ranks = np.arange(1, near + 1)
    ideal = np.sum(1.0 / np.log2(np.arange(2, min(k, n) + 2)))
    others = (n - 1) / (items - 1) if items > 1 else 0.0
    # Chance that none of the first r items is a target, r = 0, 1, ...
    drawn = np.arange(min(list_length, items))
    none = np.concatenate([[1.0], np.cumprod(np.clip(1.0 - n / (items - drawn), 0.0, 1.0))])
    first = none[:-1] - none[1:]
    return {
        "ndcg": float(p * np.sum(1.0 / np.log2(1.0 + ranks)) / ideal),
        "recall": near / items,
        "hit_rate": float(1.0 - none[min(near, len(none) - 1)]),
        "map": float(np.sum(p * (1.0 + (ranks - 1) * others) / ranks) / min(k, n)),
        "mrr": float(np.sum(first / (drawn + 1))),
    }


def _is_target(lists: Lists, targets: Targets) -> npt.NDArray[np.bool_]:
    width = int(max(targets.item.max(initial=0), lists.item.max(initial=0))) + 1
    return np.isin(lists.user * width + lists.item, targets.user * width + targets.item)
