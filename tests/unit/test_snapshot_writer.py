"""What is written is what the format says, whole or not at all."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from snapshot_fixture import content, rows, u32

from promosvc import snapshot
from promosvc.errors import InvalidArgumentError, IoError, SnapshotError
from promosvc.snapshot import HistoryLists, NeighbourLists, writer


def names_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_snapshot_is_what_its_manifest_says(tmp_path: Path) -> None:
    id_ = snapshot.write(content(), tmp_path)
    assert names_in(tmp_path) == [id_]
    manifest_bytes = (tmp_path / id_ / "manifest.json").read_bytes()
    assert id_ == f"20180101T040120Z-{hashlib.sha256(manifest_bytes).hexdigest()[:16]}"
    manifest = json.loads(manifest_bytes)
    on_disk = sorted(
        str(path.relative_to(tmp_path / id_)) for path in (tmp_path / id_).rglob("*") if path.is_file()
    )
    assert on_disk == sorted([*manifest["files"], "manifest.json"])
    for file, entry in manifest["files"].items():
        data = (tmp_path / id_ / file).read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        if file.endswith(".arrow"):
            reader = pa.ipc.open_file(data)
            assert reader.num_record_batches == 1
            assert entry["rows"] == reader.get_batch(0).num_rows
    assert [view["name"] for view in manifest["feature_views"]] == [
        "cross_things",
        "item_things",
        "user_things",
    ]
    assert [model["name"] for model in manifest["models"]] == ["blend", "item_knn"]


def test_the_engine_takes_it(tmp_path: Path) -> None:
    id_ = snapshot.write(content(), tmp_path)
    assert snapshot.verify(tmp_path, id_)["snapshot_id"] == id_


def test_schemas_are_the_formats(tmp_path: Path) -> None:
    id_ = snapshot.write(content(), tmp_path)
    seen = {}
    for file in (tmp_path / id_).rglob("*.arrow"):
        schema = pa.ipc.open_file(file.read_bytes()).schema
        seen[file.name] = [
            f"{field.name}: {field.type}{'' if field.nullable else ' not null'}" for field in schema
        ]
    assert seen["users.arrow"] == ["user_id: string not null"]
    assert seen["items.arrow"][4:] == [
        "unit_price_minor: int64",
        "currency: string",
        "stock: int64",
        "is_available: bool not null",
    ]
    assert seen["event_ids.arrow"] == ["high: uint64 not null", "low: uint64 not null"]
    assert [line.split(" ")[0] for line in seen["history.arrow"]] == [
        "item:",
        "event:",
        "last_at_us:",
        "count:",
    ]
    assert seen["cross_things.arrow"][1] == "category: string not null"
    assert "fixed_size_list" in seen["user_things.arrow"][2]


def test_equal_content_gives_an_equal_id_and_other_content_another(tmp_path: Path) -> None:
    first = snapshot.write(content(), tmp_path)
    assert snapshot.write(content(), tmp_path) == first
    assert names_in(tmp_path) == [first]
    made = content()
    similar = NeighbourLists(
        made.item_neighbours.indptr, made.item_neighbours.neighbour, np.array([0.5, 0.25], np.float32)
    )
    assert snapshot.write(content(item_neighbours=similar), tmp_path) != first
    assert snapshot.write(content(seed=8), tmp_path) != first


def test_a_models_version_changes_with_its_file_and_its_parameters_only(tmp_path: Path) -> None:
    def versions(made: Any) -> dict[str, str]:
        manifest = json.loads((tmp_path / snapshot.write(made, tmp_path) / "manifest.json").read_bytes())
        return {model["name"]: model["version"] for model in manifest["models"]}

    base = versions(content())
    made = content()
    similar = NeighbourLists(
        made.item_neighbours.indptr, made.item_neighbours.neighbour, np.array([0.5, 0.25], np.float32)
    )
    other_file = versions(content(item_neighbours=similar))
    assert other_file["item_knn"] != base["item_knn"]
    assert other_file["blend"] == base["blend"]
    other_parameters = versions(
        content(models=[replace(made.models[0], parameters={"top_n": 2}), made.models[1]])
    )
    assert other_parameters["item_knn"] != base["item_knn"]
    assert versions(content(seed=9)) == base


def test_a_version_that_is_given_is_kept(tmp_path: Path) -> None:
    made = content(models=[replace(content().models[0], version="0123456789abcdef"), content().models[1]])
    manifest = json.loads((tmp_path / snapshot.write(made, tmp_path) / "manifest.json").read_bytes())
    assert [model["version"] for model in manifest["models"] if model["name"] == "item_knn"] == [
        "0123456789abcdef"
    ]


def test_what_was_learned_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    made = content(events_position=17)
    id_ = snapshot.write(made, tmp_path)
    carried = snapshot.read(tmp_path, id_)
    assert (carried.snapshot_id, carried.events_position, carried.seed) == (id_, 17, made.seed)
    assert carried.item_ids.to_pylist() == ["far", "near", "new"]
    assert carried.user_ids.to_pylist() == ["ada", "bob"]
    for found, wanted in (
        (carried.item_neighbours, made.item_neighbours),
        (carried.user_neighbours, made.user_neighbours),
    ):
        assert found.indptr.tolist() == wanted.indptr.tolist()
        assert found.neighbour.tolist() == wanted.neighbour.tolist()
        assert found.similarity.tolist() == wanted.similarity.tolist()
    assert carried.blend == made.blend
    assert {model.name: len(model.version) for model in carried.models} == {"item_knn": 16, "blend": 16}
    again = replace(made, models=carried.models)
    assert snapshot.write(again, tmp_path) == id_
    (tmp_path / id_ / "blend.json").write_text("{}")
    with pytest.raises(SnapshotError, match=r"blend\.json"):
        snapshot.read(tmp_path, id_)


def test_ids_of_imported_events_are_ascending(tmp_path: Path) -> None:
    keys = np.array([[1, 2**64 - 1], [2, 0], [2**63, 5]], np.uint64)
    id_ = snapshot.write(content(event_ids=keys), tmp_path)
    batch = pa.ipc.open_file((tmp_path / id_ / "event_ids.arrow").read_bytes()).get_batch(0)
    assert batch.to_pydict() == {"high": [1, 2, 2**63], "low": [2**64 - 1, 0, 5]}
    with pytest.raises(SnapshotError, match=r"event_ids\.arrow"):
        snapshot.write(content(event_ids=keys[::-1]), tmp_path)
    with pytest.raises(InvalidArgumentError, match="not"):
        snapshot.write(content(event_ids=keys.reshape(2, 3)), tmp_path)


def test_a_snapshot_may_be_empty(tmp_path: Path) -> None:
    nothing = content(
        items=content().items.slice(0, 0),
        users=content().users.slice(0, 0),
        history=HistoryLists(
            (), np.zeros(1, np.int64), u32(), np.zeros(0, np.uint8), np.zeros(0, np.int64), u32()
        ),
        item_neighbours=NeighbourLists(np.zeros(1, np.int64), u32(), np.zeros(0, np.float32)),
        user_neighbours=NeighbourLists(np.zeros(1, np.int64), u32(), np.zeros(0, np.float32)),
        popular=replace(
            content().popular, indptr=np.zeros(4, np.int64), item=u32(), score=np.zeros(0, np.float32)
        ),
        features=[],
    )
    id_ = snapshot.write(nothing, tmp_path)
    assert snapshot.verify(tmp_path, id_)["snapshot_id"] == id_


@pytest.mark.parametrize("step", range(15))
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    kept = snapshot.write(content(seed=1), tmp_path)
    real, calls = os.fsync, 0

    def fail(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(IoError, match="No space left"):
        snapshot.write(content(), tmp_path)
    monkeypatch.undo()
    # Eleven files and two directories are synced before the rename; after it the name alone may be lost.
    whole = [name for name in names_in(tmp_path) if name != kept]
    assert all(not name.startswith(".building") for name in whole)
    for name in whole:
        snapshot.verify(tmp_path, name)
    assert len(whole) == (1 if step >= 14 else 0)


def test_the_engine_refuses_wrong_content_and_nothing_stays(tmp_path: Path) -> None:
    made = content()
    wrong = NeighbourLists(made.item_neighbours.indptr, u32(1, 9), made.item_neighbours.similarity)
    with pytest.raises(SnapshotError, match=r"item_neighbours\.arrow"):
        snapshot.write(content(item_neighbours=wrong), tmp_path)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": content().items.drop_columns(["title"])}, "items.arrow.title"),
        (
            {"items": content().items.set_column(1, "kind", pa.array(["a", None, "b"]))},
            "items.arrow.kind",
        ),
        (
            {"items": content().items.set_column(4, "unit_price_minor", pa.array(["x", "y", "z"]))},
            "items.arrow.unit_price_minor",
        ),
        ({"history": replace(content().history, count=u32(1))}, "history.arrow.count"),
        ({"history": replace(content().history, indptr=np.array([0, 2, 1]))}, "history.arrow.indptr"),
        (
            {"features": [replace(rows("v", "user", ["a"]), statuses=np.ones((1, 3), np.uint8))]},
            "features/v.arrow.status",
        ),
    ],
)
def test_content_that_does_not_fit_is_refused_by_its_column(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        snapshot.write(content(**change), tmp_path / "root")
    assert caught.value.field == field
    assert not (tmp_path / "root").exists()


def test_a_damaged_snapshot_of_the_same_id_is_replaced(tmp_path: Path) -> None:
    id_ = snapshot.write(content(), tmp_path)
    file = tmp_path / id_ / "items.arrow"
    file.write_bytes(file.read_bytes()[:-1])
    assert snapshot.write(content(), tmp_path) == id_
    snapshot.verify(tmp_path, id_)
    assert names_in(tmp_path) == [id_]


def test_what_a_dead_build_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, young = tmp_path / ".building-old", tmp_path / ".building-young"
    for folder in (old, young):
        (folder / "features").mkdir(parents=True)
    os.utime(old, (0, 0))
    id_ = snapshot.write(content(), tmp_path)
    assert names_in(tmp_path) == sorted([".building-young", id_])
    assert writer.ABANDONED_SECONDS == 86_400


@pytest.mark.parametrize(
    "file", ["manifest.json", "items.arrow", "history.arrow", "blend.json", "features/user_things.arrow"]
)
def test_one_flipped_bit_is_found(tmp_path: Path, file: str) -> None:
    id_ = snapshot.write(content(), tmp_path)
    path = tmp_path / id_ / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotError) as caught:
        snapshot.verify(tmp_path, id_)
    assert file in str(caught.value)


def test_a_file_too_many_and_one_too_few_are_found(tmp_path: Path) -> None:
    id_ = snapshot.write(content(), tmp_path)
    (tmp_path / id_ / "notes.txt").write_text("mine")
    with pytest.raises(SnapshotError, match=r"notes\.txt"):
        snapshot.verify(tmp_path, id_)
    (tmp_path / id_ / "notes.txt").unlink()
    (tmp_path / id_ / "users.arrow").unlink()
    with pytest.raises((SnapshotError, IoError), match=r"users\.arrow"):
        snapshot.verify(tmp_path, id_)


def test_a_renamed_snapshot_is_refused(tmp_path: Path) -> None:
    id_ = snapshot.write(content(), tmp_path)
    other = f"{id_[:-1]}{'0' if id_[-1] != '0' else '1'}"
    shutil.move(tmp_path / id_, tmp_path / other)
    with pytest.raises(SnapshotError, match=id_):
        snapshot.verify(tmp_path, other)
