"""Items that the same users chose: item neighbours."""

from __future__ import annotations

from typing import Self

from promosvc import _core
from promosvc.models.arrays import Csr, Float32s, Int64s, UInt32s, check_fitted, one_of

NEIGHBOURHOODS = ("of_target", "of_history")
PREDICTIONS = {"weighted_sum": "sum", "normalised": "normalised_by_right"}


class ItemKNN:
    """Item-based nearest neighbours (Sarwar et al., WWW 2001; Deshpande and Karypis, TOIS 2004).

    `score(u, i) = Σ_h weight(u, h) · s(h, i)` over the user's items h ("weighted_sum", for events); divided
    by `Σ_h s(h, i)` it is a rating ("normalised", for explicit ratings). Which pairs (h, i) count:

    - "of_target": h is among the `top_n` neighbours of i. Every item is judged by equally many others.
    - "of_history": i is among the `top_n` neighbours of h. Popular items are neighbours of many and gain by
      it; nDCG@10 on MovieLens-100k is .405 instead of .445. Rows are at most `top_n` long, so serving costs
      less.

    Args:
        similarity: "linear", "cosine", "jaccard" or "bm25" (BM25-weighted dot product).
        top_n: Most neighbours of each item, 1 to 1,000.
        shrinkage: Pulls down similarities that rest on few users: cosine is `x·y / (‖x‖‖y‖ + shrinkage)`,
            Jaccard likewise, the others are multiplied by n / (n + shrinkage), n being the users that two
            items share.
        neighbourhood: "of_target" or "of_history".
        row_max: With "of_target", most items that one history item speaks for, 1 to 1,000: the best are kept.
        prediction: "weighted_sum" or "normalised".
        bm25_k1: Saturation of BM25.
        bm25_b: Length normalisation of BM25.
        threads: 0 is one for each core. The result does not depend on it.

    The defaults were chosen on MovieLens-100k with seeds that no report uses (`bench/accuracy.py`), the
    shrinkage also on Amazon Beauty's validation items (nDCG@10 .0553 with 20, .0466 without, at `top_n` 100).

    >>> import numpy as np
    >>> indptr, indices = np.array([0, 2, 4]), np.array([0, 1, 1, 2], dtype=np.uint32)
    >>> model = ItemKNN(top_n=2).fit(indptr, indices, np.ones(4, dtype=np.float32), n_items=3)
    >>> model.neighbours_[model.indptr_[0] : model.indptr_[1]].tolist()  # item 0 was chosen with item 1
    [1]
    """

    def __init__(
        self,
        similarity: str = "cosine",
        *,
        top_n: int = 200,
        shrinkage: float = 20.0,
        neighbourhood: str = "of_target",
        row_max: int = 1000,
        prediction: str = "weighted_sum",
        bm25_k1: float = 1.2,
        bm25_b: float = 0.75,
        threads: int = 0,
    ) -> None:
        self.similarity = similarity
        self.top_n = top_n
        self.shrinkage = shrinkage
        self.neighbourhood = neighbourhood
        self.row_max = row_max
        self.prediction = prediction
        self.bm25_k1 = bm25_k1
        self.bm25_b = bm25_b
        self.threads = threads

    indptr_: Int64s
    """Where each item's row begins; n_items + 1 entries."""
    neighbours_: UInt32s
    """Row h: the items i that h speaks for, similarity descending, then index ascending; never h itself."""
    similarities_: Float32s
    """s(h, i) of each of them, finite and above 0."""
    n_items_: int
    """Number of items."""

    def fit(self, indptr: Int64s, indices: UInt32s, data: Float32s, n_items: int) -> Self:
        """Finds the neighbours of every item in a user x item matrix.

        Raises:
            InvalidArgumentError: An array or parameter is wrong; the message names it.
        """
        one_of("prediction", self.prediction, tuple(PREDICTIONS))
        one_of("neighbourhood", self.neighbourhood, NEIGHBOURHOODS)
        found = _core.item_neighbours(
            indptr,
            indices,
            data,
            n_items,
            similarity=self.similarity,
            top_n=self.top_n,
            shrinkage=self.shrinkage,
            bm25_k1=self.bm25_k1,
            bm25_b=self.bm25_b,
            threads=self.threads,
        )
        if self.neighbourhood == "of_target":
            found = _core.turned_neighbours(*found, row_max=self.row_max)
        self.indptr_, self.neighbours_, self.similarities_ = found
        self.n_items_ = n_items
        return self

    def recommend(
        self, indptr: Int64s, indices: UInt32s, data: Float32s, *, top_k: int = 10, hide_seen: bool = True
    ) -> Csr:
        """The best items for each row of histories (any users, known or not), without those in the row.

        Returns `(indptr, items, scores)`, scores descending, ties by the lower item. A row may be short.
        """
        check_fitted(self, "indptr_")
        return _core.top_products(
            (indptr, indices, data),
            (self.indptr_, self.neighbours_, self.similarities_),
            self.n_items_,
            top_k=top_k,
            excluded=(indptr, indices) if hide_seen else None,
            combination=PREDICTIONS[self.prediction],
            threads=self.threads,
        )
