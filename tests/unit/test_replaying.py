"""`promosvc replay` on a real decision log: the same again, an altered record, a snapshot that is gone."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from snapshot_fixture import SOURCES, WATERMARK_US, content

from promosvc import _core, config, snapshot
from promosvc.config import Config
from promosvc.errors import FailedPreconditionError, NotFoundError
from promosvc.serving import replay_decisions
from promosvc.serving.document import native_document
from promosvc.v1 import event_pb2, recommend_pb2, user_context_pb2

RECOMMEND = "/promosvc.v1.PromoService/Recommend"
RECORD_EVENTS = "/promosvc.v1.PromoService/RecordEvents"
USERS = ("ada", "bob", "new", "")


@pytest.fixture
def kept(tmp_path: Path) -> Config:
    """A data folder in which a door has kept four decisions, the third after an event of its user."""
    snapshots = tmp_path / "snapshots"
    snapshots.mkdir()
    snapshot.publish(snapshots, snapshot.write(content(), snapshots))
    file = tmp_path / "shop.toml"
    file.write_text('[clock]\nstart = "watermark"\n[decisions]\nsample_rate = 1.0\n')
    loaded = config.load(file, {"data.directory": tmp_path}, environment={})
    door = _core.Door(native_document(loaded))
    event = event_pb2.Event(event_id="1", event_name="view_item", user_id="new", item_id="near")
    event.event_at.FromMicroseconds(WATERMARK_US)
    call(door, RECORD_EVENTS, event_pb2.RecordEventsRequest(events=[event]).SerializeToString())
    for user_id in USERS:
        user = user_context_pb2.UserContext(user_id=user_id)
        call(door, RECOMMEND, recommend_pb2.RecommendRequest(user=user).SerializeToString())
    del door  # Writes what waits.
    return loaded


def call(door: _core.Door, method: str, request: bytes) -> bytes:
    code, message, _, response = door.call(method, request, [], 5.0)
    assert (code, message) == (0, "")
    return response


def replay(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "promosvc.cli", "replay", "--data", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_come_out_the_same(kept: Config) -> None:
    done = replay(kept.data.directory)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"]
    assert all(line.endswith("SAME") for line in lines)
    done = replay(kept.data.directory, "--position", "2", "--json")
    (only,) = json.loads(done.stdout)
    assert (only["position"], only["verdict"]) == (2, "SAME")
    assert only["snapshot_id"] == snapshot.current(kept.data.snapshots)


def test_an_altered_answer_is_different(kept: Config) -> None:
    alter(kept.data.decision_log, b"near", b"neaR")
    done = replay(kept.data.directory)
    assert done.returncode == 1, done.stderr
    assert "DIFFERENT" in done.stdout
    assert "recorded neaR" in done.stdout
    decisions = json.loads(replay(kept.data.directory, "--json").stdout)
    different = [decision for decision in decisions if decision["verdict"] == "DIFFERENT"]
    assert different
    for decision in different:
        recorded, replayed = (
            [item["item_id"] for item in decision[which]["items"]] for which in ("recorded", "replayed")
        )
        assert recorded == [item.replace("near", "neaR") for item in replayed]
        assert decision["is_catalogue_same"]


def test_without_its_snapshot_a_decision_is_not_retained(kept: Config) -> None:
    shutil.rmtree(kept.data.snapshots / str(snapshot.current(kept.data.snapshots)))
    done = replay(kept.data.directory, "--last", "2")
    assert done.returncode == 4, done.stderr
    assert done.stdout.count("NOT_RETAINED") == 2


def test_what_cannot_be_replayed_is_said_by_name(kept: Config) -> None:
    with pytest.raises(NotFoundError, match="no decision 4"):
        replay_decisions(kept.data, position=4)
    shutil.rmtree(kept.data.decision_log)
    with pytest.raises(FailedPreconditionError) as failed:
        replay_decisions(kept.data)
    assert failed.value.reason == "NO_DECISION_LOG"


def test_decisions_are_a_table(kept: Config) -> None:
    table = pa.table(_core.read_decisions(str(kept.data.decision_log)))
    assert table["position"].to_pylist() == [0, 1, 2, 3]
    assert table["user_id"].to_pylist() == list(USERS)
    assert table["used_events"].to_pylist() == [0, 0, 1, 0]
    assert set(table["sample_rate"].to_pylist()) == {1.0}
    assert set(table["propensity"].to_pylist()) == {1.0}
    for row in table.to_pylist():
        assert set(row["item_ids"]) <= set(row["candidate_ids"])
        assert len(row["item_ids"]) == len(row["scores"])
        assert [len(scores) for scores in row["candidate_source_scores"]] == [len(SOURCES)] * len(
            row["candidate_ids"]
        )
    later = pa.table(_core.read_decisions(str(kept.data.decision_log), from_position=2, limit=1))
    assert later["position"].to_pylist() == [2]
    assert table.schema == pa.table(_core.read_decisions(str(kept.data.decision_log), limit=0)).schema


def alter(folder: Path, before: bytes, after: bytes) -> None:
    """Change the answers of a decision log as docs/logs.md says, checksums and all; lengths stay."""
    assert len(before) == len(after)
    (file,) = folder.glob("*.log")
    log = bytearray(file.read_bytes())
    salt = bytes(log[16:24])
    at = 64
    while (length := struct.unpack_from("<I", log, at)[0]) != 0:
        end = at + (32 + length + 7) // 8 * 8
        # An item id that a rank follows is one of the answer, not a candidate's.
        while (found := log.find(b"\x0a" + bytes([len(before)]) + before + b"\x10", at, end)) != -1:
            log[found + 2 : found + 2 + len(after)] = after
        struct.pack_into("<I", log, at + 4, crc32c(salt + bytes(log[at : at + 4]) + bytes(log[at + 8 : end])))
        at = end
    file.write_bytes(log)


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F6_3B78 if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF
