"""Learns the blend's weights on a validation split: models of an earlier past, judged by what came next.

The earlier past ends `validation_days` before the build's own cut. A snapshot of it is written aside, the
engine that a server would run opens it, and its source scores for the users of the days that followed are
what `learn_weights` learns from. Afterwards the models are fitted again on everything; the weights stay.
"""

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from promosvc.evaluation import (
    SOURCES,
    LearnedWeights,
    Split,
    learn_weights,
    make_split,
    open_engine,
    source_scores,
)
from promosvc.features import load_choices
from promosvc.pipeline.learn import (
    DEFAULT_WEIGHTS,
    BuildParameters,
    Progress,
    Weights,
    content_of,
    fit,
)
from promosvc.pipeline.past import EPOCH, Past, from_us, load_past
from promosvc.snapshot import snapshot_path, write

USERS_MIN = 20
"""Fewer validation users than this say nothing about weights."""
CANDIDATES = 80
"""Of each source: the first ten of a blend lie among its sources' first eighty."""
SPAN_SHARE_MAX = 0.25
"""Of short data at most this share is held out."""


@dataclass(frozen=True)
class Validation:
    """Where the weights come from."""

    cut_at: datetime | None
    """What the validation models knew is before it; nothing when the weights are the defaults."""
    weights: Weights
    learned: dict[str, LearnedWeights]
    """By `unseen` and `repeats`; only where there were enough users."""


def learn_blend(
    connection: duckdb.DuckDBPyConnection,
    past: Past,
    parameters: BuildParameters,
    seed: int,
    progress: Progress,
) -> Validation:
    """Learn weights before the past's cut; the defaults where there is too little to learn from."""
    first = from_us(min(event.first_at_us for event in past.event_names))
    held_out = min(timedelta(days=parameters.validation_days), (past.as_of - first) * SPAN_SHARE_MAX)
    cut = past.as_of - held_out
    if not past.target_events or held_out <= timedelta(0):
        return Validation(None, DEFAULT_WEIGHTS, {})
    earlier = load_past(connection, cut)
    later = load_choices(connection, past.target_events, cut, past.as_of)
    before = load_choices(connection, past.target_events, EPOCH, cut)
    catalogue = earlier.items["item_id"].combine_chunks()
    split = make_split(later, before, catalogue, earlier.users["user_id"].combine_chunks())
    if not earlier.items.num_rows or len(split.user_id) < USERS_MIN:
        return Validation(None, DEFAULT_WEIGHTS, {})
    models = fit(earlier, parameters, lambda _stage, _done, _total: None)
    # Every source must be heard, whatever weight it will get.
    content = content_of(earlier, models, [], _EVEN, parameters, seed)
    with tempfile.TemporaryDirectory(prefix="promosvc-") as folder:
        id_ = write(content, folder)
        return _learned(snapshot_path(folder, id_), earlier, split, past.target_events, seed, progress)


_EVEN: Weights = {case: dict.fromkeys(SOURCES, 1.0) for case in ("unseen", "repeats")}


def _learned(
    snapshot: Path,
    earlier: Past,
    split: Split,
    target_events: tuple[str, ...],
    seed: int,
    progress: Progress,
) -> Validation:
    engine = open_engine(snapshot)
    catalogue = earlier.items["item_id"].combine_chunks()
    # Weights are about those whose past is known; the others get what is popular whatever the weights are.
    learned: dict[str, LearnedWeights] = {}
    weights: dict[str, dict[str, float]] = {}
    for done, (case, targets) in enumerate((("unseen", split.unseen), ("repeats", split.repeats))):
        progress("weights", done, 2)
        scores = source_scores(
            engine,
            split.user_id,
            catalogue,
            hide_seen=case == "unseen",
            seen_event_names=target_events,
            now_us=earlier.as_of_us,
            candidates=CANDIDATES,
        )
        allowed = [source != "repeat" or case == "repeats" for source in SOURCES]
        found = learn_weights(scores, targets, allowed, seed=seed)
        if found.users >= USERS_MIN and sum(found.weights) > 0:
            learned[case] = found
            weights[case] = dict(zip(SOURCES, found.weights, strict=True))
        else:
            weights[case] = dict(DEFAULT_WEIGHTS[case])
    progress("weights", 2, 2)
    return Validation(earlier.as_of, weights, learned)
