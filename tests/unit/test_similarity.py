"""The similarity kernels against slow twins in NumPy and scikit-learn."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity, linear_kernel

from promosvc import _core

Dense = npt.NDArray[np.float64]


def sparse(dense: Dense) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.bincount(rows, minlength=len(dense)).cumsum()]).astype(np.int64)
    return indptr, columns.astype(np.uint32), dense[rows, columns].astype(np.float32)


def best_first(similarities: Dense, top_n: int) -> list[list[tuple[int, float]]]:
    """Neighbours of each row by a full stable sort."""
    rows = []
    for i, row in enumerate(similarities):
        order = [j for j in np.argsort(-row, kind="stable") if j != i and row[j] > 0]
        rows.append([(int(j), float(row[j])) for j in order[:top_n]])
    return rows


def unpacked(found: tuple[npt.NDArray, npt.NDArray, npt.NDArray]) -> list[list[tuple[int, float]]]:
    indptr, indices, data = found
    return [
        list(zip(indices[a:b].tolist(), data[a:b].tolist(), strict=True))
        for a, b in itertools.pairwise(indptr)
    ]


def assert_same(found: list[list[tuple[int, float]]], expected: list[list[tuple[int, float]]]) -> None:
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        assert [j for j, _ in left] == [j for j, _ in right]
        np.testing.assert_allclose([s for _, s in left], [s for _, s in right], rtol=0, atol=1e-6)


def small_whole_numbers(seed: int) -> Dense:
    rng = np.random.default_rng(seed)
    shape = rng.integers(2, 30), rng.integers(2, 40)
    return rng.integers(1, 6, shape) * (rng.random(shape) < 0.3) * 1.0


ratings = st.integers(0, 2**32 - 1).map(small_whole_numbers)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(ratings, st.integers(1, 12))
def test_linear_neighbours_equal_scikit_learn(dense: Dense, top_n: int) -> None:
    # Products of small whole numbers are exact, so that ties are ties on both sides.
    found = _core.item_neighbours(*sparse(dense), dense.shape[1], similarity="linear", top_n=top_n)
    assert_same(unpacked(found), best_first(linear_kernel(dense.T), top_n))
    found = _core.user_neighbours(*sparse(dense), dense.shape[1], similarity="linear", top_n=top_n)
    assert_same(unpacked(found), best_first(linear_kernel(dense), top_n))


def test_cosine_neighbours_equal_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    dense = rng.random((60, 40)) * (rng.random((60, 40)) < 0.4)
    found = _core.item_neighbours(*sparse(dense), 40, similarity="cosine", top_n=10)
    assert_same(unpacked(found), best_first(cosine_similarity(dense.T), 10))
    found = _core.user_neighbours(*sparse(dense), 40, similarity="cosine", top_n=10)
    assert_same(unpacked(found), best_first(cosine_similarity(dense), 10))


@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_shrunk_measures_equal_their_formulas(shrinkage: float) -> None:
    rng = np.random.default_rng(8)
    dense = rng.integers(1, 6, (50, 30)) * (rng.random((50, 30)) < 0.3) * 1.0
    taken = (dense > 0).astype(float)
    shared, sizes, dots = taken.T @ taken, taken.sum(0), dense.T @ dense
    norms = np.sqrt(np.diag(dots))
    length = dense.sum(0)
    idf = np.log(30) - np.log1p(taken.sum(1))
    k1, b = 1.5, 0.6
    weights = (
        dense * (k1 + 1) / (k1 * (1 - b + b * length / length.mean()) + dense) * np.maximum(idf, 0)[:, None]
    )
    trust = np.divide(shared, shared + shrinkage, out=np.zeros_like(shared), where=shared > 0)
    expected = {
        "linear": dots * trust,
        "cosine": dots / (np.outer(norms, norms) + shrinkage),
        "jaccard": shared / (sizes[:, None] + sizes - shared + shrinkage),
        "bm25": weights.T @ weights * trust,
    }
    for similarity, matrix in expected.items():
        found = unpacked(
            _core.item_neighbours(
                *sparse(dense), 30, similarity=similarity, top_n=30, shrinkage=shrinkage, bm25_k1=k1, bm25_b=b
            )
        )
        for i, row in enumerate(found):
            assert {j for j, _ in row} == {j for j in range(30) if j != i and matrix[i, j] > 0}
            for j, value in row:
                assert value == pytest.approx(matrix[i, j], rel=1e-5), similarity
            assert row == sorted(row, key=lambda pair: (-pair[1], pair[0]))


def test_the_number_of_threads_changes_nothing() -> None:
    rng = np.random.default_rng(9)
    dense = rng.random((300, 200)) * (rng.random((300, 200)) < 0.1)
    one, four = (_core.item_neighbours(*sparse(dense), 200, top_n=20, threads=t) for t in (1, 4))
    assert unpacked(one) == unpacked(four)


def good() -> dict[str, object]:
    indptr, indices, data = sparse(np.eye(3))
    return {"indptr": indptr, "indices": indices, "data": data, "n_items": 3}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"indptr": [0, 1]}, "indptr", "is a list"),
        ({"indptr": np.array([0, 1, 2, 3], dtype=np.int32)}, "indptr", "dtype int32"),
        ({"indptr": np.array([[0, 3]])}, "indptr", "shape"),
        ({"indptr": np.arange(8)[::2]}, "indptr", "contiguous"),
        ({"indptr": np.array([0, 2, 1, 3])}, "indptr", "falls from 2 to 1"),
        ({"indptr": np.array([1, 1, 2, 3])}, "indptr", "begins with 1"),
        ({"indptr": np.array([0, 1, 2, 2])}, "indptr", "ends with 2"),
        ({"indptr": np.array([], dtype=np.int64)}, "indptr", "is empty"),
        ({"indices": np.array([0, 1, 3], dtype=np.uint32)}, "indices", "indices[2] is 3"),
        ({"indices": np.array([0, 1, 2], dtype=">u4")}, "indices", "dtype >u4"),
        ({"indices": np.array([0, 1], dtype=np.uint32)}, "data", "3 values for 2 indices"),
        ({"data": np.ones(3)}, "data", "dtype float64"),
        ({"data": np.array([1, np.nan, 1], dtype=np.float32)}, "data", "data[1] is NaN"),
        ({"data": np.array([1, 1, np.inf], dtype=np.float32)}, "data", "data[2] is inf"),
        ({"n_items": -1}, "n_items", "is -1"),
        ({"top_n": 0}, "top_n", "is 0"),
        ({"top_n": -5}, "top_n", "is -5"),
        ({"top_n": 1001}, "top_n", "1000"),
        ({"shrinkage": -1.0}, "shrinkage", "is -1"),
        ({"shrinkage": float("nan")}, "shrinkage", "is NaN"),
        ({"similarity": "cosin"}, "similarity", "jaccard"),
        ({"threads": -1}, "threads", "is -1"),
        ({"threads": 10**6}, "threads", "1024"),
        ({"similarity": "bm25", "bm25_b": 2.0}, "bm25_b", "is 2"),
        ({"similarity": "bm25", "bm25_k1": -2.0}, "bm25_k1", "is -2"),
        ({"similarity": "bm25", "data": np.array([1, -1, 1], dtype=np.float32)}, "data", "holds -1"),
        (
            {"indptr": np.array([0, 3]), "indices": np.array([1, 2, 1], dtype=np.uint32)},
            "indices",
            "holds column 1 twice in row 0",
        ),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], field: str, words: str) -> None:
    from promosvc.errors import InvalidArgumentError

    with pytest.raises(InvalidArgumentError) as caught:
        _core.item_neighbours(**(good() | change))
    assert caught.value.field == field
    assert words in str(caught.value)
    assert str(caught.value).startswith(field)


def test_products_refuse_shapes_that_do_not_fit() -> None:
    from promosvc.errors import InvalidArgumentError

    eye = sparse(np.eye(3))
    with pytest.raises(InvalidArgumentError, match=r"^left.indices\[2\] is 2; there are 2 columns"):
        _core.top_products(eye, sparse(np.eye(2)), 2, top_k=1)
    with pytest.raises(InvalidArgumentError, match=r"^excluded is 2 x 3; it must be 3 x 3"):
        _core.top_products(eye, eye, 3, top_k=1, excluded=sparse(np.eye(2))[:2])
    with pytest.raises(InvalidArgumentError, match=r"^top_k is 0"):
        _core.top_products(eye, eye, 3, top_k=0)
    with pytest.raises(InvalidArgumentError, match=r'^combination is "mean"'):
        _core.dense_products(eye, eye, 3, combination="mean")
