"""Arrays become the Arrow tables of docs/snapshot-format.md, and their bytes.

Field names, types, order and nullability are the format's. A file holds exactly one record batch, also
when it has no rows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from promosvc.errors import InvalidArgumentError
from promosvc.snapshot.content import FeatureRows, SnapshotContent

OFFSET_MAX = 2**31 - 1

ITEMS_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("unit_price_minor", pa.int64()),
        pa.field("currency", pa.string()),
        pa.field("stock", pa.int64()),
        pa.field("is_available", pa.bool_(), nullable=False),
    ]
)
USERS_SCHEMA = pa.schema([pa.field("user_id", pa.string(), nullable=False)])


def tables(content: SnapshotContent) -> dict[str, pa.RecordBatch]:
    """All Arrow files of a snapshot by name.

    Raises:
        InvalidArgumentError: a column is missing or of a wrong type, an array has a wrong length, or a
            list column is too long for 32-bit offsets; `field` is "file.column".
    """
    history, popular = content.history, content.popular
    files = {
        "items.arrow": _batch("items.arrow", content.items, ITEMS_SCHEMA),
        "users.arrow": _batch("users.arrow", content.users, USERS_SCHEMA),
        "history.arrow": _lists(
            "history.arrow",
            history.indptr,
            {
                "item": (history.item, pa.uint32()),
                "event": (history.event, pa.uint8()),
                "last_at_us": (history.last_at_us, pa.int64()),
                "count": (history.count, pa.uint32()),
            },
        ),
        "popular.arrow": _lists(
            "popular.arrow",
            popular.indptr,
            {"item": (popular.item, pa.uint32()), "score": (popular.score, pa.float32())},
            {"window_days": pa.array(popular.window_days, pa.int32())},
        ),
    }
    for file, neighbours in (
        ("item_neighbours.arrow", content.item_neighbours),
        ("user_neighbours.arrow", content.user_neighbours),
    ):
        files[file] = _lists(
            file,
            neighbours.indptr,
            {
                "neighbour": (neighbours.neighbour, pa.uint32()),
                "similarity": (neighbours.similarity, pa.float32()),
            },
        )
    files["event_ids.arrow"] = _event_ids(content.event_ids)
    for rows in content.features:
        files[feature_file(rows.name)] = _features(rows)
    return files


def feature_file(view: str) -> str:
    """Name of a feature view's file."""
    return f"features/{view}.arrow"


def to_bytes(batch: pa.RecordBatch) -> pa.Buffer:
    """The bytes of an Arrow IPC file with one record batch, uncompressed."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V5, compression=None)
    with pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _batch(file: str, table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        if field.name not in table.column_names:
            raise _wrong(file, field.name, f"is missing; there are {', '.join(table.column_names)}")
        try:
            array = _one_array(table[field.name].cast(field.type))
        except pa.ArrowInvalid as error:
            raise _wrong(file, field.name, f"is not {field.type}: {error}") from error
        if array.null_count and not field.nullable:
            raise _wrong(file, field.name, f"has {array.null_count} nulls; none is allowed")
        # What lies under a null is undefined, and equal content must give equal bytes.
        arrays.append(pa.array(array.to_pylist(), field.type) if array.null_count else array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _lists(
    file: str,
    indptr: npt.NDArray[np.int64],
    columns: Mapping[str, tuple[npt.NDArray[Any], pa.DataType]],
    leading: Mapping[str, pa.Array] | None = None,
) -> pa.RecordBatch:
    if len(indptr) == 0 or indptr[0] != 0 or np.any(np.diff(indptr) < 0):
        raise _wrong(file, "indptr", "does not begin at 0 and ascend")
    if indptr[-1] > OFFSET_MAX:
        raise _wrong(file, "indptr", f"ends at {indptr[-1]}; 32-bit offsets end at {OFFSET_MAX}")
    offsets = pa.array(indptr.astype(np.int32))
    fields, arrays = [], []
    for name, array in (leading or {}).items():
        fields.append(pa.field(name, array.type, nullable=False))
        arrays.append(array)
    for name, (values, type_) in columns.items():
        if len(values) != indptr[-1]:
            raise _wrong(file, name, f"has {len(values)} values; its offsets end at {indptr[-1]}")
        list_type = pa.list_(pa.field("item", type_, nullable=False))
        fields.append(pa.field(name, list_type, nullable=False))
        arrays.append(pa.ListArray.from_arrays(offsets, pa.array(values, type_), type=list_type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _event_ids(keys: npt.NDArray[np.uint64]) -> pa.RecordBatch:
    if keys.ndim != 2 or keys.shape[1] != 2:
        raise _wrong("event_ids.arrow", "high", f"is of shape {keys.shape}, not (n, 2)")
    fields = [pa.field(name, pa.uint64(), nullable=False) for name in ("high", "low")]
    arrays = [pa.array(np.ascontiguousarray(keys[:, at]), pa.uint64()) for at in (0, 1)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _features(rows: FeatureRows) -> pa.RecordBatch:
    file, width = feature_file(rows.name), len(rows.features)
    keys = {"entity_id": rows.entity_id}
    if rows.category is not None:
        keys["category"] = rows.category
    fields = [pa.field(name, pa.string(), nullable=False) for name in keys]
    arrays = [_one_array(array.cast(pa.string())) for array in keys.values()]
    fields.append(pa.field("event_at_us", pa.int64(), nullable=False))
    arrays.append(pa.array(rows.event_at_us, pa.int64()))
    for name, values, type_ in (
        ("value", rows.values, pa.float32()),
        ("status", rows.statuses, pa.uint8()),
    ):
        if values.shape != (len(rows.entity_id), width):
            raise _wrong(file, name, f"is of shape {values.shape}, not ({len(rows.entity_id)}, {width})")
        list_type = pa.list_(pa.field("item", type_, nullable=False), width)
        fields.append(pa.field(name, list_type, nullable=False))
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), type_)
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=list_type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def _wrong(file: str, column: str, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{what}", reason="SNAPSHOT_CONTENT", field=f"{file}.{column}")
