"""Users who chose the same items: user neighbours."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from promosvc import _core
from promosvc.models.arrays import Csr, Float32s, Int64s, UInt32s, check_fitted, codes, one_of, take_rows

PREDICTIONS = {
    "weighted_sum": "sum",
    "normalised": "normalised_by_left",
    "mean_centred": "normalised_by_left",
}


class UserKNN:
    """User-based nearest neighbours (Herlocker et al., SIGIR 1999).

    With N(u) the neighbours of u and r the matrix:

    - "weighted_sum": `Σ_v s(u, v) · r(v, i)`, for events. It grows with every neighbour that chose i, as
      ranking wants.
    - "normalised": the same divided by `Σ s(u, v)` over the neighbours that rated i, for explicit ratings.
    - "mean_centred": ratings minus their user's mean, in the similarity and in the normalised sum; the user's
      own mean is added back. With cosine this is Pearson's correlation up to the items that only one of the
      two rated.

    Args:
        similarity: "linear", "cosine", "jaccard" or "bm25".
        top_n: Most neighbours of each user, 1 to 1,000.
        shrinkage: Pulls down similarities that rest on few items, as in `ItemKNN`.
        prediction: "weighted_sum", "normalised" or "mean_centred".
        bm25_k1: Saturation of BM25.
        bm25_b: Length normalisation of BM25.
        threads: 0 is one for each core. The result does not depend on it.

    The defaults were chosen on MovieLens-100k with seeds that no report uses (`bench/accuracy.py`).
    """

    def __init__(
        self,
        similarity: str = "cosine",
        *,
        top_n: int = 80,
        shrinkage: float = 0.0,
        prediction: str = "weighted_sum",
        bm25_k1: float = 1.2,
        bm25_b: float = 0.75,
        threads: int = 0,
    ) -> None:
        self.similarity = similarity
        self.top_n = top_n
        self.shrinkage = shrinkage
        self.prediction = prediction
        self.bm25_k1 = bm25_k1
        self.bm25_b = bm25_b
        self.threads = threads

    indptr_: Int64s
    """Where each user's neighbours begin; n_users + 1 entries."""
    neighbours_: UInt32s
    """Neighbours: similarity descending, then index ascending; never the user."""
    similarities_: Float32s
    """Similarity of each neighbour, finite and above 0."""
    interactions_: Csr
    """The matrix that was fitted, centred if the prediction is."""
    means_: Float32s
    """What the prediction adds back for each user: the mean rating, or 0."""
    n_items_: int
    """Number of items."""

    def fit(self, indptr: Int64s, indices: UInt32s, data: Float32s, n_items: int) -> Self:
        """Finds the neighbours of every user in a user x item matrix.

        Raises:
            InvalidArgumentError: An array or parameter is wrong; the message names it.
        """
        one_of("prediction", self.prediction, tuple(PREDICTIONS))
        values = data
        means = np.zeros(max(len(indptr) - 1, 0), dtype=np.float32)
        if self.prediction == "mean_centred":
            counts = np.diff(indptr)
            rows = np.repeat(np.arange(len(counts)), counts)
            sums = np.bincount(rows, weights=data, minlength=len(counts))
            means = (sums / np.maximum(counts, 1)).astype(np.float32)
            values = data - means[rows]
        self.indptr_, self.neighbours_, self.similarities_ = _core.user_neighbours(
            indptr,
            indices,
            values,
            n_items,
            similarity=self.similarity,
            top_n=self.top_n,
            shrinkage=self.shrinkage,
            bm25_k1=self.bm25_k1,
            bm25_b=self.bm25_b,
            threads=self.threads,
        )
        self.interactions_ = (indptr, indices, values)
        self.means_ = means
        self.n_items_ = n_items
        return self

    def recommend(
        self, users: npt.ArrayLike | None = None, *, top_k: int = 10, hide_seen: bool = True
    ) -> Csr:
        """The best items for some users (all if None), without those they have.

        Returns `(indptr, items, scores)`, scores descending, ties by the lower item. A row may be short.
        """
        rows = self._rows(users)
        seen_indptr, seen_items, _ = take_rows(self.interactions_, rows)
        indptr, items, scores = _core.top_products(
            take_rows((self.indptr_, self.neighbours_, self.similarities_), rows),
            self.interactions_,
            self.n_items_,
            top_k=top_k,
            excluded=(seen_indptr, seen_items) if hide_seen else None,
            combination=PREDICTIONS[self.prediction],
            threads=self.threads,
        )
        return indptr, items, scores + np.repeat(self.means_[rows], np.diff(indptr))

    def predict(self, users: npt.ArrayLike | None = None) -> Float32s:
        """Predictions for all items, seen or not: `len(users)` x n_items.

        An item that no neighbour has is 0 for "weighted_sum", the user's mean for "mean_centred" and NaN for
        "normalised", where nothing is known about it.
        """
        rows = self._rows(users)
        shape = (len(rows), self.n_items_)
        neighbours = take_rows((self.indptr_, self.neighbours_, self.similarities_), rows)
        combination = PREDICTIONS[self.prediction]
        values = _core.dense_products(neighbours, self.interactions_, self.n_items_, combination=combination)
        predictions = values.reshape(shape) + self.means_[rows, None]
        if self.prediction == "normalised":
            indptr, indices, data = self.interactions_
            reached = _core.dense_products(neighbours, (indptr, indices, np.ones_like(data)), self.n_items_)
            predictions[reached.reshape(shape) == 0] = np.nan
        return predictions

    def _rows(self, users: npt.ArrayLike | None) -> Int64s:
        check_fitted(self, "indptr_")
        n_users = len(self.indptr_) - 1
        return np.arange(n_users) if users is None else codes("users", users, n_users)
