"""Who is asked, and what is right: the later part of the data, cut at one global time."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from promosvc.evaluation.metrics import Targets


@dataclass(frozen=True)
class Split:
    """The users of the later part and the items that they chose in it."""

    user_id: pa.Array
    """string; ascending."""
    is_known: pa.Array
    """bool: whether the user has a past before the cut; others are answered with what is popular."""
    repeats: Targets
    """All items chosen in the later part."""
    unseen: Targets
    """Only those that the user had not chosen before the cut."""


def make_split(later: pa.Table, earlier: pa.Table, catalogue: pa.Array, known_users: pa.Array) -> Split:
    """Make a split.

    Args:
        later: `user_id`, `item_id` of each choice after the cut; pairs may repeat.
        earlier: the same before the cut.
        catalogue: item ids of the snapshot, in its order.
        known_users: user ids of the snapshot.
    """
    pairs = later.select(["user_id", "item_id"]).group_by(["user_id", "item_id"]).aggregate([])
    pairs = pairs.sort_by([("user_id", "ascending"), ("item_id", "ascending")]).combine_chunks()
    before = earlier.select(["user_id", "item_id"]).group_by(["user_id", "item_id"]).aggregate([])
    before = before.append_column("was_chosen", pa.array(np.ones(before.num_rows, bool)))
    joined = pairs.join(before, ["user_id", "item_id"], join_type="left outer")
    joined = joined.sort_by([("user_id", "ascending"), ("item_id", "ascending")]).combine_chunks()

    users = pc.unique(pairs["user_id"]) if pairs.num_rows else pa.array([], pa.string())
    user = pc.index_in(joined["user_id"], value_set=users).to_numpy().astype(np.int64)
    was_chosen = pc.fill_null(joined["was_chosen"], False).to_numpy().astype(bool)

    # An item that the catalogue did not hold yet stays a target that nobody can hit.
    row = pc.index_in(joined["item_id"], value_set=catalogue).to_numpy(zero_copy_only=False)
    row = np.nan_to_num(np.asarray(row, np.float64), nan=-1).astype(np.int64)
    is_new = row < 0
    row[is_new] = len(catalogue) + np.arange(is_new.sum())
    return Split(
        user_id=users,
        is_known=pc.is_in(users, value_set=known_users),
        repeats=_targets(user, row, len(users), len(catalogue)),
        unseen=_targets(user[~was_chosen], row[~was_chosen], len(users), len(catalogue)),
    )


def _targets(
    user: np.ndarray[tuple[int], np.dtype[np.int64]],
    item: np.ndarray[tuple[int], np.dtype[np.int64]],
    users: int,
    catalogue_size: int,
) -> Targets:
    return Targets(
        indptr=np.searchsorted(user, np.arange(users + 1)).astype(np.int64),
        item=item,
        catalogue_size=catalogue_size,
    )
