"""The Rust core: kernels over arrays, and the served engine.

Every function lets go of the interpreter while it works and leaves no thread behind. A wrong argument raises
`promosvc.errors.InvalidArgumentError`, whose `field` is the argument. Arrays are one-dimensional, contiguous
and of exactly the dtype shown; they are viewed, not copied, and must not be written to during the call.

A sparse matrix is `(indptr, indices, data)` in compressed rows: row r holds the columns
`indices[indptr[r]:indptr[r+1]]` with values `data[...]`. Indices need not ascend but must not repeat in a
row; values are finite and at most 1e12 in magnitude.
"""

from typing import Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "ArrowTable",
    "__version__",
    "dense_products",
    "error_kinds",
    "item_neighbours",
    "read_users",
    "textbook_neighbours",
    "top_products",
    "user_neighbours",
]

__version__: str
"""Version of promosvc."""

_Int64s: TypeAlias = npt.NDArray[np.int64]
_UInt32s: TypeAlias = npt.NDArray[np.uint32]
_Float32s: TypeAlias = npt.NDArray[np.float32]
_Csr: TypeAlias = tuple[_Int64s, _UInt32s, _Float32s]

class _ArrowStreamExportable(Protocol):
    """A table of pyarrow, polars, pandas, DuckDB ...: anything with an Arrow C stream."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class ArrowTable:
    """An answer as an Arrow table; read it with `pyarrow.table(answer)` or `polars.from_arrow(answer)`."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A new stream over the table. `requested_schema` is ignored, as the protocol allows."""

    def __len__(self) -> int:
        """Number of rows."""

def error_kinds() -> list[tuple[str, str]]:
    """Every error kind of the engine and the name of its class in `promosvc.errors`.

    >>> ("NotFound", "NotFoundError") in error_kinds()
    True
    """

def read_users(users: _ArrowStreamExportable) -> ArrowTable:
    """The users as `Engine.recommend` reads them: exactly one string column, `user_id`, without nulls.

    >>> import pyarrow
    >>> pyarrow.table(read_users(pyarrow.table({"user_id": ["ada"]}))).to_pylist()
    [{'user_id': 'ada'}]
    """

def item_neighbours(
    indptr: _Int64s,
    indices: _UInt32s,
    data: _Float32s,
    n_items: int,
    *,
    similarity: str = "cosine",
    top_n: int = 100,
    shrinkage: float = 0.0,
    bm25_k1: float = 1.2,
    bm25_b: float = 0.75,
    threads: int = 0,
) -> _Csr:
    """The most similar items of each item in a user x item matrix.

    Args: indptr: n_users + 1 entries. indices: Item of each cell, below `n_items`. data: Value of each cell.
        Cells of 0 do not count. n_items: Number of items. similarity: "linear" `x·y`, "cosine" `x·y / (‖x‖‖y‖
        + shrinkage)`, "jaccard" `n / (n_x + n_y - n + shrinkage)`
            (values do not matter), or "bm25", the dot product of BM25 weights (values at least 0).
        top_n: Most neighbours of each item, 1 to 1,000.
        shrinkage: At least 0. "linear" and "bm25" are multiplied by `n / (n + shrinkage)`; n is the number of
            users that two items share.
        bm25_k1: Saturation, at least 0.
        bm25_b: Length normalisation, 0 to 1.
        threads: 0 is one for each core; at most 1,024. The result does not depend on it.

    Returns: `(indptr, neighbours, similarities)`, one row for each item: similarity descending, then index
        ascending; finite, above 0, never the item itself.

    >>> indptr, indices = np.array([0, 2, 4]), np.array([0, 1, 1, 2], dtype=np.uint32)
    >>> found = item_neighbours(indptr, indices, np.ones(4, dtype=np.float32), 3)
    >>> found[0].tolist(), found[1].tolist()
    ([0, 1, 3, 4], [1, 0, 2, 1])
    >>> found[2].round(2)
    array([0.71, 0.71, 0.71, 0.71], dtype=float32)
    """

def user_neighbours(
    indptr: _Int64s,
    indices: _UInt32s,
    data: _Float32s,
    n_items: int,
    *,
    similarity: str = "cosine",
    top_n: int = 100,
    shrinkage: float = 0.0,
    bm25_k1: float = 1.2,
    bm25_b: float = 0.75,
    threads: int = 0,
) -> _Csr:
    """The most similar users of each user: `item_neighbours` of the transpose, with one row for each user."""

def textbook_neighbours(
    indptr: _Int64s, indices: _UInt32s, data: _Float32s, n_items: int, *, k: int = 10
) -> _UInt32s:
    """The k users with the largest dot product with each user, whatever it is.

    Never the user itself, ties by the lower index. Returns n_users x k indices in row-major order, most
    similar first. Needs more than `k` users.
    """

def top_products(
    left: _Csr,
    right: _Csr,
    n_columns: int,
    *,
    top_k: int,
    excluded: tuple[_Int64s, _UInt32s] | None = None,
    combination: str = "sum",
    threads: int = 0,
) -> _Csr:
    """The best columns of each row of the product of two sparse matrices.

    Args: left: Rows x middle. right: Middle x `n_columns`. n_columns: Number of columns. top_k: Most columns
        of each row, 1 to 10,000. excluded: `(indptr, indices)` of cells that must not be answered, one row
        for each row of `left`. combination: "sum" is `Σ l·r`, of which only sums above 0 are answered;
        "normalised_by_left" is `Σ l·r / Σ |l|`
            and "normalised_by_right" `Σ l·r / Σ |r|`, the sums being over stored pairs.
        threads: 0 is one for each core; at most 1,024. The result does not depend on it.

    Returns:
        `(indptr, columns, values)`: value descending, then column ascending. A row may be short.
    """

def dense_products(left: _Csr, right: _Csr, n_columns: int, *, combination: str = "sum") -> _Float32s:
    """The product of two sparse matrices, rows x `n_columns` values in row-major order (at most 2 GB).

    Combinations are those of `top_products`; a column that nothing reaches is 0.
    """
