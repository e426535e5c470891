"""Measures the served engine on data that it has not seen, and learns its blend.

The protocol: cut the data at one global time, build on the past, ask the engine that a server would run
for every user of the later part, rank over the whole catalogue, and compare with what the users then did.
Leaving out each user's last event instead would let models learn from the future of others (Ji et al.,
TOIS 2023), and sampled negatives would not be comparable with anything.

Stages: `split` says who is asked and what is right; `served` asks the engine; `metrics` judges each user's
list; `bootstrap` tells differences from noise; `report` shows them. `weights` learns the blend from the
same engine's source scores.
"""

from promosvc.evaluation.bootstrap import Difference, paired_difference
from promosvc.evaluation.measure import SINGLE_SOURCES, evaluate
from promosvc.evaluation.metrics import METRICS, Lists, Targets, chance, coverage, judge
from promosvc.evaluation.report import EvaluationReport, EvaluationRow
from promosvc.evaluation.served import open_engine, recommend, source_scores
from promosvc.evaluation.split import Split, make_split
from promosvc.evaluation.weights import SOURCES, LearnedWeights, SourceScores, learn_weights

__all__ = [
    "METRICS",
    "SINGLE_SOURCES",
    "SOURCES",
    "Difference",
    "EvaluationReport",
    "EvaluationRow",
    "LearnedWeights",
    "Lists",
    "SourceScores",
    "Split",
    "Targets",
    "chance",
    "coverage",
    "evaluate",
    "judge",
    "learn_weights",
    "make_split",
    "open_engine",
    "paired_difference",
    "recommend",
    "source_scores",
]
