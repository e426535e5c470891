"""Fits the models on a past, and writes them as the content of a snapshot.

What a snapshot holds is of two kinds. *Learned* are item and user neighbours and the blend: a build makes
them, a refresh carries them over. *Counted* is all else: histories, popular items, features, the catalogue.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata

import numpy as np

from promosvc import _core
from promosvc.evaluation import SOURCES
from promosvc.features import EncodedView
from promosvc.models import Interactions, ItemKNN, Popular, UserKNN, build_interactions
from promosvc.pipeline.past import Past
from promosvc.snapshot import (
    FeatureRows,
    HistoryLists,
    Model,
    NeighbourLists,
    PopularLists,
    SnapshotContent,
)

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); a total of 0 means that it is not known."""

WINDOWS_DAYS = (1, 7, 30)
LIBRARIES = ("duckdb", "numpy", "pyarrow")


@dataclass(frozen=True)
class BuildParameters:
    """What models are built with; tuned on months of Complete Journey that no report uses.

    60 neighbours and 60 events of history, not 100: a request costs two fifths of the additions, and the blend's
    nDCG@10 on those months is the same within noise (.4169 and .0438 against .4147 and .0440, with repeats and
    without).
    """

    item_half_life_days: float = 30.0
    """Age at which an interaction counts half where items are compared."""
    item_neighbourhood: str = "of_history"
    """Whose neighbours count; see `ItemKNN`."""
    item_neighbours: int = 60
    item_row_max: int = 60
    """Most items that one item of a history speaks for; times `item_history_max` it bounds a request."""
    item_shrinkage: float = 5.0
    item_history_max: int = 60
    """Newest items of a user's history that are used to recommend."""
    item_history_half_life_days: float = 60.0
    user_half_life_days: float = 60.0
    """Age at which an interaction counts half where users are compared."""
    user_neighbours: int = 60
    user_shrinkage: float = 0.5
    user_history_max: int = 60
    repeat_half_life_days: float = 120.0
    validation_days: int = 28
    """The last so many days are what the weights are learned on."""


Weights = Mapping[str, Mapping[str, float]]
"""The weight of each source, for `unseen` and for `repeats`."""

DEFAULT_WEIGHTS: Weights = {
    "unseen": dict(zip(SOURCES, (0.3, 0.4, 0.0, 0.0, 0.2, 0.1), strict=True)),
    "repeats": dict(zip(SOURCES, (0.1, 0.2, 0.5, 0.0, 0.1, 0.1), strict=True)),
}
"""Where the data are too few to learn from."""


@dataclass(frozen=True)
class Models:
    """The fitted models."""

    item_knn: ItemKNN
    user_knn: UserKNN
    popular: tuple[Popular, ...]


@dataclass(frozen=True)
class Learned:
    """What of a snapshot is learned, as its rows."""

    item_neighbours: NeighbourLists
    user_neighbours: NeighbourLists
    blend: Mapping[str, object]
    """The document of `blend.json`."""
    models: Sequence[Model]
    """Their names, parameters and, where they are carried over, versions."""


def fit(past: Past, parameters: BuildParameters, progress: Progress) -> Models:
    """Fit all models on a past."""
    items = past.items.num_rows
    progress("fit", 0, 3)
    by_item = _interactions(past, parameters.item_half_life_days)
    item_knn = ItemKNN(
        "cosine",
        top_n=parameters.item_neighbours,
        shrinkage=parameters.item_shrinkage,
        neighbourhood=parameters.item_neighbourhood,
        row_max=parameters.item_row_max,
    ).fit(by_item.indptr, by_item.indices, by_item.data, items)
    progress("fit", 1, 3)
    by_user = _interactions(past, parameters.user_half_life_days)
    user_knn = UserKNN("cosine", top_n=parameters.user_neighbours, shrinkage=parameters.user_shrinkage).fit(
        by_user.indptr, by_user.indices, by_user.data, items
    )
    progress("fit", 2, 3)
    popular = fit_popular(past)
    progress("fit", 3, 3)
    return Models(item_knn, user_knn, popular)


