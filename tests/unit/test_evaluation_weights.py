"""Weights are learned from what held-out users did."""

import numpy as np
import pyarrow as pa
import pytest

from promosvc.evaluation import Lists, SourceScores, Targets, judge, learn_weights, make_split


def problem(
    seed: int, signal: tuple[float, ...], users: int = 300, candidates: int = 40
) -> tuple[SourceScores, Targets]:
    """Users with three targets among their candidates; source s knows of them as clearly as `signal[s]`."""
    random = np.random.default_rng(seed)
    is_target = np.zeros((users, candidates), bool)
    is_target[:, :3] = True
    scores = random.random((users, candidates, len(signal))) * 0.6
    scores += is_target[..., None] * np.array(signal)
    scores = np.clip(scores, 0, 1).astype(np.float32)
    return (
        SourceScores(
            user=np.repeat(np.arange(users), candidates),
            item=np.tile(np.arange(candidates), users),
            scores=scores.reshape(-1, len(signal)),
        ),
        Targets(np.arange(users + 1) * 3, np.tile(np.arange(3), users), candidates),
    )


def ndcg_of(scores: SourceScores, targets: Targets, weights: np.ndarray) -> float:
    """The slow way: rank each user's candidates and judge the lists."""
    blended = scores.scores.astype(np.float64) @ weights
    order = np.lexsort((scores.item, -blended, scores.user))
    lists = Lists(scores.user[order], scores.item[order], blended[order].astype(np.float32))
    return float(judge(lists, targets)["ndcg"].mean())


def test_a_source_that_knows_gets_the_weight_and_noise_little() -> None:
    scores, targets = problem(1, (0.3, 0.0, 0.0))
    learned = learn_weights(scores, targets, [True] * 3, seed=7)
    assert learned.weights[0] > 0.6
    assert sum(learned.weights) == pytest.approx(1, abs=1e-3)
    assert min(learned.weights) >= 0
    assert learned.users == 300


def test_two_that_know_different_things_share_and_beat_each_alone() -> None:
    scores, targets = problem(2, (0.2, 0.2, 0.0))
    learned = learn_weights(scores, targets, [True] * 3, seed=7)
    assert learned.weights[0] > 0.25
    assert learned.weights[1] > 0.25
    assert learned.ndcg > max(learned.ndcg_single) + 0.02
    # And on users that it was not learned from.
    fresh = problem(3, (0.2, 0.2, 0.0))
    blend = ndcg_of(*fresh, np.array(learned.weights))
    assert blend > max(ndcg_of(*fresh, one) for one in np.eye(3)) + 0.02


def test_the_objective_equals_the_metric() -> None:
    scores, targets = problem(4, (0.2, 0.1, 0.0), users=60)
    learned = learn_weights(scores, targets, [True] * 3, seed=7)
    assert learned.ndcg == pytest.approx(ndcg_of(scores, targets, np.array(learned.weights)), abs=1e-6)
    for source in range(3):
        assert learned.ndcg_single[source] == pytest.approx(
            ndcg_of(scores, targets, np.eye(3)[source]), abs=1e-6
        )


def test_a_source_that_is_not_allowed_gets_nothing() -> None:
    scores, targets = problem(1, (0.4, 0.1, 0.0))
    learned = learn_weights(scores, targets, [False, True, True], seed=7)
    assert learned.weights[0] == 0
    assert sum(learned.weights) == pytest.approx(1, abs=1e-3)


def test_equal_seeds_give_equal_weights() -> None:
    scores, targets = problem(6, (0.2, 0.1, 0.05))
    assert learn_weights(scores, targets, [True] * 3, seed=7) == learn_weights(
        scores, targets, [True] * 3, seed=7
    )


def test_nothing_to_learn_from_gives_no_weights() -> None:
    empty = SourceScores(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.float32))
    nobody = Targets(np.zeros(1, np.int64), np.zeros(0, np.int64), 5)
    assert learn_weights(empty, nobody, [True] * 3, seed=7).weights == (0, 0, 0)
    # One user with fewer candidates than a page is long.
    few = SourceScores(np.zeros(2, np.int64), np.arange(2), np.array([[0.1], [0.9]], np.float32))
    learned = learn_weights(few, Targets(np.array([0, 1]), np.array([1]), 2), [True], seed=7)
    assert learned.weights == (1,)
    assert learned.ndcg == 1


def test_a_split_says_who_is_asked_and_what_is_right() -> None:
    later = pa.table({"user_id": ["b", "a", "a", "a", "c"], "item_id": ["y", "x", "y", "x", "new"]})
    earlier = pa.table({"user_id": ["a", "a", "z"], "item_id": ["x", "w", "y"]})
    split = make_split(later, earlier, pa.array(["w", "x", "y"]), pa.array(["a", "z"]))
    assert split.user_id.to_pylist() == ["a", "b", "c"]
    assert split.is_known.to_pylist() == [True, False, False]
    assert split.repeats.indptr.tolist() == [0, 2, 3, 4]
    # x and y of the catalogue; what the catalogue does not hold lies beyond it.
    assert split.repeats.item.tolist() == [1, 2, 2, 3]
    assert split.unseen.indptr.tolist() == [0, 1, 2, 3]
    assert split.unseen.item.tolist() == [2, 2, 3]


def test_a_split_of_nothing_is_empty() -> None:
    none = pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})
    split = make_split(none, none, pa.array(["a"]), pa.array(["u"]))
    assert len(split.user_id) == 0
    assert split.unseen.counts.tolist() == []
