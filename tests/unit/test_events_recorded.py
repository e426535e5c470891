"""The event log becomes rows of the database: each position once, all of a merge or nothing."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from events_helpers import PLAIN, everything, import_text, rows, write_lines
from recorded_fixture import events_table, fact, facts_table, recorded
from shop_fixture import add_events, add_items, connect, day, purchase, random_shop

from promosvc.columns import EVENTS_PER_HOUR_MAX, SESSION_MINUTES
from promosvc.errors import FailedPreconditionError
from promosvc.events import MergeCounts, merge_recorded, merged_position, open_database
from promosvc.events import recorded as merging

NONE = facts_table()


def all_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("events", "items", "users", "quarantine", "bot_hours", "log_positions")
    return {table: connection.execute(f"select * from {table} order by all").fetchall() for table in tables}


def test_recorded_events_become_events_users_and_items() -> None:
    connection = connect()
    exposed = {"snapshot_hash": "ab", "rank": 3}
    events = events_table(
        recorded(
            5,
            "purchase",
            "ann",
            "near",
            1,
            order_id="o1",
            quantity=2.0,
            amount_minor=500,
            discount_minor=20,
            coupon_discount_minor=30,
            currency="EUR",
            rating=4.5,
            promotion_id="p",
            exposed_by=json.dumps(exposed),
            attributes='{"shelf": "top"}',
        ),
        recorded(7, "search", "bob", None, 2, search_term="boots", source="app"),
    )
    counts = merge_recorded(connection, events, NONE, 0, 9)
    assert counts == MergeCounts(events=2)
    found = connection.sql("select * exclude (session_id) from events order by log_position")
    first, second = found.to_arrow_table().to_pylist()
    assert first == {
        "event_id": "r5",
        "source": "live",
        "import_id": 0,
        "event_name": "purchase",
        "user_id": "ann",
        "item_id": "near",
        "event_at": day(1),
        "order_id": "o1",
        "quantity": 2.0,
        "amount_minor": 500,
        "discount_minor": 20,
        "coupon_discount_minor": 30,
        "currency": "EUR",
        "rating": 4.5,
        "search_term": None,
        "promotion_id": "p",
        "attributes": '{"shelf": "top"}',
        "exposed_by": json.dumps(exposed),
        "log_position": 5,
    }
    assert (second["source"], second["item_id"], second["search_term"]) == ("app", None, "boots")
    assert connection.execute("select user_id, source from users order by 1").fetchall() == [
        ("ann", "live"),
        ("bob", "app"),
    ]
    assert connection.execute(
        "select item_id, source, kind, is_available, stock, seen_at from items"
    ).fetchall() == [("near", "live", "product", True, None, day(1))]
    assert merged_position(connection) == 9


def test_merging_again_and_in_other_pieces_gives_the_same() -> None:
    made = [
        recorded(n, "view_item", f"u{n % 3}", f"i{n % 5}", n / 100, event_id=f"e{n % 17}") for n in range(40)
    ]
    facts = [fact(40 + n, f"i{n}", stock=n) for n in range(3)]
    whole, pieces = connect(), connect()
    merge_recorded(whole, events_table(*made), facts_table(*facts), 0, 43)
    expected = all_rows(whole)
    assert merge_recorded(whole, events_table(*made), facts_table(*facts), 0, 43) == MergeCounts()
    assert all_rows(whole) == expected
    total = MergeCounts()
    # Overlapping pieces: what is merged already is passed over.
    for first, last in ((0, 10), (5, 11), (0, 30), (30, 43), (10, 43)):
        events = [one for one in made if first <= one["position"] < last]
        told = [one for one in facts if first <= one["position"] < last]
        total = total.plus(merge_recorded(pieces, events_table(*events), facts_table(*told), first, last))
    assert all_rows(pieces) == expected
    assert (total.events, total.duplicates, total.items) == (17, 23, 3)


def test_a_gap_is_refused_by_name() -> None:
    connection = connect()
    merge_recorded(connection, events_table(recorded(0, "view_item", "u", "i", 1)), NONE, 0, 4)
    before = all_rows(connection)
    with pytest.raises(FailedPreconditionError, match=r"begins at position 6, .* only to 4") as caught:
        merge_recorded(connection, events_table(recorded(6, "view_item", "u", "i", 2)), NONE, 6, 7)
    assert caught.value.reason == "LOG_GAP"
    assert all_rows(connection) == before


def test_an_event_of_a_file_and_of_the_log_is_one_event_whichever_came_first(tmp_path: Path) -> None:
    at = "2024-06-01T10:00:00"
    mapping = PLAIN.replace('name = "shop"', 'name = "live"') + 'event_id = "id"\n'
    line = {"id": "r3", "event_name": "view_item", "user_id": "ann", "item_id": "near", "event_at": at}
    other = line | {"id": "r4"}
    first = write_lines(tmp_path / "first.jsonl", [line])
    import_text(tmp_path, mapping, first)
    events = events_table(
        recorded(3, "view_item", "ann", "near", day(152)),
        recorded(4, "view_item", "ann", "near", day(152)),
        recorded(5, "purchase", "ann", "near", day(152), event_id="r3"),
        recorded(6, "view_item", "ann", "near", day(152), event_id="r3", source="app"),
    )
    with open_database(tmp_path / "events.duckdb") as connection:
        counts = merge_recorded(connection, events, NONE, 0, 7)
    # The same id of another name or another source is another event.
    assert counts == MergeCounts(events=3, duplicates=1)
    report = import_text(tmp_path, mapping, write_lines(tmp_path / "second.jsonl", [other]))
    assert (report.event_counts.accepted, report.event_counts.duplicates) == (0, 1)
    found = rows(tmp_path, "select event_id, event_name, source, log_position from events order by all")
    assert found == [
        ("r3", "purchase", "live", 5),
        ("r3", "view_item", "app", 6),
        ("r3", "view_item", "live", None),
        ("r4", "view_item", "live", 4),
    ]


def test_an_id_that_a_content_hash_made_is_kept() -> None:
    connection = connect()
    events = [recorded(n, "view_item", "u", "i", 1, event_id=f"c:0:{1 + n % 2}") for n in range(4)]
    merge_recorded(connection, events_table(*events), NONE, 0, 4)
    assert connection.execute("select event_id from events order by 1").fetchall() == [("c:0:1",), ("c:0:2",)]


def test_sessions_are_those_of_a_single_import() -> None:
    random = np.random.default_rng(5)
    minutes = np.sort(random.integers(0, 60 * 24, 300))
    made = [
        recorded(n, "view_item", f"u{n % 3}", "i", float(minute) / 1440) for n, minute in enumerate(minutes)
    ]
    random.shuffle(made)  # events may come late
    connection = connect()
    for first in range(0, 300, 50):
        piece = [one for one in made if first <= one["position"] < first + 50]
        merge_recorded(connection, events_table(*piece), NONE, first, first + 50)
    by_user: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for user, at, session in connection.execute(
        "select user_id, event_at, session_id from events order by user_id, event_at"
    ).fetchall():
        by_user[user].append((at, session))
    for moments in by_user.values():
        for (before, old), (after, new) in pairwise(moments):
            assert (old == new) == ((after - before).total_seconds() <= SESSION_MINUTES * 60)


def test_a_machine_is_moved_into_the_quarantine_with_what_it_did_before() -> None:
    connection = connect()
    few = [recorded(n, "view_item", "bot", f"i{n}", 1 + n / 1e5) for n in range(10)]
    merge_recorded(connection, events_table(*few), NONE, 0, 10, events_per_hour_max=12)
    more = [recorded(10 + n, "view_item", "bot", f"i{n}", 1 + n / 1e5) for n in range(3)]
    person = recorded(13, "view_item", "ann", "i0", 1)
    counts = merge_recorded(connection, events_table(*more, person), NONE, 10, 14, events_per_hour_max=12)
    assert counts == MergeCounts(events=1, bots=3, withdrawn=10)
    assert connection.execute("select user_id from events").fetchall() == [("ann",)]
    found = connection.execute(
        "select file, row_number, record->>'event_id' from quarantine where file = '(the event log)' order by 2"
    ).fetchall()
    assert found == [("(the event log)", 10 + n, f"r{10 + n}") for n in range(3)]
    assert connection.execute("select count(*) from quarantine").fetchall() == [(13,)]
    assert EVENTS_PER_HOUR_MAX == 1_000


def test_the_newest_fact_of_each_field_counts() -> None:
    connection = connect()
    add_items(connection, {"near": "tea"}, unit_price_minor=100, currency="EUR")
    facts = facts_table(
        fact(0, "near", unit_price_minor=200, currency="USD", stock=5, brand="B"),
        fact(1, "near", stock=0, category="", is_available=False),
        fact(2, "near", unit_price_minor=150, currency="EUR"),
        fact(3, "novel", kind="course", title="Novel", category="tea"),
        fact(4, "bare"),
    )
    assert merge_recorded(connection, events_table(), facts, 0, 5) == MergeCounts(items=3)
    found = connection.execute(
        "select item_id, kind, title, category, brand, unit_price_minor, currency, is_available, stock, seen_at"
        " from items order by 1"
    ).fetchall()
    assert found == [
        ("bare", "product", None, None, None, None, None, True, None, None),
        ("near", "product", "The near", None, "B", 150, "EUR", False, 0, None),
        ("novel", "course", "Novel", "tea", None, None, None, True, None, None),
    ]
    merge_recorded(connection, events_table(), facts_table(fact(5, "near", is_available=True)), 5, 6)
    assert connection.execute(
        "select is_available, stock, brand from items where item_id = 'near'"
    ).fetchall() == [(True, 0, "B")]


def test_a_fact_makes_a_seen_item_a_declared_one_unless_it_says_nothing_new() -> None:
    connection = connect()
    view = recorded(0, "view_item", "ann", "near", 1)
    merge_recorded(connection, events_table(view), facts_table(fact(1, "near", kind="product")), 0, 2)
    seen = "select seen_at from items where item_id = 'near'"
    assert connection.execute(seen).fetchall() == [(day(1),)]
    merge_recorded(connection, events_table(), facts_table(fact(2, "near", title="Near")), 2, 3)
    assert connection.execute(seen).fetchall() == [(None,)]


def test_a_file_of_items_leaves_the_stock_alone(tmp_path: Path) -> None:
    mapping = PLAIN + '[[items]]\nfiles = ["items*"]\n[items.columns]\nitem_id = "id"\ntitle = "title"\n'
    mapping = mapping.replace("[[events]]\n", '[[events]]\nfiles = ["events*"]\n')
    items = write_lines(tmp_path / "items.jsonl", [{"id": "near", "title": "Near"}])
    import_text(tmp_path, mapping, items=[items])
    with open_database(tmp_path / "events.duckdb") as connection:
        merge_recorded(connection, events_table(), facts_table(fact(0, "near", stock=3, title="Old")), 0, 1)
    again = write_lines(tmp_path / "items2.jsonl", [{"id": "near", "title": "Nearer"}])
    import_text(tmp_path, mapping, items=[again])
    assert rows(tmp_path, "select title, stock from items") == [("Nearer", 3)]


@pytest.mark.parametrize("step", range(6))
def test_a_merge_that_fails_midway_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    stages = (
        (merging.duplicates, "mark_duplicates"),
        (merging.sessions, "refuse_bots"),
        (merging.sessions, "cut_sessions"),
        (merging.writing, "write_events"),
        (merging.catalogue, "merge_seen_items"),
        (merging.catalogue, "merge_seen_users"),
    )
    path = tmp_path / "events.duckdb"
    connection = connect(path)
    add_events(connection, random_shop(seed=2, events=200))
    merge_recorded(connection, events_table(recorded(0, "view_item", "u00", "i00", 1)), NONE, 0, 1)
    before = all_rows(connection)
    module, name = stages[step]
    real = getattr(module, name)

    def die(*args: Any, **named: Any) -> Any:
        real(*args, **named)
        raise MemoryError("no more")

    monkeypatch.setattr(module, name, die)
    events = events_table(
        recorded(1, "purchase", "u00", "i01", 1.01), recorded(2, "view_item", "new", "novel", 2)
    )
    with pytest.raises(MemoryError):
        merge_recorded(connection, events, facts_table(fact(3, "i00", stock=1)), 1, 4)
    assert all_rows(connection) == before
    monkeypatch.undo()
    connection.close()
    with open_database(path) as again:
        assert all_rows(again) == before
        assert merge_recorded(again, events, facts_table(fact(3, "i00", stock=1)), 1, 4).events == 2


def test_an_old_database_gets_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "events.duckdb"
    connection = connect(path)
    add_events(connection, [purchase("ann", "near", 1)])
    fresh = [connection.execute(f"describe {table}").fetchall() for table in ("events", "items")]
    for change in (
        "alter table events drop column exposed_by",
        "alter table events drop column log_position",
        "alter table items drop column stock",
        "drop table log_positions",
        "drop table refreshes",
    ):
        connection.execute(change)
    connection.close()
    for is_read_only in (True, False):
        with open_database(path, is_read_only=is_read_only) as found:
            assert [found.execute(f"describe {table}").fetchall() for table in ("events", "items")] == fresh
            assert merged_position(found) == 0
            assert found.execute("select log_position from events").fetchall() == [(None,)]
    assert everything(tmp_path)["items"] == [
        ("near", "test", "product", None, None, None, None, None, True, None, None, None)
    ]
