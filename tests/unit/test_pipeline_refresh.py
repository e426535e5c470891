"""A refresh counts again and carries over: new events are in it, what was learned stays as it was."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from recorded_fixture import events_table, fact, facts_table, recorded
from shop_fixture import add_events, add_items, connect, day, event, purchase, random_categories, random_shop

from promosvc import _core, pipeline, snapshot
from promosvc.errors import FailedPreconditionError, SnapshotError
from promosvc.events import merge_recorded, open_database
from promosvc.pipeline.carry import places, remap
from promosvc.pipeline.past import to_us
from promosvc.snapshot import NeighbourLists


class Shop:
    """A database, its snapshots, and a log that is not there: events come by `record`."""

    def __init__(self, folder: Path, events: list[dict[str, Any]], categories: dict[str, str]) -> None:
        self.database, self.snapshots, self.log = folder / "s.duckdb", folder / "snapshots", folder / "log"
        connection = connect(self.database)
        add_items(connection, categories)
        add_events(connection, events)
        connection.close()
        self.position = 0

    def build(self, **options: Any) -> pipeline.BuildReport:
        return pipeline.build(self.database, self.snapshots, **options)

    def refresh(self, **options: Any) -> pipeline.RefreshReport:
        return pipeline.refresh(self.database, self.snapshots, self.log, **options)

    def record(self, *entries: dict[str, Any]) -> None:
        """What a tail merges; positions are given here."""
        events, facts = [], []
        for entry in entries:
            made = {**entry, "position": self.position}
            if "event_name" in entry:
                events.append({**made, "event_id": f"r{self.position}"})
            else:
                facts.append(made)
            self.position += 1
        first = self.position - len(entries)
        with open_database(self.database) as connection:
            merge_recorded(connection, events_table(*events), facts_table(*facts), first, self.position)

    def manifest(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.snapshots / id_ / "manifest.json").read_bytes())
        return found

    def file(self, id_: str, name: str) -> bytes:
        return (self.snapshots / id_ / name).read_bytes()

    def rows(self, id_: str, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pa.ipc.open_file(self.file(id_, name)).get_batch(0).to_pylist()
        return rows

    def feature(self, id_: str, view: str, entity: str, feature: str) -> float:
        (named,) = (each for each in self.manifest(id_)["feature_views"] if each["name"] == view)
        at = [each["name"] for each in named["features"]].index(feature)
        (row,) = (row for row in self.rows(id_, f"features/{view}.arrow") if row["entity_id"] == entity)
        return float(row["value"][at])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path, random_shop(seed=1), random_categories())
    made.build()
    return made


def versions(shop: Shop, id_: str) -> dict[str, str]:
    return {model["name"]: model["version"] for model in shop.manifest(id_)["models"]}


def test_a_recorded_purchase_changes_features_history_and_popular_items(shop: Shop) -> None:
    before = snapshot.current(shop.snapshots)
    assert before is not None
    shop.record(recorded(0, "purchase", "u00", "i29", 121, quantity=1.0, amount_minor=70_000, currency="EUR"))
    stages: list[str] = []
    report = shop.refresh(progress=lambda stage, _done, _total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["load", "features", "write"]
    assert report.is_published
    assert snapshot.current(shop.snapshots) == report.snapshot_id != before
    assert (report.events_position, shop.manifest(report.snapshot_id)["events_position"]) == (1, 1)
    assert (report.new_items, report.new_users) == (0, 0)
    assert report.watermark_at_us == to_us(day(121))

    def spend(id_: str) -> float:
        return shop.feature(id_, "user_rfm", "u00", "spend_minor_7d")

    assert spend(report.snapshot_id) >= 70_000 > spend(before)
    assert shop.feature(report.snapshot_id, "user_rfm", "u00", "recency_days") < 1e-9
    items = [row["item_id"] for row in shop.rows(report.snapshot_id, "items.arrow")]
    popular = shop.rows(report.snapshot_id, "popular.arrow")
    assert [items[item] for item in popular[0]["item"]] == ["i29"], "of the last day"
    history = shop.rows(report.snapshot_id, "history.arrow")[0]
    assert (items[history["item"][0]], history["last_at_us"][0]) == ("i29", to_us(day(121)))
    assert json.loads(json.dumps(report.to_dict()))["snapshot_id"] == report.snapshot_id
    assert report.snapshot_id in report.text()


def test_what_was_learned_is_carried_over_to_the_byte(shop: Shop) -> None:
    before = snapshot.current(shop.snapshots) or ""
    shop.record(recorded(0, "purchase", "u00", "i29", 121))
    after = shop.refresh().snapshot_id
    for name in ("item_neighbours.arrow", "user_neighbours.arrow", "blend.json", "users.arrow"):
        assert shop.file(after, name) == shop.file(before, name)
    changed = {
        name for name, version in versions(shop, after).items() if version != versions(shop, before)[name]
    }
    assert changed == {"popular"}


def test_new_items_and_users_move_the_rows_and_change_no_recommendation(shop: Shop) -> None:
    before = snapshot.current(shop.snapshots) or ""
    # They sort before, among and behind what is there.
    shop.record(
        *(
            recorded(0, "view_item", user, item, 119)
            for user, item in (("a", "a"), ("u001", "i001"), ("z", "z"))
        ),
        fact(0, "i002", title="Second"),
    )
    report = shop.refresh()
    assert (report.new_items, report.new_users) == (4, 3)
    assert versions(shop, report.snapshot_id)["item_knn"] == versions(shop, before)["item_knn"]
    for file, ids in (("item_neighbours.arrow", "items.arrow"), ("user_neighbours.arrow", "users.arrow")):
        named = []
        for id_ in (before, report.snapshot_id):
            names = [next(iter(row.values())) for row in shop.rows(id_, ids)]
            named.append(
                {
                    name: [(names[at], score) for at, score in zip(*row.values(), strict=True)]
                    for name, row in zip(names, shop.rows(id_, file), strict=True)
                }
            )
        assert {name: row for name, row in named[1].items() if name in named[0]} == named[0]
        assert all(row == [] for name, row in named[1].items() if name not in named[0])
    known = [f"u{n:02}" for n in range(40)]
    answers = []
    for id_ in (before, report.snapshot_id):
        found = _core.Engine(str(shop.snapshots / id_)).recommend(
            pa.table({"user_id": known}),
            page_size=10,
            hide_seen=False,
            seen_event_names=["purchase"],
            sources=["item_knn", "user_knn", "repeat"],
            now_us=to_us(day(125)),
        )
        answers.append(pa.table(found).to_pylist())
    assert len(answers[0]) > 300
    assert answers[1] == answers[0]


def test_unchanged_data_give_the_snapshot_that_is_there(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot.current(shop.snapshots)
    history = snapshot.publications(shop.snapshots)
    first = shop.refresh()
    assert (first.is_published, first.snapshot_id) == (False, before)
    assert "Nothing new" in first.text()

    def fail(*_: Any) -> Any:
        raise AssertionError("nothing was new")

    # From now on it knows so without computing anything.
    monkeypatch.setattr(import_module("promosvc.pipeline.refresh"), "load_past", fail)
    assert shop.refresh().snapshot_id == before
    assert snapshot.publications(shop.snapshots) == history
    shop.record(recorded(0, "search", "u00", None, 1, search_term="tea"))
    with pytest.raises(AssertionError):
        shop.refresh()


def test_a_refresh_equals_a_build_but_for_what_is_learned(shop: Shop) -> None:
    shop.record(
        recorded(0, "purchase", "u00", "i29", 121, amount_minor=5, currency="EUR"),
        recorded(0, "view_item", "new", "i03", 120.5),
        fact(0, "i01", stock=0, unit_price_minor=7, currency="USD"),
        fact(0, "novel", category="group 1"),
    )
    refreshed = shop.refresh().snapshot_id
    built = shop.build(publish=False).snapshot_id
    learned = {"item_neighbours.arrow", "user_neighbours.arrow", "blend.json"}
    files = shop.manifest(refreshed)["files"]
    assert files.keys() == shop.manifest(built)["files"].keys()
    for name in files.keys() - learned:
        assert shop.file(refreshed, name) == shop.file(built, name), name
    items = {row["item_id"]: row for row in shop.rows(refreshed, "items.arrow")}
    assert (items["i01"]["stock"], items["i01"]["unit_price_minor"], items["i01"]["currency"]) == (
        0,
        7,
        "USD",
    )
    assert items["i01"]["is_available"] is True
    assert (items["novel"]["category"], items["novel"]["stock"]) == ("group 1", None)


def test_an_import_is_new_too(shop: Shop) -> None:
    first = shop.refresh()
    connection = connect(shop.database)
    add_events(connection, [purchase("u00", "i29", 121)])
    connection.execute("insert into imports (import_id) values (1)")
    connection.close()
    second = shop.refresh()
    assert second.is_published
    assert second.snapshot_id != first.snapshot_id


def test_a_name_that_nobody_knew_gets_a_weight_and_the_blend_a_new_version(shop: Shop) -> None:
    before = snapshot.current(shop.snapshots) or ""
    shop.record(recorded(0, "enroll", "u00", "i29", 121))
    after = shop.refresh().snapshot_id
    weights = [json.loads(shop.file(id_, "blend.json"))["event_weights"] for id_ in (before, after)]
    assert weights[1] == {**weights[0], "enroll": 0.5}
    changed = {
        name for name, version in versions(shop, after).items() if version != versions(shop, before)[name]
    }
    assert changed == {"popular", "blend"}
    # And then it stays.
    shop.record(recorded(0, "enroll", "u01", "i29", 121))
    assert versions(shop, shop.refresh().snapshot_id)["blend"] == versions(shop, after)["blend"]


def test_a_platform_of_views_weighs_its_first_purchase_on_its_own_scale(tmp_path: Path) -> None:
    views = [event("view_item", f"u{n % 4}", f"i{n % 6}", n) for n in range(40)]
    shop = Shop(tmp_path, views, {})
    before = shop.build().snapshot_id
    assert json.loads(shop.file(before, "blend.json"))["event_weights"]["purchase"] == 5
    shop.record(recorded(0, "purchase", "u0", "i5", 40))
    after = shop.refresh().snapshot_id
    assert shop.file(after, "blend.json") == shop.file(before, "blend.json")
    popular = shop.rows(after, "popular.arrow")[0]
    assert (popular["item"][0], popular["score"][0]) == (5, 5.0)


def test_there_must_be_something_to_refresh(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [purchase("u", "i", 1)], {})
    with pytest.raises(FailedPreconditionError, match="run `promosvc build` first") as caught:
        shop.refresh()
    assert caught.value.reason == "NO_SNAPSHOT"


def test_a_damaged_snapshot_is_not_carried_on(shop: Shop) -> None:
    before = snapshot.current(shop.snapshots) or ""
    path = shop.snapshots / before / "item_neighbours.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotError, match=r"item_neighbours\.arrow"):
        shop.refresh()
    assert snapshot.current(shop.snapshots) == before


def test_a_build_that_publishes_meanwhile_is_what_is_refreshed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = shop.build(seed=8, publish=False).snapshot_id
    shop.record(recorded(0, "purchase", "u00", "i29", 121))
    real: Callable[..., Any] = snapshot.write

    def overtaken(*given: Any) -> str:
        id_: str = real(*given)
        snapshot.publish(shop.snapshots, rival)
        return id_

    monkeypatch.setattr(snapshot, "write", overtaken)
    report = shop.refresh()
    assert shop.manifest(report.snapshot_id)["seed"] == 8
    assert [id_ for id_, _ in snapshot.publications(shop.snapshots)][-2:] == [rival, report.snapshot_id]


def test_old_publications_are_removed(shop: Shop) -> None:
    ids = [snapshot.current(shop.snapshots)]
    pruned = []
    for n in range(4):
        shop.record(recorded(0, "view_item", "u00", "i00", 121 + n))
        report = shop.refresh(keep=3)
        ids.append(report.snapshot_id)
        pruned += report.pruned
    assert pruned == ids[:2]
    assert {path.name for path in shop.snapshots.iterdir() if path.is_dir()} == set(ids[2:])
    assert snapshot.rollback(shop.snapshots) == ids[3]


def test_a_refresh_after_a_rollback_carries_on_what_was_rolled_back_to(shop: Shop) -> None:
    first = snapshot.current(shop.snapshots) or ""
    # More data, other neighbours.
    connection = connect(shop.database)
    add_events(connection, random_shop(seed=9, events=500))
    connection.close()
    second = shop.build().snapshot_id
    assert versions(shop, first)["item_knn"] != versions(shop, second)["item_knn"]
    snapshot.rollback(shop.snapshots)
    third = shop.refresh().snapshot_id
    assert versions(shop, third)["item_knn"] == versions(shop, first)["item_knn"]
    assert shop.file(third, "history.arrow") == shop.file(second, "history.arrow")


def test_neighbours_of_what_is_gone_go_too() -> None:
    lists = NeighbourLists(
        np.array([0, 2, 4, 5]), np.array([1, 2, 0, 2, 0], np.uint32), np.array([5, 4, 3, 2, 1], np.float32)
    )
    place = places(pa.array(["a", "b", "c"]), pa.chunked_array([["a", "aa", "c", "d"]]))
    assert place.tolist() == [0, -1, 2]
    found = remap(lists, place, 4)
    assert found.indptr.tolist() == [0, 1, 1, 2, 2]
    assert found.neighbour.tolist() == [2, 0]
    assert found.similarity.tolist() == [4, 1]
