"""The textbook's user-based recommender, for comparison with textbooks."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from promosvc import _core
from promosvc.models.arrays import Csr, Float32s, Int64s, UInt32s, check_fitted, codes, take_rows

_USERS_AT_ONCE = 256


class TextbookUserKNN:
    """The plain mean over exactly the `k` most similar users by the linear kernel.

    `prediction(u, i) = mean of r(v, i)` over the k users v with the largest dot product with u, an unrated
    item counting as 0; never u itself, ties by the lower index, whoever they are (a similarity of 0 counts
    like any other). It equals

        similarities = sklearn.metrics.pairwise.linear_kernel(ratings)
        numpy.fill_diagonal(similarities, -numpy.inf)
        neighbours = numpy.argsort(-similarities, axis=1, kind="stable")[:, :k]
        predictions = ratings[neighbours].mean(axis=1)

    Note: this is a compatibility mode, not a recommendation. Cosine, about 80 neighbours and a weighted sum
    (`UserKNN`) are far better: nDCG@10 .43 against .28 on MovieLens-100k. The dot product favours users who
    rated a lot, and ten neighbours are few.

    Args:
        k: Number of neighbours, less than the number of users.
    """

    def __init__(self, k: int = 10) -> None:
        self.k = k

    neighbours_: npt.NDArray[np.uint32]
    """n_users x k, most similar first."""
    interactions_: Csr
    """The matrix that was fitted."""
    n_items_: int
    """Number of items."""

    def fit(self, indptr: Int64s, indices: UInt32s, data: Float32s, n_items: int) -> Self:
        """Finds the k most similar users of every user.

        Raises:
            InvalidArgumentError: An array is wrong, or there are not more than `k` users.
        """
        neighbours = _core.textbook_neighbours(indptr, indices, data, n_items, k=self.k)
        self.neighbours_ = neighbours.reshape(-1, self.k)
        self.interactions_ = (indptr, indices, data)
        self.n_items_ = n_items
        return self

    def predict(self, users: npt.ArrayLike | None = None) -> Float32s:
        """Predictions for all items, seen or not: `len(users)` x n_items."""
        rows = self._rows(users)
        neighbours = self.neighbours_[rows]
        indptr = np.arange(len(rows) + 1, dtype=np.int64) * self.k
        ones = np.ones(neighbours.size, dtype=np.float32)
        sums = _core.dense_products((indptr, neighbours.ravel(), ones), self.interactions_, self.n_items_)
        return (sums / np.float32(self.k)).reshape(len(rows), self.n_items_)

    def recommend(self, users: npt.ArrayLike | None = None, *, top_k: int = 10) -> Csr:
        """The `top_k` unseen items with the largest prediction, ties by the lower item; 0 counts too.

        Returns `(indptr, items, predictions)`. A row is short only if the user has fewer unseen items.
        """
        rows = self._rows(users)
        found_items, found_values, lengths = [], [], []
        for start in range(0, len(rows), _USERS_AT_ONCE):
            part = rows[start : start + _USERS_AT_ONCE]
            seen_indptr, seen, _ = take_rows(self.interactions_, part)
            predictions = self.predict(part)
            predictions[np.repeat(np.arange(len(part)), np.diff(seen_indptr)), seen] = -np.inf
            best = np.argsort(-predictions, axis=1, kind="stable")[:, :top_k]
            values = np.take_along_axis(predictions, best, axis=1)
            kept = values > -np.inf
            found_items.append(best[kept].astype(np.uint32))
            found_values.append(values[kept])
            lengths.append(kept.sum(axis=1))
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), *lengths]).cumsum()
        return (
            indptr,
            np.concatenate([np.empty(0, dtype=np.uint32), *found_items]),
            np.concatenate([np.empty(0, dtype=np.float32), *found_values]),
        )

    def _rows(self, users: npt.ArrayLike | None) -> Int64s:
        check_fitted(self, "neighbours_")
        n_users = len(self.neighbours_)
        return np.arange(n_users) if users is None else codes("users", users, n_users)
