"""Runs the protocol: the blend, each source alone and `popular_7d`, with and without repeats."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from promosvc import _core
from promosvc.evaluation.bootstrap import paired_difference
from promosvc.evaluation.metrics import METRICS, Lists, Targets, chance, coverage, judge
from promosvc.evaluation.report import EvaluationReport, EvaluationRow
from promosvc.evaluation.served import recommend
from promosvc.evaluation.split import Split

SINGLE_SOURCES = {
    "repeats": ("popular_7d", "popular_1d", "popular_30d", "item_knn", "user_knn", "repeat"),
    "unseen": ("popular_7d", "popular_1d", "popular_30d", "item_knn", "user_knn"),
}
"""Sources measured alone. With what was chosen before hidden, `repeat` has nothing to say."""

PAGE_SIZE = 100
K = 10


def evaluate(
    engine: _core.Engine,
    split: Split,
    catalogue: pa.Array,
    *,
    snapshot_id: str,
    cut_at_us: int,
    until_us: int,
    target_events: Sequence[str],
    weights: Mapping[str, Mapping[str, float]],
    seed: int,
    progress: Callable[[str, int, int], None],
) -> EvaluationReport:
    """Measure the engine on a split.

    Args:
        engine: on the snapshot that was built before the cut.
        split: who is asked and what is right.
        catalogue: item ids of the snapshot, in its order.
        snapshot_id: for the report.
        cut_at_us: the clock of every answer.
        until_us: for the report.
        target_events: the events that make an item right, and seen.
        weights: the blend's, for the report.
        seed: of the bootstrap.
        progress: called with (stage, done, total).
    """
    rows: list[EvaluationRow] = []
    total = sum(len(sources) + 1 for sources in SINGLE_SOURCES.values())
    for protocol, targets in (("repeats", split.repeats), ("unseen", split.unseen)):
        has_target = targets.counts > 0
        judged: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
        covered: dict[str, float] = {}
        blend: Lists | None = None
        for source in ("blend", *SINGLE_SOURCES[protocol]):
            progress("evaluate", len(rows) + len(judged), total)
            lists = recommend(
                engine,
                split.user_id,
                catalogue,
                hide_seen=protocol == "unseen",
                seen_event_names=target_events,
                now_us=cut_at_us,
                sources=() if source == "blend" else (source,),
                page_size=PAGE_SIZE,
            )
            figures = judge(lists, targets, K)
            judged[source] = {name: figures[name][has_target] for name in METRICS}
            covered[source] = coverage(lists, len(catalogue), K)
            blend = lists if source == "blend" else blend
        rows += _rows(protocol, judged, covered, seed)
        assert blend is not None
        rows.append(_chance_row(protocol, blend, targets))
    progress("evaluate", total, total)
    return EvaluationReport(
        snapshot_id=snapshot_id,
        cut_at_us=cut_at_us,
        until_us=until_us,
        target_events=tuple(target_events),
        users=len(split.user_id),
        known_users=int(np.sum(split.is_known.to_numpy(zero_copy_only=False))) if len(split.user_id) else 0,
        items=len(catalogue),
        weights={case: dict(by_source) for case, by_source in weights.items()},
        rows=tuple(rows),
    )


def _rows(
    protocol: str,
    judged: Mapping[str, Mapping[str, npt.NDArray[np.float64]]],
    covered: Mapping[str, float],
    seed: int,
) -> list[EvaluationRow]:
    popular, blend = judged["popular_7d"]["ndcg"], judged["blend"]["ndcg"]
    return [
        EvaluationRow(
            protocol=protocol,
            source=source,
            users=len(blend),
            figures={**{name: _mean(figures[name]) for name in METRICS}, "coverage": covered[source]},
            ndcg_over_popular_7d=(
                None if source == "popular_7d" else paired_difference(figures["ndcg"], popular, seed=seed)
            ),
            ndcg_blend_over=(
                None if source == "blend" else paired_difference(blend, figures["ndcg"], seed=seed)
            ),
        )
        for source, figures in judged.items()
    ]


def _chance_row(protocol: str, lists: Lists, targets: Targets) -> EvaluationRow:
    lengths = np.bincount(lists.user, minlength=len(targets.counts))
    has_target = targets.counts > 0
    shapes, users = np.unique(
        np.stack([lengths[has_target], targets.counts[has_target]], axis=1), axis=0, return_counts=True
    )
    figures = dict.fromkeys((*METRICS, "coverage"), 0.0)
    for (length, count), times in zip(shapes.tolist(), users.tolist(), strict=True):
        expected = chance(length, min(count, targets.catalogue_size), targets.catalogue_size, K)
        for name in METRICS:
            figures[name] += expected[name] * times / has_target.sum()
    figures["coverage"] = coverage(lists, targets.catalogue_size, K)
    return EvaluationRow(protocol, "chance", int(has_target.sum()), figures, None, None)


def _mean(figures: npt.NDArray[np.float64]) -> float:
    return float(figures.mean()) if len(figures) else 0.0
