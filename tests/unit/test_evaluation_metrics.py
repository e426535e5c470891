"""Metrics against a slow twin, scikit-learn, hand-made cases, and chance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from promosvc.evaluation import METRICS, Lists, Targets, chance, coverage, judge, paired_difference


def lists_of(answers: list[list[tuple[int, float]]]) -> Lists:
    rows = [(user, item, score) for user, answer in enumerate(answers) for item, score in answer]
    return Lists(
        user=np.array([row[0] for row in rows], np.int64),
        item=np.array([row[1] for row in rows], np.int64),
        score=np.array([row[2] for row in rows], np.float32),
    )


def targets_of(targets: list[set[int]], catalogue_size: int) -> Targets:
    counts = [len(wanted) for wanted in targets]
    items = [item for wanted in targets for item in sorted(wanted)]
    return Targets(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.array(items, np.int64), catalogue_size
    )


def slow_twin(answer: list[tuple[int, float]], wanted: set[int], k: int) -> dict[str, float]:
    """One user's figures, word for word as the module essay says."""

    def rank(score: float, pool: list[float]) -> float:
        above = sum(1 for other in pool if other > score)
        tied = sum(1 for other in pool if other == score)
        return above + (tied + 1) / 2

    if not wanted:
        return dict.fromkeys(METRICS, 0.0)
    scores = [score for _, score in answer]
    hit_scores = [score for item, score in answer if item in wanted]
    ranks = [rank(score, scores) for score in hit_scores]
    near = [number for number in ranks if number <= k]
    precisions = [
        rank(score, hit_scores) / number
        for score, number in zip(hit_scores, ranks, strict=True)
        if number <= k
    ]
    best = sum(1 / math.log2(1 + place) for place in range(1, min(k, len(wanted)) + 1))
    return {
        "ndcg": sum(1 / math.log2(1 + number) for number in near) / best,
        "recall": len(near) / len(wanted),
        "hit_rate": float(bool(near)),
        "map": sum(precisions) / min(k, len(wanted)),
        "mrr": max((1 / number for number in ranks), default=0.0),
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[tuple[int, float]]], list[set[int]], int]:
    size = draw(st.integers(1, 15))
    users = draw(st.integers(1, 4))
    answers, targets = [], []
    for _ in range(users):
        items = draw(st.permutations(range(size)))[: draw(st.integers(0, size))]
        # Few different scores, so that ties are frequent.
        scores = sorted(
            draw(st.lists(st.integers(0, 4), min_size=len(items), max_size=len(items))), reverse=True
        )
        answers.append([(item, float(score)) for item, score in zip(items, scores, strict=True)])
        targets.append(draw(st.sets(st.integers(0, size + 2), max_size=size)))
    return answers, targets, draw(st.integers(1, 12))


@given(cases())
def test_the_fast_metrics_equal_the_slow_twin(case: tuple) -> None:
    answers, targets, k = case
    found = judge(lists_of(answers), targets_of(targets, 18), k)
    for user, (answer, wanted) in enumerate(zip(answers, targets, strict=True)):
        for name, value in slow_twin(answer, wanted, k).items():
            assert found[name][user] == pytest.approx(value, abs=1e-12), name
            assert 0 <= found[name][user] <= 1 + 1e-12


def test_ndcg_equals_scikit_learn_without_ties() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        size = int(random.integers(12, 30))
        scores = random.permutation(size).astype(np.float32)
        wanted = set(random.choice(size, int(random.integers(1, 12)), replace=False).tolist())
        order = np.argsort(-scores)
        answer = [(int(item), float(scores[item])) for item in order]
        relevance = np.isin(np.arange(size), list(wanted)).astype(float)
        ours = judge(lists_of([answer]), targets_of([wanted], size), 10)["ndcg"][0]
        assert ours == pytest.approx(ndcg_score([relevance], [scores], k=10, ignore_ties=True), abs=1e-9)


def test_figures_that_can_be_checked_by_hand() -> None:
    # Ranks 1 and 3 are right, of three targets.
    answer = [(7, 0.9), (8, 0.8), (9, 0.7), (1, 0.6)]
    found = judge(lists_of([answer]), targets_of([{7, 9, 5}], 20), k=10)
    assert found["recall"][0] == pytest.approx(2 / 3)
    assert found["ndcg"][0] == pytest.approx((1 + 0.5) / (1 + 1 / math.log2(3) + 0.5))
    assert found["map"][0] == pytest.approx((1 + 2 / 3) / 3)
    assert found["mrr"][0] == 1
    assert found["hit_rate"][0] == 1


def test_ties_are_worth_their_middle() -> None:
    # Whichever of the tied five comes first, the target has rank 3: order by id gains nothing.
    for target in range(5):
        answer = [(item, 1.0) for item in range(5)]
        found = judge(lists_of([answer]), targets_of([{target}], 5), k=10)
        assert found["mrr"][0] == pytest.approx(1 / 3)
        assert found["ndcg"][0] == pytest.approx(1 / 2)
    # All tied and the middle beyond k: nothing is gained.
    answer = [(item, 1.0) for item in range(50)]
    assert judge(lists_of([answer]), targets_of([{0}], 50), k=10)["recall"][0] == 0


def test_a_target_that_the_catalogue_does_not_hold_counts_as_missed() -> None:
    found = judge(lists_of([[(0, 1.0)]]), targets_of([{0, 99}], 1), k=10)
    assert found["recall"][0] == 0.5


def test_coverage_looks_at_the_first_k() -> None:
    answers = [[(0, 3.0), (1, 2.0), (2, 1.0)], [(0, 3.0), (3, 2.0)]]
    assert coverage(lists_of(answers), 10, k=2) == pytest.approx(0.3)
    assert coverage(lists_of([]), 0) == 0


def test_chance_is_what_random_targets_give() -> None:
    random = np.random.default_rng(11)
    for length, wanted, items in ((30, 3, 40), (5, 4, 12), (12, 12, 12)):
        rounds = 20_000
        answer = [(item, float(-item)) for item in range(length)]
        targets = [set(random.choice(items, wanted, replace=False).tolist()) for _ in range(rounds)]
        found = judge(lists_of([answer] * rounds), targets_of(targets, items), 10)
        for name, value in chance(length, wanted, items, 10).items():
            error = 4.5 * found[name].std() / math.sqrt(rounds) + 1e-9
            assert found[name].mean() == pytest.approx(value, abs=error), (name, length)


def test_a_paired_interval_sees_what_is_there_and_no_more() -> None:
    random = np.random.default_rng(5)
    base = random.random(500)
    better = base + 0.02 + random.normal(0, 0.05, 500)
    found = paired_difference(better, base, seed=1)
    assert found.low > 0
    assert found.is_clear
    assert found.mean == pytest.approx(0.02, abs=0.01)
    # Against the textbook's standard error of a mean difference.
    width = 2 * 1.96 * (better - base).std() / math.sqrt(500)
    assert found.high - found.low == pytest.approx(width, rel=0.1)
    same = paired_difference(base, base, seed=1)
    assert (same.mean, same.low, same.high, same.is_clear) == (0, 0, 0, False)
    assert paired_difference(better, base, seed=1) == found
    assert paired_difference(np.zeros(0), np.zeros(0), seed=1).mean == 0


def test_noise_is_rarely_called_a_difference() -> None:
    random = np.random.default_rng(9)
    clear = sum(
        paired_difference(random.random(100), random.random(100), seed=n, resamples=400).is_clear
        for n in range(200)
    )
    # 5 % are expected; 200 rounds give 10 +- 3.
    assert 1 <= clear <= 22
