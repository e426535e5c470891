"""ItemKNN, UserKNN and the textbook's mode against references in plain NumPy and scikit-learn."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics.pairwise import cosine_similarity, linear_kernel

from promosvc.errors import FailedPreconditionError, InvalidArgumentError
from promosvc.models import ItemKNN, TextbookUserKNN, UserKNN

Dense = npt.NDArray[np.float64]
Csr = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]]


def sparse(dense: Dense) -> Csr:
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.bincount(rows, minlength=len(dense)).cumsum()]).astype(np.int64)
    return indptr, columns.astype(np.uint32), dense[rows, columns].astype(np.float32)


def some_ratings(n_users: int = 80, n_items: int = 60, seed: int = 7) -> Dense:
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < 0.15) * 1.0
    dense[3] = 0  # a user without a rating
    dense[:, 5] = 0  # an item without one
    return dense


def kept(similarities: Dense, top_n: int) -> Dense:
    """Similarities of the best `top_n` others above 0, the rest 0; ties by the lower index."""
    matrix = similarities.copy()
    np.fill_diagonal(matrix, 0)
    for row in matrix:
        row[np.argsort(-row, kind="stable")[top_n:]] = 0
    return np.maximum(matrix, 0)


def ranked(scores: Dense, seen: Dense, top_k: int, *, least: float = 0.0) -> list[list[int]]:
    """Unseen items with a score above `least`, best first."""
    rows = []
    for user, row in enumerate(scores):
        order = [int(i) for i in np.argsort(-row, kind="stable") if seen[user, i] == 0 and row[i] > least]
        rows.append(order[:top_k])
    return rows


def items_of(answer: Csr) -> list[list[int]]:
    indptr, items, _ = answer
    return [items[a:b].tolist() for a, b in itertools.pairwise(indptr)]


def test_textbook_mode_equals_scikit_learn() -> None:
    ratings = some_ratings()
    similarities = linear_kernel(ratings)
    np.fill_diagonal(similarities, -np.inf)
    neighbours = np.argsort(-similarities, axis=1, kind="stable")[:, :10]
    expected = ratings[neighbours].mean(axis=1)

    model = TextbookUserKNN().fit(*sparse(ratings), n_items=60)
    assert model.k == 10
    np.testing.assert_array_equal(model.neighbours_, neighbours)
    np.testing.assert_allclose(model.predict(), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.predict([7, 2]), expected[[7, 2]], rtol=0, atol=1e-6)
    assert not (model.neighbours_ == np.arange(80)[:, None]).any()

    answer = model.recommend(top_k=15)
    assert items_of(answer) == ranked(np.float32(expected).astype(float), ratings, 15, least=-1)
    best = np.sort(expected[4][ratings[4] == 0])[::-1][:15]
    np.testing.assert_allclose(answer[2].reshape(80, 15)[4], best, atol=1e-6)


def test_textbook_mode_by_hand() -> None:
    # near chose what far did not; equal likes: user 1 and user 2 tie for user 0, so the lower goes first.
    ratings = np.array([[2, 0, 0], [1, 3, 0], [1, 0, 5], [0, 0, 1]], dtype=float)
    model = TextbookUserKNN(k=2).fit(*sparse(ratings), n_items=3)
    assert model.neighbours_[0].tolist() == [1, 2]
    assert model.neighbours_[3].tolist() == [2, 0]  # user 0 shares nothing, but there is nobody better
    assert model.predict([0]).tolist() == [[1.0, 1.5, 2.5]]
    assert items_of(model.recommend([0], top_k=5)) == [[2, 1]]


def test_textbook_mode_needs_more_users_than_neighbours() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^k is 10; with 3 users it must be from 1 to 2"):
        TextbookUserKNN().fit(*sparse(np.eye(3)), n_items=3)


def test_user_knn_weighted_sum_equals_numpy() -> None:
    ratings = some_ratings(seed=8)
    weights = kept(cosine_similarity(ratings), 12)
    expected = weights @ ratings
    model = UserKNN(top_n=12).fit(*sparse(ratings), n_items=60)
    np.testing.assert_allclose(model.predict(), expected, rtol=0, atol=1e-4)
    indptr, items, scores = model.recommend(top_k=10)
    for user in range(80):
        mine, values = items[indptr[user] : indptr[user + 1]], scores[indptr[user] : indptr[user + 1]]
        assert (ratings[user, mine] == 0).all()
        possible = np.sort(expected[user][ratings[user] == 0])[::-1][:10]
        np.testing.assert_allclose(values, possible[possible > 0], atol=1e-4)
        np.testing.assert_allclose(values, expected[user, mine], atol=1e-4)


def test_user_knn_normalised_sum_equals_numpy() -> None:
    ratings = some_ratings(seed=9)
    weights = kept(cosine_similarity(ratings), 12)
    with np.errstate(invalid="ignore"):
        expected = weights @ ratings / (weights @ (ratings > 0))
    predicted = UserKNN(top_n=12, prediction="normalised").fit(*sparse(ratings), n_items=60).predict()
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-5)
    assert np.isnan(predicted[:, 5]).all(), "nobody rated item 5"
    assert np.nanmin(predicted) >= 1
    assert np.nanmax(predicted) <= 5 + 1e-5


def test_user_knn_mean_centred_equals_numpy() -> None:
    ratings = some_ratings(seed=10)
    has = ratings > 0
    means = np.divide(ratings.sum(1), has.sum(1), out=np.zeros(80), where=has.any(1))
    centred = np.where(has, ratings - means[:, None], 0)
    weights = kept(cosine_similarity(centred), 12)
    reach = weights @ has
    expected = means[:, None] + np.divide(weights @ centred, reach, out=np.zeros_like(reach), where=reach > 0)
    model = UserKNN(top_n=12, prediction="mean_centred").fit(*sparse(ratings), n_items=60)
    np.testing.assert_allclose(model.predict(), expected, rtol=0, atol=1e-5)
    _, items, values = model.recommend([4], top_k=5)
    np.testing.assert_allclose(values, expected[4, items], atol=1e-5)


@pytest.mark.parametrize("prediction", ["weighted_sum", "normalised"])
@pytest.mark.parametrize("neighbourhood", ["of_target", "of_history"])
def test_item_knn_equals_numpy(prediction: str, neighbourhood: str) -> None:
    ratings = some_ratings(seed=11)
    similarities = kept(cosine_similarity(ratings.T), 8)
    if neighbourhood == "of_target":
        similarities = similarities.T
    expected = ratings @ similarities
    if prediction == "normalised":
        reach = (ratings > 0) @ similarities
        expected = np.divide(expected, reach, out=np.full_like(reach, -1), where=reach > 0)
    model = ItemKNN(top_n=8, shrinkage=0, prediction=prediction, neighbourhood=neighbourhood).fit(
        *sparse(ratings), n_items=60
    )
    indptr, items, scores = model.recommend(*sparse(ratings), top_k=10)
    for user in range(80):
        mine, values = items[indptr[user] : indptr[user + 1]], scores[indptr[user] : indptr[user + 1]]
        possible = np.sort(expected[user][ratings[user] == 0])[::-1][:10]
        np.testing.assert_allclose(values, possible[possible > 0], atol=1e-4)
        np.testing.assert_allclose(values, expected[user, mine], atol=1e-4)
        assert (ratings[user, mine] == 0).all()


def test_item_knn_learns_rows_that_a_snapshot_can_store() -> None:
    ratings = some_ratings(seed=12)
    model = ItemKNN(top_n=8, row_max=5).fit(*sparse(ratings), n_items=60)
    assert model.indptr_.tolist()[0] == 0
    assert np.diff(model.indptr_).max() <= 5
    for item in range(60):
        row = slice(model.indptr_[item], model.indptr_[item + 1])
        pairs = list(zip((-model.similarities_[row]).tolist(), model.neighbours_[row].tolist(), strict=True))
        assert pairs == sorted(pairs)
        assert item not in model.neighbours_[row]
        assert (model.similarities_[row] > 0).all()


def test_seen_items_come_back_only_when_asked() -> None:
    ratings = np.array([[1, 1, 0], [1, 1, 1]], dtype=float)
    model = ItemKNN(top_n=3).fit(*sparse(ratings), n_items=3)
    assert items_of(model.recommend(*sparse(ratings[:1]))) == [[2]]
    # 0 and 1 go together more than either does with 2.
    assert items_of(model.recommend(*sparse(ratings[:1]), hide_seen=False)) == [[2, 0, 1]]
    users = UserKNN(top_n=3).fit(*sparse(ratings), n_items=3)
    assert items_of(users.recommend([0])) == [[2]]
    assert items_of(users.recommend([0], hide_seen=False)) == [[0, 1, 2]]


@pytest.mark.parametrize("model", [ItemKNN(), UserKNN(), TextbookUserKNN()], ids=lambda m: type(m).__name__)
def test_nothing_is_predicted_before_fit(model: ItemKNN | UserKNN | TextbookUserKNN) -> None:
    arguments = sparse(np.eye(3)) if isinstance(model, ItemKNN) else ()
    with pytest.raises(FailedPreconditionError, match="call fit first"):
        model.recommend(*arguments)


def test_wrong_users_and_predictions_are_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^prediction is 'mean'; known are"):
        UserKNN(prediction="mean").fit(*sparse(np.eye(3)), n_items=3)
    model = UserKNN().fit(*sparse(np.eye(3)), n_items=3)
    with pytest.raises(InvalidArgumentError, match=r"^users holds 3; row numbers are from 0 to 2"):
        model.recommend([3])
