"""The served engine from Python: Arrow in, Arrow out, on a snapshot of three items and two users."""

from pathlib import Path

import pyarrow as pa
import pytest
import snapshot_fixture

from promosvc import _core
from promosvc.errors import InvalidArgumentError
from promosvc.snapshot import write

USERS = pa.table({"user_id": ["ada", "nobody", "bob"]})
NOW = snapshot_fixture.WATERMARK_US


@pytest.fixture
def engine(tmp_path: Path) -> _core.Engine:
    snapshot_id = write(snapshot_fixture.content(), tmp_path)
    return _core.Engine(str(tmp_path / snapshot_id))


def recommend(engine: _core.Engine, **changes: object) -> pa.Table:
    options: dict[str, object] = {
        "page_size": 10,
        "hide_seen": False,
        "seen_event_names": ["purchase"],
        "sources": [],
        "now_us": NOW,
    }
    return pa.table(engine.recommend(USERS, **(options | changes)))


def test_lists_of_all_users_in_one_table(engine: _core.Engine) -> None:
    answer = recommend(engine)
    assert answer.schema == pa.schema(
        [
            pa.field("user_row", pa.uint32(), nullable=False),
            pa.field("rank", pa.uint32(), nullable=False),
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("score", pa.float32(), nullable=False),
        ]
    )
    rows = answer.to_pylist()
    assert {row["user_row"] for row in rows} == {0, 1, 2}
    for user in range(3):
        mine = [row for row in rows if row["user_row"] == user]
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        assert [row["score"] for row in mine] == sorted((row["score"] for row in mine), reverse=True)
    assert "new" not in answer["item_id"].to_pylist(), "it is not available"


def test_seen_items_are_hidden_when_asked(engine: _core.Engine) -> None:
    def of_ada(**changes: object) -> list[str]:
        rows = recommend(engine, **changes).to_pylist()
        return [row["item_id"] for row in rows if row["user_row"] == 0]

    assert "near" in of_ada()
    assert "near" not in of_ada(hide_seen=True)
    assert of_ada(hide_seen=True, seen_event_names=["purchase", "view_item"]) == []


def test_a_source_alone(engine: _core.Engine) -> None:
    rows = recommend(engine, sources=["item_knn"]).to_pylist()
    assert {row["user_row"] for row in rows} == {0}, "only ada has a history"
    weighted = recommend(engine, weights={"popular_30d": 1.0}).to_pylist()
    assert [row["item_id"] for row in weighted if row["user_row"] == 1] == ["near", "far"]
    assert [row["score"] for row in weighted if row["user_row"] == 1] == [1.0, 0.5]


def test_one_item_for_each_user(engine: _core.Engine) -> None:
    assert recommend(engine, page_size=1).num_rows == 3


def test_scores_of_each_source(engine: _core.Engine) -> None:
    answer = pa.table(
        engine.source_scores(
            USERS, hide_seen=False, seen_event_names=["purchase"], sources=[], candidates=5, now_us=NOW
        )
    )
    assert answer.schema.names == ["user_row", "item_id", *snapshot_fixture.SOURCES]
    ada = {row["item_id"]: row for row in answer.to_pylist() if row["user_row"] == 0}
    assert set(ada) == {"far", "near"}
    assert ada["near"]["repeat"] == 1.0
    assert ada["near"]["popular_30d"] == 1.0
    assert ada["far"]["popular_30d"] == 0.5


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"page_size": -1}, "page_size", "is -1"),
        ({"page_size": 101}, "page_size", "100"),
        ({"category_cap": -2}, "category_cap", "is -2"),
        ({"sources": ["item_nn"]}, "sources", "item_knn, user_knn, repeat"),
        ({"weights": {"item_nn": 1.0}}, "weights", "item_knn, user_knn, repeat"),
        ({"weights": {"item_knn": -1.0}}, "weights.item_knn", "-1"),
        ({"weights": {"item_knn": float("nan")}}, "weights.item_knn", "NaN"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(
    engine: _core.Engine, change: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        recommend(engine, **change)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_an_engine_knows_its_snapshot(engine: _core.Engine, tmp_path: Path) -> None:
    assert (tmp_path / engine.snapshot_id / "manifest.json").is_file()
