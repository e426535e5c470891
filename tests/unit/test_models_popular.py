"""Popularity windows and the interaction matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promosvc.errors import InvalidArgumentError
from promosvc.models import Popular, build_interactions


def test_windows_by_hand() -> None:
    items = [0, 1, 1, 2, 2, 2, 3]
    ages = [0.5, 0.5, 6.9, 0.9, 8, 29, -0.1]
    assert Popular(1).fit(items, ages, 4).items_.tolist() == [0, 1, 2]  # one each: the lower index first
    assert Popular(7).fit(items, ages, 4).items_.tolist() == [1, 0, 2]
    month = Popular(30).fit(items, ages, 4)
    assert month.items_.tolist() == [2, 1, 0]
    assert month.scores_.tolist() == [3, 2, 1]


def test_an_event_at_the_edge_of_the_window_is_out() -> None:
    assert Popular(7).fit([0], [7.0], 1).items_.tolist() == []


def test_decay_and_weights() -> None:
    popular = Popular(30, half_life_days=2).fit([0, 1, 1], [0, 2, 4], 2, weights=[1, 1, 3])
    assert popular.items_.tolist() == [1, 0]
    assert popular.scores_.tolist() == [1.25, 1.0]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"items": [4]}, "items"),
        ({"items": [-1]}, "items"),
        ({"items": [0.5]}, "items"),
        ({"ages_days": [1, 2]}, "ages_days"),
        ({"ages_days": [np.nan]}, "ages_days"),
        ({"weights": [-1]}, "weights"),
        ({"weights": [np.inf]}, "weights"),
    ],
)
def test_wrong_events_are_named(arguments: dict[str, object], field: str) -> None:
    good: dict[str, object] = {"items": [0], "ages_days": [1], "n_items": 4}
    with pytest.raises(InvalidArgumentError) as caught:
        Popular(7).fit(**(good | arguments))
    assert caught.value.field == field


@pytest.mark.parametrize("window", [0, -1, float("nan")])
def test_wrong_windows_are_named(window: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^window_days"):
        Popular(window).fit([], [], 1)


events = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 4), st.floats(-1, 50)), max_size=60
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(events, st.sampled_from(["none", "log", "binary"]), st.sampled_from([None, 0.5, 30.0]))
def test_interactions_equal_a_loop(
    rows: list[tuple[int, int, int, float]], damping: str, half_life_days: float | None
) -> None:
    slow: dict[tuple[int, int], float] = {}
    for user, item, weight, age in rows:
        factor = 1 if half_life_days is None else 2 ** (-max(age, 0) / half_life_days)
        slow[user, item] = slow.get((user, item), 0) + weight * factor
    slow = {cell: value for cell, value in slow.items() if value > 0}
    shape = {"none": float, "log": np.log1p, "binary": lambda _: 1.0}[damping]

    users, items, weights, ages = zip(*rows, strict=True) if rows else ((), (), (), ())
    built = build_interactions(
        users,
        items,
        n_users=6,
        n_items=8,
        weights=weights,
        ages_days=ages,
        half_life_days=half_life_days,
        damping=damping,
    )
    assert built.n_users == 6
    assert (built.indptr.dtype, built.indices.dtype, built.data.dtype) == (np.int64, np.uint32, np.float32)
    fast = {
        (user, int(built.indices[at])): float(built.data[at])
        for user in range(6)
        for at in range(built.indptr[user], built.indptr[user + 1])
    }
    assert list(fast) == sorted(slow)
    for cell, value in slow.items():
        assert fast[cell] == pytest.approx(shape(value), rel=1e-6)


def test_decay_needs_ages() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^ages_days is absent"):
        build_interactions([0], [0], n_users=1, n_items=1, half_life_days=30)


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^items has 2 events; users has 1"):
        build_interactions([0], [0, 1], n_users=1, n_items=2)
