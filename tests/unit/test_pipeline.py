"""The offline chain on small shops: deterministic, blind to the future, honest about what it finds."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shop_fixture import add_events, add_items, connect, day, event, purchase, random_categories, random_shop

from promosvc import _core, pipeline, snapshot
from promosvc.errors import (
    DatabaseError,
    FailedPreconditionError,
    InvalidArgumentError,
    IoError,
    NotFoundError,
)
from promosvc.evaluation import METRICS, Targets, chance, judge, make_split, open_engine, recommend
from promosvc.events import open_database
from promosvc.features import event_weights, load_choices
from promosvc.pipeline.past import cut_at, load_past, to_us


def database(path: Path, events: Iterable[dict[str, Any]], categories: dict[str, str] | None = None) -> Path:
    connection = connect(path)
    add_items(connection, categories or {})
    add_events(connection, events)
    connection.close()
    return path


def served(snapshots: Path, id_: str, users: list[str], **options: Any) -> list[list[str]]:
    """What the engine answers to each user."""
    engine = _core.Engine(str(snapshots / id_))
    given = {
        "page_size": 10,
        "hide_seen": False,
        "seen_event_names": ["purchase"],
        "sources": [],
        "now_us": 1_800_000_000_000_000,
        **options,
    }
    answer = pa.table(engine.recommend(pa.table({"user_id": users}), **given)).to_pylist()
    return [[row["item_id"] for row in answer if row["user_row"] == at] for at in range(len(users))]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    return database(folder / "shop.duckdb", random_shop(seed=1), random_categories())


def test_a_build_is_published_and_served(shop: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    report = pipeline.build(shop, tmp_path, progress=lambda stage, _done, _total: stages.append(stage))
    assert snapshot.current(tmp_path) == report.snapshot_id
    assert list(dict.fromkeys(stages)) == ["load", "weights", "features", "fit", "write"]
    (answer,) = served(tmp_path, report.snapshot_id, ["u00"])
    assert len(answer) == 10
    # User 0 likes group 0, and the engine says so.
    assert sum(int(item[1:]) % 3 == 0 for item in answer) >= 7
    assert json.loads(json.dumps(report.to_dict()))["snapshot_id"] == report.snapshot_id
    assert report.snapshot_id in report.text()
    assert report.items == 30
    assert report.users == 40
    assert report.event_weights["purchase"] == 1
    assert 0 < report.event_weights["view_item"] < report.event_weights["add_to_cart"] < 1
    assert report.event_weights["refund"] == 0


def test_weights_are_learned_and_named_in_the_snapshot(shop: Path, tmp_path: Path) -> None:
    report = pipeline.build(shop, tmp_path)
    assert report.validation["unseen"]["users"] >= 20
    assert report.validation["cut_at"] < report.as_of
    blend = json.loads((tmp_path / report.snapshot_id / "blend.json").read_bytes())
    assert blend["weights"] == report.weights
    for case in ("unseen", "repeats"):
        assert sum(report.weights[case].values()) == pytest.approx(1, abs=1e-3)
    assert report.weights["unseen"]["repeat"] == 0
    assert report.weights["repeats"]["repeat"] > 0


def test_equal_data_and_seed_give_an_equal_id(shop: Path, tmp_path: Path) -> None:
    first = pipeline.build(shop, tmp_path / "a").snapshot_id
    assert pipeline.build(shop, tmp_path / "b").snapshot_id == first
    other = database(tmp_path / "copy.duckdb", random_shop(seed=1), random_categories())
    assert pipeline.build(other, tmp_path / "c").snapshot_id == first
    assert pipeline.build(shop, tmp_path / "d", seed=8).snapshot_id != first


def test_a_cut_is_as_if_nothing_had_happened_since(tmp_path: Path) -> None:
    events = random_shop(seed=2)
    past = [one for one in events if one["event_at"] < day(100)]
    planted = [purchase("u00", "i29", 100, 5), purchase("newcomer", "novelty", 100.5, 5)]
    future = [*planted, *(one for one in events if one["event_at"] >= day(100))]
    whole = database(tmp_path / "whole.duckdb", past + future, random_categories())
    part = database(tmp_path / "part.duckdb", past, random_categories())
    report = pipeline.build(whole, tmp_path / "a", until=day(100))
    assert pipeline.build(part, tmp_path / "b").snapshot_id == report.snapshot_id
    assert report.watermark_at_us == to_us(max(one["event_at"] for one in past))


def test_a_later_until_changes_nothing(shop: Path, tmp_path: Path) -> None:
    first = pipeline.build(shop, tmp_path).snapshot_id
    assert pipeline.build(shop, tmp_path, until=day(5_000)).snapshot_id == first


def test_not_publishing_leaves_current_alone(shop: Path, tmp_path: Path) -> None:
    report = pipeline.build(shop, tmp_path, publish=False)
    assert not report.is_published
    assert snapshot.current(tmp_path) is None
    assert [info.snapshot_id for info in snapshot.list_snapshots(tmp_path)] == [report.snapshot_id]


TINY = {
    "five users, three items": [purchase(f"u{n}", f"i{n % 3}", n) for n in range(5)],
    "no purchases, only views": [event("view_item", f"u{n % 4}", f"i{n % 6}", n) for n in range(40)],
    "one user": [purchase("only", f"i{n}", n) for n in range(4)],
    "one event": [purchase("only", "i", 1)],
    "all at one time": [purchase(f"u{n}", f"i{n % 3}", 1) for n in range(30)],
    "custom names": [event("enroll", f"u{n % 30}", f"i{n % 7}", n) for n in range(90)],
    "returns only": [event("refund", "u", "i", 1)],
    "searches and one view": [
        event("search", "u", None, 1, search_term="x"),
        event("view_item", "u", "i", 2),
    ],
}


@pytest.mark.parametrize("events", TINY.values(), ids=TINY)
def test_tiny_shops_are_built_and_served(tmp_path: Path, events: list[dict[str, Any]]) -> None:
    file = database(tmp_path / "tiny.duckdb", events)
    report = pipeline.build(file, tmp_path / "snapshots")
    items = {one["item_id"] for one in events if one["item_id"]}
    known = sorted({one["user_id"] for one in events})
    for answer in served(tmp_path / "snapshots", report.snapshot_id, [*known, "stranger"]):
        # Nothing is hidden, so everything is answered, known user or not.
        assert set(answer) == items or len(answer) == 10
    assert max(report.event_weights.values(), default=0) in (0, 1)


def test_a_shop_with_searches_only_serves_an_empty_catalogue(tmp_path: Path) -> None:
    file = database(tmp_path / "s.duckdb", [event("search", "u", None, 1, search_term="x")])
    report = pipeline.build(file, tmp_path)
    assert report.items == 0
    assert served(tmp_path, report.snapshot_id, ["u", "stranger"]) == [[], []]


def test_an_empty_database_is_refused_by_name(tmp_path: Path) -> None:
    file = database(tmp_path / "empty.duckdb", [])
    with pytest.raises(FailedPreconditionError, match="holds no event") as caught:
        pipeline.build(file, tmp_path / "snapshots")
    assert caught.value.reason == "NO_EVENTS"
    assert not (tmp_path / "snapshots").exists()
    with pytest.raises(DatabaseError, match="does not exist"):
        pipeline.build(tmp_path / "nowhere.duckdb", tmp_path / "snapshots")


def test_nothing_before_the_cut_is_refused_by_name(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="2023-01-01"):
        pipeline.build(shop, tmp_path, until=datetime(2023, 1, 1))


def test_the_strongest_event_counts_in_full() -> None:
    assert event_weights(["purchase", "view_item"]) == {"purchase": 1, "view_item": 0.2}
    assert event_weights(["view_item"]) == {"view_item": 1}
    assert event_weights(["enroll", "view_item"]) == {"enroll": 1, "view_item": 0.4}
    assert event_weights(["refund"]) == {"refund": 0}
    assert event_weights(["view_item", "like"], {"like": 2}) == {"view_item": 0.1, "like": 1}


def test_ratings_say_how_much(tmp_path: Path) -> None:
    events = [
        event("view_item", "u", item, n, rating=rating)
        for n, (item, rating) in enumerate([("a", 5), ("b", 1)])
    ]
    file = database(tmp_path / "r.duckdb", [*events, event("view_item", "u", "c", 3)])
    with open_database(file, is_read_only=True) as connection:
        past = load_past(connection, cut_at(connection, None))
    by_item = dict(zip(past.histories.item.tolist(), past.entry_weights.tolist(), strict=True))
    assert by_item == {0: 1.0, 1: 0.5, 2: 1.0}


def test_feature_frames_come_as_asked_for(shop: Path, tmp_path: Path) -> None:
    for kind, type_ in (("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("arrow", pa.Table)):
        frames = pipeline.features(shop, day(90), ["user_rfm", "item_price"], kind=kind)
        assert list(frames) == ["user_rfm", "item_price"]
        assert all(isinstance(frame, type_) for frame in frames.values())
    assert len(pipeline.features(shop, kind="arrow")) == len(pipeline.feature_views())
    with pytest.raises(NotFoundError):
        pipeline.features(shop, views=["nonsense"])


def test_feature_files_are_written_whole(shop: Path, tmp_path: Path) -> None:
    written = pipeline.write_features(shop, tmp_path / "out", day(90), ["user_rfm", "item_price"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "item_price.parquet",
        "user_rfm.parquet",
    ]
    frames = pipeline.features(shop, day(90), ["user_rfm", "item_price"], kind="arrow")
    for path, rows in written.items():
        assert pq.read_table(path).equals(frames[path.stem])
        assert rows == frames[path.stem].num_rows
    (tmp_path / "file").write_text("")
    with pytest.raises(IoError, match="file"):
        pipeline.write_features(shop, tmp_path / "file", day(90), ["user_rfm"])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("evaluation")
    file = database(
        folder / "shop.duckdb", random_shop(seed=3, users=150, items=60, events=12_000), random_categories(60)
    )
    return pipeline.evaluate(file, test_days=14)


def test_an_evaluation_has_both_protocols_with_popular_beside(report: Any) -> None:
    for protocol in ("repeats", "unseen"):
        sources = [row.source for row in report.rows if row.protocol == protocol]
        assert sources[:2] == ["blend", "popular_7d"]
        assert sources[-1] == "chance"
        assert {"item_knn", "user_knn", "popular_1d", "popular_30d"} <= set(sources)
    assert report.target_events == ("purchase",)
    assert "blend" in report.table()
    assert json.loads(json.dumps(report.to_dict()))["cut_at"].endswith("Z")


def test_the_blend_knows_the_tastes_of_this_shop(report: Any) -> None:
    for protocol in ("repeats", "unseen"):
        blend, popular = report.row(protocol, "blend"), report.row(protocol, "popular_7d")
        assert blend.figures["ndcg"] > 1.2 * popular.figures["ndcg"]
        assert blend.ndcg_over_popular_7d.low > 0
        for source in ("item_knn", "user_knn", "popular_1d", "popular_30d"):
            assert report.row(protocol, source).ndcg_blend_over.high > 0
    assert (
        report.row("repeats", "chance").figures["ndcg"] < report.row("repeats", "popular_7d").figures["ndcg"]
    )


def test_shuffled_labels_bring_every_figure_to_chance(tmp_path: Path) -> None:
    events = random_shop(seed=4, users=120, items=60, events=8_000)
    file = database(tmp_path / "s.duckdb", events, random_categories(60))
    cut, end = day(100), day(120)
    built = pipeline.build(file, tmp_path, until=cut, publish=False)
    with open_database(file, is_read_only=True) as connection:
        later = load_choices(connection, ["purchase"], cut, end)
        before = load_choices(connection, ["purchase"], day(0), cut)
    table = pa.ipc.open_file((tmp_path / built.snapshot_id / "items.arrow").read_bytes())
    catalogue = table.get_batch(0)["item_id"]
    split = make_split(later, before, catalogue, pa.array([], pa.string()))
    counts, items = split.repeats.counts, len(catalogue)
    random = np.random.default_rng(1)
    engine = open_engine(tmp_path / built.snapshot_id)
    rounds = 60
    for sources in ((), ("item_knn",), ("user_knn",), ("repeat",), ("popular_7d",)):
        lists = recommend(
            engine,
            split.user_id,
            catalogue,
            hide_seen=False,
            seen_event_names=["purchase"],
            now_us=to_us(cut),
            sources=sources,
        )
        # Ties are broken at random here, so that chance without ties applies to them too.
        jitter = random.random(len(lists.score)) * 1e-9
        order = np.lexsort((jitter, -lists.score, lists.user))
        ranked = type(lists)(lists.user, lists.item[order], -np.arange(len(order), dtype=np.float32))
        lengths = np.bincount(lists.user, minlength=len(counts))
        expected = [chance(int(length), int(n), items, 10) for length, n in zip(lengths, counts, strict=True)]
        sums: dict[str, list[float]] = {name: [] for name in METRICS}
        for _ in range(rounds):
            drawn = [np.sort(random.choice(items, n, replace=False)) for n in counts]
            targets = Targets(split.repeats.indptr, np.concatenate(drawn).astype(np.int64), items)
            for name, figures in judge(ranked, targets).items():
                sums[name].append(float(figures.mean()))
        for name in METRICS:
            wanted = float(np.mean([one[name] for one in expected]))
            error = float(np.std(sums[name])) / rounds**0.5
            assert np.mean(sums[name]) == pytest.approx(wanted, abs=4.5 * error + 1e-9), (sources, name)
        # And the true labels are far from it, or the test would say nothing.
        if sources != ("popular_7d",):
            truth = float(judge(lists, split.repeats)["ndcg"].mean())
            assert truth > 1.3 * float(np.mean([one["ndcg"] for one in expected]))


def test_what_cannot_be_evaluated_is_said(tmp_path: Path) -> None:
    file = database(tmp_path / "s.duckdb", [purchase("u", "a", 1), event("search", "u", None, 100)])
    with pytest.raises(FailedPreconditionError, match="no purchase event"):
        pipeline.evaluate(file)
    with pytest.raises(InvalidArgumentError, match="test_days is 0"):
        pipeline.evaluate(file, test_days=0)
    with pytest.raises(FailedPreconditionError, match="holds no event"):
        pipeline.evaluate(file, test_days=1_000)
