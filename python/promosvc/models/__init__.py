"""Recommenders: estimators over arrays, whose learned arrays a snapshot stores.

Constructors only remember; `fit` checks, learns and returns the estimator; what was learned ends in `_`.
Users and items are row numbers, interactions are sparse matrices in compressed rows (`indptr` int64,
`indices` uint32, `data` float32). Models never see a database, and the arithmetic is in Rust
(`promosvc._core`).

- `ItemKNN`, `UserKNN`: neighbours by linear kernel, cosine, Jaccard or BM25; weighted sum for events,
  normalised sum for ratings.
- `TextbookUserKNN`: the plain mean of the ten users with the largest dot product, for comparison with
  textbooks.
- `Popular`: what was chosen most in the last days.
- `build_interactions`: events to a sparse matrix, with history decay.
"""

from promosvc.models.interactions import Interactions, build_interactions
from promosvc.models.item_knn import ItemKNN
from promosvc.models.popular import Popular
from promosvc.models.textbook_user_knn import TextbookUserKNN
from promosvc.models.user_knn import UserKNN

__all__ = ["Interactions", "ItemKNN", "Popular", "TextbookUserKNN", "UserKNN", "build_interactions"]
