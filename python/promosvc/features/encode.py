"""Turns the table of a view into the fixed-size rows that a snapshot holds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from promosvc.features.view import FeatureView

PRESENT = 1
MISSING = 2


@dataclass(frozen=True)
class EncodedView:
    """The rows of one view as arrays; n rows of k features."""

    view: FeatureView
    entity_id: pa.Array
    """string[n], ascending by bytes, then by category."""
    category: pa.Array | None
    """string[n] for `user_category`, else nothing."""
    event_at_us: npt.NDArray[np.int64]
    """int64[n], microseconds since 1970-01-01 UTC."""
    values: npt.NDArray[np.float32]
    """float32[n, k], finite; 0 where missing; categories as indices into their dictionary."""
    statuses: npt.NDArray[np.uint8]
    """uint8[n, k]: 1 present, 2 missing."""
    dictionaries: tuple[tuple[str, ...], ...]
    """For each feature its categories, sorted by bytes; empty for a number."""


def encode(view: FeatureView, table: pa.Table) -> EncodedView:
    """Encode a table of `compute`.

    A number that is null, or not finite as float32, is MISSING. A category column that has no value at
    all keeps a dictionary of one empty name, since a dictionary must not be empty.
    """
    rows, count = table.num_rows, len(view.features)
    values = np.zeros((rows, count), np.float32)
    statuses = np.full((rows, count), MISSING, np.uint8)
    dictionaries: list[tuple[str, ...]] = []
    for k, feature in enumerate(view.features):
        column = table[feature.name].combine_chunks()
        if feature.type == "category":
            names = tuple(sorted({name for name in pc.unique(column).to_pylist() if name is not None}))
            dictionaries.append(names or ("",))
            codes = pc.index_in(column, value_set=pa.array(dictionaries[-1], pa.string()))
            numbers = _numbers(codes)
        else:
            dictionaries.append(())
            numbers = _numbers(column)
        # A double beyond float32 becomes infinite here, and so MISSING.
        with np.errstate(over="ignore"):
            narrow = numbers.astype(np.float32)
        is_present = np.isfinite(narrow)
        values[is_present, k] = narrow[is_present]
        statuses[is_present, k] = PRESENT
    return EncodedView(
        view=view,
        entity_id=_array(table["entity_id"]),
        category=_array(table["category"]) if view.entity == "user_category" else None,
        event_at_us=_array(table["event_at"]).cast(pa.int64()).to_numpy(zero_copy_only=False),
        values=values,
        statuses=statuses,
        dictionaries=tuple(dictionaries),
    )


def _array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    if isinstance(column, pa.ChunkedArray):
        column = _array(column)
    filled = pc.fill_null(column.cast(pa.float64()), float("nan"))
    numbers: npt.NDArray[np.float64] = filled.to_numpy(zero_copy_only=False)
    return numbers
