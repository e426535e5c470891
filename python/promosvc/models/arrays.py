"""The array types of this room, and the checks that NumPy does not make."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from promosvc.errors import FailedPreconditionError, InvalidArgumentError

Int64s: TypeAlias = npt.NDArray[np.int64]
UInt32s: TypeAlias = npt.NDArray[np.uint32]
Float32s: TypeAlias = npt.NDArray[np.float32]
Float64s: TypeAlias = npt.NDArray[np.float64]

Csr: TypeAlias = tuple[Int64s, UInt32s, Float32s]
"""`(indptr, indices, data)` of a sparse matrix in compressed rows."""


def codes(name: str, values: npt.ArrayLike, limit: int) -> Int64s:
    """Row numbers as int64, each from 0 to `limit - 1`; `name` is the argument."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidArgumentError(
            f"{name} has dtype {array.dtype} and shape {array.shape}; it must be a vector of whole numbers",
            reason="WRONG_DTYPE",
            field=name,
        )
    if array.size and (array.min() < 0 or array.max() >= limit):
        worst = int(array.min()) if array.min() < 0 else int(array.max())
        raise InvalidArgumentError(
            f"{name} holds {worst}; row numbers are from 0 to {limit - 1}",
            reason="INDEX_OUT_OF_RANGE",
            field=name,
            metadata={"value": str(worst), "limit": str(limit)},
        )
    return array.astype(np.int64, copy=False)


def numbers(name: str, values: npt.ArrayLike, length: int) -> Float64s:
    """Finite numbers as float64, `length` of them; `name` is the argument."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (length,):
        raise InvalidArgumentError(
            f"{name} has shape {array.shape}; it must have one value for each of {length} events",
            reason="WRONG_SHAPE",
            field=name,
        )
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InvalidArgumentError(
            f"{name} entry {at} is {array[at]}; every value must be finite", reason="NOT_FINITE", field=name
        )
    return array


def at_least(name: str, value: float, least: float, *, is_open: bool = False) -> float:
    """`value` if it is finite and at least (or, if open, above) `least`; `name` is the argument."""
    if not (np.isfinite(value) and (value > least if is_open else value >= least)):
        bound = "above" if is_open else "at least"
        raise InvalidArgumentError(
            f"{name} is {value}; it must be finite and {bound} {least:g}",
            reason="OUT_OF_RANGE",
            field=name,
            metadata={"value": str(value), "limit": str(least)},
        )
    return value


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """`value` if it is known; `name` is the argument."""
    if value not in known:
        raise InvalidArgumentError(
            f"{name} is {value!r}; known are {', '.join(known)}",
            reason="UNKNOWN_VALUE",
            field=name,
            metadata={"value": value},
        )
    return value


def check_fitted(estimator: object, attribute: str) -> None:
    """Refuses to predict before `fit`."""
    if not hasattr(estimator, attribute):
        name = type(estimator).__name__
        raise FailedPreconditionError(
            f"this {name} has learned nothing yet; call fit first", reason="NOT_FITTED"
        )


def take_rows(matrix: Csr, rows: Int64s) -> Csr:
    """Rows of a sparse matrix, in the order asked for."""
    indptr, indices, data = matrix
    starts = indptr[rows]
    lengths = indptr[rows + 1] - starts
    taken = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=taken[1:])
    # Position of each entry taken: its row's start plus its offset in the row.
    at = np.repeat(starts - taken[:-1], lengths) + np.arange(taken[-1], dtype=np.int64)
    return taken, indices[at], data[at]
