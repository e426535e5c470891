"""Carries what a snapshot learned over to newer items and users.

Rows stand for ids in ascending order, so that new ids move the old ones without changing their order: each row
and each neighbour gets its new number, lists stay sorted as they were, and a new item or user has no neighbours
until the next build. Where nothing is new the arrays, and so the files, are equal. A model keeps its version: what
it says has not changed.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from promosvc.pipeline.learn import Learned
from promosvc.pipeline.past import Past
from promosvc.snapshot import Carried, Model, NeighbourLists

COUNTED = ("popular",)
"""Models that a refresh makes anew."""


def carry(before: Carried, past: Past) -> Learned:
    """What an earlier snapshot learned, over the items and users of a past."""
    blend = {**before.blend, "event_weights": dict(past.vocabulary_weights)}
    return Learned(
        item_neighbours=remap(
            before.item_neighbours, places(before.item_ids, past.items["item_id"]), past.items.num_rows
        ),
        user_neighbours=remap(
            before.user_neighbours, places(before.user_ids, past.users["user_id"]), past.users.num_rows
        ),
        blend=blend,
        models=[_model(model, before.blend, blend) for model in before.models if model.name not in COUNTED],
    )


def places(old_ids: pa.Array, new_ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The new row of each old one; -1 for one that is gone. Both ascend."""
    found = pc.fill_null(pc.index_in(old_ids, value_set=new_ids.combine_chunks()), -1)
    rows: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return rows


def remap(lists: NeighbourLists, place: npt.NDArray[np.int64], rows: int) -> NeighbourLists:
    """Neighbour lists under new row numbers; `place` ascends but for the -1 of what is gone."""
    row = np.repeat(place, np.diff(lists.indptr))
    neighbour = place[lists.neighbour]
    stays = (row >= 0) & (neighbour >= 0)
    lengths = np.bincount(row[stays], minlength=rows)
    return NeighbourLists(
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        neighbour=neighbour[stays].astype(np.uint32),
        similarity=lists.similarity[stays],
    )


def _model(model: Model, before: Mapping[str, object], blend: Mapping[str, object]) -> Model:
    """A model as it was; a blend that learned the weight of a new event name is another one, made of its file."""
    if model.name == "blend" and blend != before:
        return Model("blend", ["blend.json"], model.parameters)
    return model
