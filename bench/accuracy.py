"""Accuracy of the neighbourhood models on MovieLens-100k: nDCG@10, all ratings relevant, seen items removed.

75/25, random, stratified by item, five seeds. Parameters were chosen by `--tune` on other seeds than those
reported.

Run: `python -m bench.accuracy [--json] [--tune]`
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bench import harness, movielens
from promosvc.models import ItemKNN, Popular, TextbookUserKNN, UserKNN, build_interactions
from promosvc.models.interactions import Interactions

SEEDS = (1, 2, 3, 4, 5)
TUNING_SEEDS = (101, 102, 103)
TOP_K = 10

Lists = npt.NDArray[np.int64]
"""Users x TOP_K item numbers, -1 where a list is short."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="the JSON line comes last in any case")
    parser.add_argument("--tune", action="store_true", help="search parameters on other seeds, and stop")
    arguments = parser.parse_args()

    ratings = movielens.load()
    if ratings is None:
        harness.finish({"ml100k": "absent"})
        return
    harness.print_conditions(
        "Accuracy on MovieLens-100k: nDCG@10",
        {
            "data": f"{len(ratings.items)} ratings, {ratings.n_users} users, {ratings.n_items} items",
            "split": "75/25 random, stratified by item; every rating relevant; training items removed",
            "ranking": "full, over all items",
            "source": movielens.WHEEL,
            "seeds": f"{SEEDS}; parameters chosen on {TUNING_SEEDS}",
            "libraries": harness.versions("promosvc", "numpy"),
        },
    )
    if arguments.tune:
        tune(ratings)
        return
    rows: list[list[object]] = [["model", "nDCG@10", "least", "most"]]
    figures: dict[str, object] = {}
    for key, (label, rank) in MODELS.items():
        values = [evaluate(ratings, rank, seed) for seed in SEEDS]
        rows.append([label, f"{np.mean(values):.4f}", f"{min(values):.4f}", f"{max(values):.4f}"])
        figures[f"ml100k_{key}_ndcg10"] = round(float(np.mean(values)), 4)
    harness.print_table(rows)
    harness.finish({**figures, "seeds": list(SEEDS), "tuning_seeds": list(TUNING_SEEDS)})


def item_knn(train: Interactions, model: ItemKNN | None = None) -> Lists:
    fitted = (model or ItemKNN()).fit(train.indptr, train.indices, train.data, train.n_items)
    indptr, items, _ = fitted.recommend(train.indptr, train.indices, train.data, top_k=TOP_K)
    return lists(indptr, items)


def user_knn(train: Interactions, model: UserKNN | None = None) -> Lists:
    fitted = (model or UserKNN()).fit(train.indptr, train.indices, train.data, train.n_items)
    indptr, items, _ = fitted.recommend(top_k=TOP_K)
    return lists(indptr, items)


def textbook(train: Interactions) -> Lists:
    fitted = TextbookUserKNN().fit(train.indptr, train.indices, train.data, train.n_items)
    indptr, items, _ = fitted.recommend(top_k=TOP_K)
    return lists(indptr, items)


def popular(train: Interactions) -> Lists:
    fitted = Popular(window_days=1).fit(train.indices, np.zeros(len(train.indices)), train.n_items)
    found = np.full((train.n_users, TOP_K), -1)
    for user in range(train.n_users):
        seen = train.indices[train.indptr[user] : train.indptr[user + 1]]
        unseen = fitted.items_[~np.isin(fitted.items_, seen)][:TOP_K]
        found[user, : len(unseen)] = unseen
    return found


MODELS: dict[str, tuple[str, Callable[[Interactions], Lists]]] = {
    "itemknn": ("ItemKNN (defaults)", item_knn),
    "userknn": ("UserKNN (defaults)", user_knn),
    "textbook": ("TextbookUserKNN: linear kernel, plain mean of 10", textbook),
    "popular": ("popularity", popular),
}


def lists(indptr: npt.NDArray[np.int64], items: npt.NDArray[np.uint32]) -> Lists:
    """Sparse answers as a rectangle."""
    found = np.full((len(indptr) - 1, TOP_K), -1)
    lengths = np.diff(indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    found[rows, np.arange(len(items)) - np.repeat(indptr[:-1], lengths)] = items
    return found


def evaluate(ratings: movielens.Ratings, rank: Callable[[Interactions], Lists], seed: int) -> float:
    """NDCG@10 of one split, averaged over the users who have a test rating."""
    is_train = movielens.split_by_item(ratings, seed=seed)
    train = build_interactions(
        ratings.users[is_train],
        ratings.items[is_train],
        n_users=ratings.n_users,
        n_items=ratings.n_items,
        weights=ratings.values[is_train],
    )
    is_relevant = np.zeros((ratings.n_users, ratings.n_items + 1), dtype=bool)  # column -1 stays false
    is_relevant[ratings.users[~is_train], ratings.items[~is_train]] = True
    return ndcg(rank(train), is_relevant)


def ndcg(found: Lists, is_relevant: npt.NDArray[np.bool_]) -> float:
    """Binary gain, discount 1 / log2(rank + 1), ideal over min(10, relevant items)."""
    discounts = 1 / np.log2(np.arange(2, TOP_K + 2))
    hits = np.take_along_axis(is_relevant, found, axis=1)
    relevant = is_relevant.sum(axis=1)
    ideal = np.concatenate([[0.0], discounts.cumsum()])[np.minimum(relevant, TOP_K)]
    has_test = relevant > 0
    return float(((hits * discounts).sum(axis=1)[has_test] / ideal[has_test]).mean())


def tune(ratings: movielens.Ratings) -> None:
    """Prints the search over similarity, neighbours and shrinkage on the tuning seeds, best first."""

    def search(
        name: str, build: Callable[..., Callable[[Interactions], Lists]], top_ns: tuple[int, ...]
    ) -> None:
        rows = []
        for similarity, top_n, shrinkage in itertools.product(
            ("cosine", "jaccard", "bm25", "linear"), top_ns, (0.0, 10.0, 50.0, 200.0)
        ):
            rank = build(similarity, top_n=top_n, shrinkage=shrinkage)
            value = float(np.mean([evaluate(ratings, rank, seed) for seed in TUNING_SEEDS]))
            rows.append([similarity, top_n, shrinkage, f"{value:.4f}"])
        rows.sort(key=lambda row: row[-1], reverse=True)
        print(name)
        harness.print_table([["similarity", "top_n", "shrinkage", "nDCG@10"], *rows[:15]])

    search("ItemKNN", lambda *a, **k: lambda train: item_knn(train, ItemKNN(*a, **k)), (50, 100, 200, 400))
    search("UserKNN", lambda *a, **k: lambda train: user_knn(train, UserKNN(*a, **k)), (40, 60, 80, 100, 150))


if __name__ == "__main__":
    main()