def fit_popular(past: Past) -> tuple[Popular, ...]:
    """Count what is popular in each window."""
    items, ages = past.histories.item, past.ages_days
    return tuple(
        Popular(days).fit(items, ages, past.items.num_rows, weights=past.entry_weights)
        for days in WINDOWS_DAYS
    )


def content_of(
    past: Past,
    models: Models,
    views: Sequence[EncodedView],
    weights: Weights,
    parameters: BuildParameters,
    seed: int,
) -> SnapshotContent:
    """Everything that goes into the snapshot of a build."""
    learned = Learned(
        item_neighbours=_lists(models.item_knn),
        user_neighbours=_lists(models.user_knn),
        blend=_blend(past, weights, parameters),
        models=_models(parameters),
    )
    return assemble(past, learned, models.popular, views, seed)


def assemble(
    past: Past, learned: Learned, popular: Sequence[Popular], views: Sequence[EncodedView], seed: int
) -> SnapshotContent:
    """Everything that goes into a snapshot, whether learned now or carried over."""
    histories = past.histories
    lengths = [len(each.items_) for each in popular]
    return SnapshotContent(
        watermark_at_us=past.watermark_at_us,
        seed=seed,
        items=past.items,
        users=past.users,
        history=HistoryLists(
            events=histories.events,
            indptr=histories.indptr,
            item=histories.item,
            event=histories.event,
            last_at_us=histories.last_at_us,
            count=histories.count,
        ),
        item_neighbours=learned.item_neighbours,
        user_neighbours=learned.user_neighbours,
        popular=PopularLists(
            window_days=WINDOWS_DAYS,
            indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            item=np.concatenate([each.items_ for each in popular]),
            score=np.concatenate([each.scores_ for each in popular]),
        ),
        features=[_rows(view) for view in views],
        blend=learned.blend,
        models=[
            *learned.models,
            Model("popular", ["popular.arrow"], {"windows_days": list(WINDOWS_DAYS)}),
        ],
        library_versions=library_versions(),
        event_ids=past.event_ids,
        events_position=past.events_position,
    )


def library_versions() -> dict[str, str]:
    """What a snapshot says of the libraries that made it."""
    return {
        "promosvc": _core.__version__,
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def _interactions(past: Past, half_life_days: float) -> Interactions:
    return build_interactions(
        past.histories.user_row,
        past.histories.item,
        n_users=past.users.num_rows,
        n_items=past.items.num_rows,
        weights=past.entry_weights,
        ages_days=past.ages_days,
        half_life_days=half_life_days,
    )


def _lists(model: ItemKNN | UserKNN) -> NeighbourLists:
    return NeighbourLists(model.indptr_, model.neighbours_, model.similarities_)


def _rows(view: EncodedView) -> FeatureRows:
    return FeatureRows(
        name=view.view.name,
        entity=view.view.entity,
        ttl_seconds=view.view.ttl_seconds,
        features=[
            (feature.name, feature.type, dictionary)
            for feature, dictionary in zip(view.view.features, view.dictionaries, strict=True)
        ],
        entity_id=view.entity_id,
        category=view.category,
        event_at_us=view.event_at_us,
        values=view.values,
        statuses=view.statuses,
    )


def _blend(past: Past, weights: Weights, parameters: BuildParameters) -> dict[str, object]:
    return {
        "item_knn": {
            "history_max": parameters.item_history_max,
            "history_half_life_days": parameters.item_history_half_life_days,
        },
        "user_knn": {
            "neighbours_max": parameters.user_neighbours,
            "history_max": parameters.user_history_max,
        },
        "repeat": {"half_life_days": parameters.repeat_half_life_days},
        "weights": {case: dict(by_source) for case, by_source in weights.items()},
        "event_weights": dict(past.vocabulary_weights),
    }


def _models(parameters: BuildParameters) -> list[Model]:
    given = asdict(parameters)
    of = {
        name: {key: value for key, value in given.items() if key.startswith(name)}
        for name in ("item", "user")
    }
    return [
        Model("item_knn", ["item_neighbours.arrow"], {"similarity": "cosine", **of["item"]}),
        Model("user_knn", ["user_neighbours.arrow"], {"similarity": "cosine", **of["user"]}),
        Model("blend", ["blend.json"], {"validation_days": parameters.validation_days}),
    ]
