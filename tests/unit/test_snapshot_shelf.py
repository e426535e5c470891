"""Publishing, rolling back, listing: CURRENT always names a whole snapshot."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from snapshot_fixture import content

from promosvc import snapshot
from promosvc.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    IoError,
    NotFoundError,
    SnapshotError,
)

AT = datetime(2018, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[Path, list[str]]:
    return tmp_path, [snapshot.write(content(seed=seed), tmp_path) for seed in (1, 2, 3)]


def test_publishing_moves_current_and_writes_history(shelf: tuple[Path, list[str]]) -> None:
    root, (first, second, _) = shelf
    assert snapshot.current(root) is None
    assert snapshot.publish(root, first, at=AT) == first
    assert (root / "CURRENT").read_text() == f"{first}\n"
    snapshot.publish(root, second, at=AT)
    assert snapshot.current(root) == second
    assert (root / "HISTORY").read_text() == f"{first} 2018-01-02T03:04:05Z\n{second} 2018-01-02T03:04:05Z\n"
    assert not (root / "CURRENT.new").exists()


def test_publishing_the_current_one_again_changes_nothing(shelf: tuple[Path, list[str]]) -> None:
    root, (first, *_) = shelf
    snapshot.publish(root, first)
    before = (root / "HISTORY").read_text()
    snapshot.publish(root, first)
    assert (root / "HISTORY").read_text() == before


def test_rolling_back_publishes_the_one_before(shelf: tuple[Path, list[str]]) -> None:
    root, (first, second, third) = shelf
    for id_ in (first, second, third):
        snapshot.publish(root, id_)
    assert snapshot.rollback(root) == second
    assert snapshot.current(root) == second
    # Before the last publication of the second stands the third: rolling back again undoes it.
    assert snapshot.rollback(root) == third
    assert [id_ for id_, _ in snapshot.publications(root)] == [first, second, third, second, third]


def test_rolling_back_passes_over_what_is_gone(shelf: tuple[Path, list[str]]) -> None:
    import shutil

    root, (first, second, third) = shelf
    for id_ in (first, second, third):
        snapshot.publish(root, id_)
    shutil.rmtree(root / second)
    assert snapshot.rollback(root) == first


def test_there_must_be_something_to_roll_back_to(shelf: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, (first, *_) = shelf
    with pytest.raises(FailedPreconditionError, match="nothing is published"):
        snapshot.rollback(root)
    snapshot.publish(root, first)
    with pytest.raises(FailedPreconditionError, match="no other snapshot was published"):
        snapshot.rollback(root)
    assert snapshot.current(root) == first
    with pytest.raises(NotFoundError):
        snapshot.rollback(tmp_path / "nowhere")


def test_a_damaged_snapshot_is_not_published(shelf: tuple[Path, list[str]]) -> None:
    root, (first, second, _) = shelf
    snapshot.publish(root, first)
    (root / second / "blend.json").write_text("{}")
    with pytest.raises(SnapshotError, match=r"blend\.json"):
        snapshot.publish(root, second)
    assert snapshot.current(root) == first
    assert [id_ for id_, _ in snapshot.publications(root)] == [first]


def test_a_damaged_earlier_snapshot_is_not_rolled_back_to(shelf: tuple[Path, list[str]]) -> None:
    root, (first, second, _) = shelf
    snapshot.publish(root, first)
    snapshot.publish(root, second)
    (root / first / "users.arrow").write_bytes(b"ARROW1")
    with pytest.raises(SnapshotError, match=r"users\.arrow"):
        snapshot.rollback(root)
    assert snapshot.current(root) == second


@pytest.mark.parametrize("id_", ["", ".", "..", "../x", "CURRENT", "20180101T040120Z-0123456789abcdeg"])
def test_what_is_no_id_is_not_found(shelf: tuple[Path, list[str]], id_: str) -> None:
    root, _ = shelf
    for call in (snapshot.publish, snapshot.verify):
        with pytest.raises(NotFoundError, match="holds no snapshot"):
            call(root, id_)


@pytest.mark.parametrize("text", ["", "x\n", "20180101T040120Z-0123456789abcdef", "../../etc\n"])
def test_a_current_that_is_no_id_is_refused(shelf: tuple[Path, list[str]], text: str) -> None:
    root, _ = shelf
    (root / "CURRENT").write_text(text)
    with pytest.raises(SnapshotError, match="CURRENT holds"):
        snapshot.current(root)


@pytest.mark.parametrize("step", range(3))
def test_a_publication_that_fails_leaves_the_running_one(
    shelf: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    root, (first, second, _) = shelf
    snapshot.publish(root, first)
    real, calls = os.fsync, 0

    def fail(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(IoError):
        snapshot.publish(root, second)
    monkeypatch.undo()
    # The history, the new line, the directory: only after the rename is the second one current.
    assert snapshot.current(root) == (second if step == 2 else first)
    snapshot.publish(root, second)
    assert snapshot.current(root) == second


def test_a_history_line_that_a_crash_cut_off_is_passed_over(shelf: tuple[Path, list[str]]) -> None:
    root, (first, second, _) = shelf
    snapshot.publish(root, first)
    with (root / "HISTORY").open("a") as file:
        file.write(second[:10])
    snapshot.publish(root, second)
    assert [id_ for id_, _ in snapshot.publications(root)] == [first, second]


def test_the_list_shows_what_there_is(shelf: tuple[Path, list[str]]) -> None:
    root, ids = shelf
    snapshot.publish(root, ids[1], at=AT)
    (root / ".building-x").mkdir()
    (root / "notes").mkdir()
    (root / ids[2] / "manifest.json").write_text('{"format_version": 2}')
    found = {info.snapshot_id: info for info in snapshot.list_snapshots(root)}
    assert sorted(found) == sorted(ids)
    assert [info.snapshot_id for info in found.values() if info.is_current] == [ids[1]]
    assert found[ids[1]].published_at == "2018-01-02T03:04:05Z"
    assert (found[ids[0]].items, found[ids[0]].users, found[ids[0]].published_at) == (3, 2, "")
    assert found[ids[0]].bytes > 0
    assert "manifest.json" in found[ids[2]].problem
    assert found[ids[0]].problem == ""


def test_a_directory_that_is_not_there_lists_nothing(tmp_path: Path) -> None:
    assert snapshot.list_snapshots(tmp_path / "nowhere") == []


def shelf_of(root: Path, count: int) -> list[str]:
    ids = [snapshot.write(content(seed=seed), root) for seed in range(count)]
    for id_ in ids:
        snapshot.publish(root, id_)
    return ids


def on_disk(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.is_dir()}


def test_pruning_keeps_the_newest_publications(tmp_path: Path) -> None:
    ids = shelf_of(tmp_path, 5)
    assert snapshot.prune(tmp_path, 5) == []
    assert set(snapshot.prune(tmp_path, 2)) == set(ids[:3])
    assert on_disk(tmp_path) == set(ids[3:])
    assert [id_ for id_, _ in snapshot.publications(tmp_path)] == ids[3:]
    assert snapshot.current(tmp_path) == ids[4]
    assert snapshot.rollback(tmp_path) == ids[3]
    assert snapshot.prune(tmp_path, 2) == []


def test_pruning_never_takes_the_current_one(tmp_path: Path) -> None:
    ids = shelf_of(tmp_path, 4)
    snapshot.rollback(tmp_path)
    # The third was published last now; of the others the fourth is the newest.
    assert set(snapshot.prune(tmp_path, 2)) == set(ids[:2])
    assert snapshot.current(tmp_path) == ids[2]
    # A crash between HISTORY and CURRENT: what stands after the current one stays.
    (tmp_path / "CURRENT").write_text(f"{ids[2]}\n")
    with (tmp_path / "HISTORY").open("a") as history:
        history.write(f"{ids[3]} 2018-01-02T03:04:05Z\n")
    assert snapshot.prune(tmp_path, 1) == []
    assert on_disk(tmp_path) == {ids[2], ids[3]}


def test_pruning_leaves_alone_what_was_never_published(tmp_path: Path) -> None:
    ids = shelf_of(tmp_path, 3)
    unpublished = snapshot.write(content(seed=9), tmp_path)
    (tmp_path / "notes").mkdir()
    assert set(snapshot.prune(tmp_path, 1)) == set(ids[:2])
    assert on_disk(tmp_path) == {ids[2], unpublished, "notes"}
    assert snapshot.prune(tmp_path / "nowhere", 1) == []
    with pytest.raises(InvalidArgumentError, match="keep is 0"):
        snapshot.prune(tmp_path, 0)


def test_publishing_instead_of_another_needs_that_other(shelf: tuple[Path, list[str]]) -> None:
    root, (first, second, third) = shelf
    snapshot.publish(root, first)
    with pytest.raises(FailedPreconditionError, match=f"{first} is published, not {second}") as caught:
        snapshot.publish(root, third, instead_of=second)
    assert caught.value.reason == "CURRENT_MOVED"
    assert snapshot.current(root) == first
    snapshot.publish(root, third, instead_of=first)
    assert snapshot.current(root) == third
