"""The Arrow import: every table that means strings is read, everything else is refused by name."""

import ctypes
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from promosvc import _core
from promosvc.errors import InvalidArgumentError


def read(users: object) -> list[str]:
    return pa.table(_core.read_users(users))["user_id"].to_pylist()


def refused(users: object, reason: str) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        _core.read_users(users)
    assert caught.value.reason == reason
    assert caught.value.field.startswith("users")
    return str(caught.value)


# -- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_all_string_types(kind: pa.DataType) -> None:
    assert read(pa.table({"user_id": pa.array(["near", "far", "ß" * 50], kind)})) == ["near", "far", "ß" * 50]


def test_frames_of_all_three_libraries() -> None:
    assert read(pl.DataFrame({"user_id": ["near", "far"]})) == ["near", "far"]
    assert read(pd.DataFrame({"user_id": ["near", "far"]})) == ["near", "far"]
    assert read(pa.record_batch({"user_id": ["near", "far"]})) == ["near", "far"]


def test_chunked_and_empty_streams() -> None:
    chunks = pa.chunked_array([["a", "b"], [], ["c"]], pa.string())
    assert read(pa.table({"user_id": chunks})) == ["a", "b", "c"]
    assert read(pa.table({"user_id": pa.array([], pa.string())})) == []
    assert read(pa.table({"user_id": pa.chunked_array([], pa.string())})) == []


def test_sliced_arrays() -> None:
    names = [f"user-{number}" for number in range(100)]
    table = pa.table({"user_id": names})
    assert read(table.slice(37, 5)) == names[37:42]
    assert read(table.slice(99)) == names[99:]
    batch = pa.record_batch({"user_id": pa.array(names, pa.string_view())})
    assert read(batch.slice(3, 2)) == names[3:5]
    # A slice that leaves the nulls outside has none.
    assert read(pa.table({"user_id": [None, "a", None]}).slice(1, 1)) == ["a"]


# -- what is not a stream -------------------------------------------------------------------------


class Gives:
    """An object whose `__arrow_c_stream__` gives what it is told to."""

    def __init__(self, give: Callable[[], object]) -> None:
        self.give = give

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.give()


def test_objects_without_a_stream() -> None:
    for users in (None, ["ada"], {"user_id": ["ada"]}, np.array(["ada"])):
        assert type(users).__name__ in refused(users, "NOT_AN_ARROW_STREAM")


def test_a_method_that_gives_no_capsule() -> None:
    assert "gave a int" in refused(Gives(lambda: 7), "NOT_AN_ARROW_STREAM")


def test_a_method_that_raises_keeps_its_error() -> None:
    def fail() -> object:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        _core.read_users(Gives(fail))


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def test_a_capsule_of_another_name() -> None:
    schema = pa.schema([("user_id", pa.string())])
    assert "another name" in refused(Gives(schema.__arrow_c_schema__), "NOT_AN_ARROW_STREAM")
    memory = ctypes.create_string_buffer(64)
    unnamed = new_capsule(ctypes.addressof(memory), None, None)
    assert "another name" in refused(Gives(lambda: unnamed), "NOT_AN_ARROW_STREAM")


def test_a_stream_that_was_consumed() -> None:
    capsule = pa.table({"user_id": ["ada"]}).__arrow_c_stream__()
    once = Gives(lambda: capsule)
    assert read(once) == ["ada"]
    assert "released" in refused(once, "MALFORMED_ARROW")


# -- streams that lie -----------------------------------------------------------------------------


class Schema(ctypes.Structure):
    _fields_ = [
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.POINTER(ctypes.c_void_p)),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


