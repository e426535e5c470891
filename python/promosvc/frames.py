"""Frames in and out: pandas, polars and Arrow, the same kind out as came in.

Whatever speaks the Arrow PyCapsule protocol (`__arrow_c_stream__`) comes in. pandas and polars are
imported only to give back to a caller who gave one of them, so that neither is a dependency.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal, Protocol, cast

import pyarrow as pa

from promosvc.errors import InvalidArgumentError

FrameKind = Literal["arrow", "pandas", "polars"]
KINDS: Final[tuple[FrameKind, ...]] = ("arrow", "pandas", "polars")


class ArrowStreamExportable(Protocol):
    """Anything that can be read as a stream of Arrow record batches."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give a PyCapsule of an ArrowArrayStream."""


def to_arrow(frame: ArrowStreamExportable) -> pa.Table:
    """Read a frame as an Arrow table, without a copy where the frame is Arrow inside.

    A pandas index is left out unless it has a name. Raises `InvalidArgumentError` for what is no frame.
    """
    if isinstance(frame, pa.Table):
        return frame
    if kind_of(frame) == "pandas" and getattr(getattr(frame, "index", None), "name", None) is not None:
        frame = cast("Any", frame).reset_index()
    if not hasattr(frame, "__arrow_c_stream__"):
        raise InvalidArgumentError(
            f"{type(frame).__name__} is no frame; give pandas, polars, Arrow or what has __arrow_c_stream__",
            field="frame",
            metadata={"type": type(frame).__name__},
        )
    try:
        table = pa.RecordBatchReader.from_stream(frame).read_all()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InvalidArgumentError(f"the frame cannot be read as Arrow: {error}", field="frame") from error
    index = [name for name in table.column_names if name.startswith("__index_level_")]
    return table.drop_columns(index) if index else table


def kind_of(frame: object) -> FrameKind:
    """Which library a frame is of; "arrow" for anything that is neither pandas nor polars."""
    module = type(frame).__module__.partition(".")[0]
    if module == "pandas":
        return "pandas"
    return "polars" if module == "polars" else "arrow"


def from_arrow(table: pa.Table, kind: FrameKind) -> Any:
    """Give a table as the kind of frame that was asked for.

    Raises `InvalidArgumentError` for an unknown kind, or where its library is not installed.
    """
    if kind == "arrow":
        return table
    if kind not in KINDS:
        raise InvalidArgumentError(
            f"{kind!r} is no kind of frame; the kinds are {', '.join(KINDS)}",
            field="kind",
            metadata={"value": kind},
        )
    try:
        if kind == "pandas":
            return table.to_pandas()
        import polars

        return polars.from_arrow(table)
    except ImportError as error:
        raise InvalidArgumentError(
            f"{kind} is not installed; install it, or ask for another kind of frame", field="kind"
        ) from error


def like(table: pa.Table, frame: object) -> Any:
    """Give a table as the same kind of frame as `frame`."""
    return from_arrow(table, kind_of(frame))


def digest(table: pa.Table) -> str:
    """SHA-256 of schema and content, whatever the chunks; the fingerprint of an imported frame."""
    sink = hashlib.sha256()
    whole = table.combine_chunks()
    sink.update(whole.schema.remove_metadata().to_string().encode())
    for batch in whole.to_batches(max_chunksize=65_536):
        sink.update(batch.serialize())
    return sink.hexdigest()
