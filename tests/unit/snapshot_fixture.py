"""A snapshot small enough to read: three items, two users, one view of each entity kind."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from promosvc.snapshot import (
    FeatureRows,
    HistoryLists,
    Model,
    NeighbourLists,
    PopularLists,
    SnapshotContent,
)

WATERMARK_US = 1_514_779_280_000_000
SOURCES = ("item_knn", "user_knn", "repeat", "popular_1d", "popular_7d", "popular_30d")


def u32(*values: int) -> np.ndarray:
    return np.array(values, np.uint32)


def rows(name: str, entity: str, keys: list[str], categories: list[str] | None = None) -> FeatureRows:
    return FeatureRows(
        name=name,
        entity=entity,
        ttl_seconds=86_400,
        features=[("amount", "number", ()), ("colour", "category", ("blue", "red"))],
        entity_id=pa.array(keys, pa.string()),
        category=None if categories is None else pa.array(categories, pa.string()),
        event_at_us=np.full(len(keys), WATERMARK_US, np.int64),
        values=np.array([[0.5 * n, n % 2] for n in range(len(keys))], np.float32).reshape(-1, 2),
        statuses=np.full((len(keys), 2), 1, np.uint8),
    )


def content(**changes: Any) -> SnapshotContent:
    """Item `near` is like `far`; user `ada` bought `near` twice."""
    weights = dict.fromkeys(SOURCES, 0.25)
    made = SnapshotContent(
        watermark_at_us=WATERMARK_US,
        seed=7,
        items=pa.table(
            {
                "item_id": ["far", "near", "new"],
                "kind": ["product"] * 3,
                "category": ["tea", "tea", ""],
                "title": ["Far", "Near", "Näu"],
                "unit_price_minor": pa.array([100, None, 0], pa.int64()),
                "currency": pa.array(["EUR", None, "EUR"], pa.string()),
                "stock": pa.array([None, 5, 0], pa.int64()),
                "is_available": [True, True, False],
            }
        ),
        users=pa.table({"user_id": ["ada", "bob"]}),
        history=HistoryLists(
            events=("purchase", "view_item"),
            indptr=np.array([0, 2, 2]),
            item=u32(1, 0),
            event=np.array([0, 1], np.uint8),
            last_at_us=np.array([WATERMARK_US, WATERMARK_US - 1]),
            count=u32(2, 1),
        ),
        item_neighbours=NeighbourLists(np.array([0, 1, 2, 2]), u32(1, 0), np.array([0.5, 0.5], np.float32)),
        user_neighbours=NeighbourLists(np.array([0, 1, 1]), u32(1), np.array([0.1], np.float32)),
        popular=PopularLists(
            (1, 7, 30), np.array([0, 1, 2, 4]), u32(1, 1, 1, 0), np.array([2, 2, 2, 1], np.float32)
        ),
        features=[
            rows("user_things", "user", ["ada", "bob"]),
            rows("cross_things", "user_category", ["ada", "ada"], ["milk", "tea"]),
            rows("item_things", "item", []),
        ],
        blend={
            "item_knn": {"history_max": 100, "history_half_life_days": 30.0},
            "user_knn": {"neighbours_max": 80, "history_max": 100},
            "repeat": {"half_life_days": 60.0},
            "weights": {"unseen": weights, "repeats": weights},
            "event_weights": {"purchase": 1.0, "view_item": 0.2},
        },
        models=[Model("item_knn", ["item_neighbours.arrow"], {"top_n": 1}), Model("blend", ["blend.json"])],
        library_versions={"promosvc": "0"},
    )
    return replace(made, **changes)