class Array(ctypes.Structure):
    _fields_ = [
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        ("children", ctypes.POINTER(ctypes.c_void_p)),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


Get = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
LastError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Stream(ctypes.Structure):
    _fields_ = [
        ("get_schema", Get),
        ("get_next", Get),
        ("get_last_error", LastError),
        ("release", Release),
        ("private_data", ctypes.c_void_p),
    ]


def release_offset(structure: type[ctypes.Structure]) -> int:
    return structure.release.offset


class Liar:
    """A stream of one batch, made by hand, with one thing changed."""

    def __init__(
        self, *, schema: bytes = b"u", buffers: list[bytes | None] | None = None, **changes: object
    ) -> None:
        self.changes = changes
        self.batches = 0
        self.alive: list[object] = []
        self.released = 0
        offsets = np.array([0, 3, 6], dtype=np.int32).tobytes()
        self.buffers = [None, offsets, b"adabob"] if buffers is None else buffers
        self.format = schema
        self.on_release = Release(self._release)
        self.release_child = Release(lambda address: self._clear(address, Array))
        self.release_schema = Release(lambda address: self._clear(address, Schema))
        self.stream = Stream(
            Get(self._schema), Get(self._next), LastError(lambda _: None), self.on_release, None
        )
        for name in changes.get("without", ()):
            kind = dict(Stream._fields_)[name]
            setattr(self.stream, name, kind())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return new_capsule(ctypes.addressof(self.stream), b"arrow_array_stream", None)

    def _clear(self, address: int, structure: type[ctypes.Structure]) -> None:
        ctypes.c_void_p.from_address(address + release_offset(structure)).value = None

    def _release(self, address: int) -> None:
        self.released += 1
        self._clear(address, Stream)

    def _pointers(self, addresses: list[int | None]) -> object:
        held = (ctypes.c_void_p * max(len(addresses), 1))(*addresses)
        self.alive.append(held)
        return ctypes.cast(held, ctypes.POINTER(ctypes.c_void_p))

    def _schema(self, _stream: int, out: int) -> int:
        if "schema_code" in self.changes:
            return int(self.changes["schema_code"])
        release = ctypes.cast(self.release_schema, ctypes.c_void_p)
        child = Schema(self.format, b"user_id", None, 0, 0, None, None, release, None)
        self.alive.append(child)
        children = self._pointers([ctypes.addressof(child)])
        parent = Schema(b"+s", b"", None, 0, 1, children, None, release, None)
        ctypes.memmove(out, ctypes.addressof(parent), ctypes.sizeof(parent))
        return 0

    def _next(self, _stream: int, out: int) -> int:
        self.batches += 1
        if "next_code" in self.changes:
            return int(self.changes["next_code"])
        if self.batches > 1:
            ctypes.memset(out, 0, ctypes.sizeof(Array))
            return 0
        addresses: list[int | None] = []
        for buffer in self.buffers:
            held = (
                None if buffer is None else ctypes.create_string_buffer(buffer + bytes(64), len(buffer) + 64)
            )
            self.alive.append(held)
            addresses.append(None if held is None else ctypes.addressof(held))
        release = ctypes.cast(self.release_child, ctypes.c_void_p)
        length = int(self.changes.get("length", 2))
        child = Array(
            length,
            int(self.changes.get("null_count", 0)),
            int(self.changes.get("offset", 0)),
            len(addresses),
            0,
            self._pointers(addresses),
            None,
            None,
            release,
            None,
        )
        self.alive.append(child)
        n_children = int(self.changes.get("n_children", 1))
        children = self._pointers([ctypes.addressof(child)] if n_children else [])
        rows = int(self.changes.get("rows", 2))
        parent = Array(rows, 0, 0, 1, n_children, self._pointers([None]), children, None, release, None)
        ctypes.memmove(out, ctypes.addressof(parent), ctypes.sizeof(parent))
        return 0


def test_the_hand_made_stream_is_sound_when_nothing_is_changed() -> None:
    liar = Liar()
    assert read(liar) == ["ada", "bob"]
    assert liar.released == 1


def offsets(*values: int) -> bytes:
    return np.array(values, dtype=np.int32).tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"without": ["get_schema"]},
        {"without": ["get_next"]},
        {"without": ["release"]},
        {"schema_code": 5},
        {"next_code": 5},
        {"next_code": 5, "without": ["get_last_error"]},
        {"schema": b"?"},
        {"schema": b""},
        {"buffers": [None, offsets(0, 6, 3), b"adabob"]},
        {"buffers": [None, offsets(0, -3, 6), b"adabob"]},
        {"buffers": [None, offsets(4, 3, 6), b"adabob"]},
        {"buffers": [None, offsets(0, 3, 6), b"ada\xff\xfe\xfd"]},
        {"buffers": [None, offsets(0, 1, 2), "ß".encode()]},
        {"buffers": [None, None, b"adabob"]},
        {"buffers": [None, offsets(0, 3, 6), None]},
        {"buffers": [None]},
        {"length": 1},
        {"length": -1},
        {"rows": -1},
        {"offset": -1},
        {"n_children": 0},
    ],
    ids=str,
)
def test_streams_that_lie(changes: dict[str, object]) -> None:
    liar = Liar(**changes)
    refused(liar, "MALFORMED_ARROW")
    assert liar.released == (0 if "release" in changes.get("without", ()) else 1)


# -- tables of another meaning --------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"user": ["ada"]}),
        pa.table({"user_id": [7]}),
        pa.table({"user_id": [b"ada"]}),
        pa.table({"user_id": pa.array(["ada"]).dictionary_encode()}),
        pa.table({"user_id": ["ada"], "age": [36]}),
        pa.table({}),
    ],
    ids=lambda table: str(table.schema),
)
def test_tables_of_another_schema(table: pa.Table) -> None:
    assert "exactly one string column, user_id" in refused(table, "WRONG_SCHEMA")


def test_a_stream_of_something_else_than_rows() -> None:
    refused(pa.chunked_array([["ada"]]), "MALFORMED_ARROW")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_nulls(kind: pa.DataType) -> None:
    table = pa.table({"user_id": pa.chunked_array([["ada"], [None, "bob"]], kind)})
    assert "has 1 nulls" in refused(table, "NULL_VALUE")
