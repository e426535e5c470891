"""An import while a server runs: rows go by the log and arrive as if they had been imported."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from events_helpers import NOW, PLAIN, rows, write_lines
from recorded_fixture import events_table, fact, facts_table, recorded

from promosvc.errors import InternalError, UnavailableError
from promosvc.events import (
    ImportReport,
    Verdict,
    import_files,
    merge_recorded,
    open_database,
    sending,
    writing,
)
from promosvc.events import Mapping as EventMapping

MAPPING = """
[source]
name = "shop"
currency = "EUR"
item_kind = "tea"
[custom_events]
brew = { needs_item = true }

[[events]]
files = ["events*"]
attributes = ["shelf", "aisle"]
[events.columns]
event_name = "event"
user_id = "user"
item_id = "item"
event_at = "at"
event_id = "id"
quantity = "quantity"
amount = "paid"
search_term = "term"
[events.item]
title = "title"
unit_price = "price"

[[items]]
files = ["items*"]
[items.columns]
item_id = "id"
title = "title"
category = "category"
brand = "brand"
unit_price = "price"
is_available = "stocked"
"""


class Recorder:
    """What a server does with events and items, as far as an import sees it: known ids, reasons, one log."""

    def __init__(self, refused: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.refused, self.known = refused or {}, set[tuple[str, str, str]]()
        self.events: list[dict[str, Any]] = []
        self.facts: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.request_ids: list[str] = []
        self.position = 0

    def record_events(self, source: str, events: Sequence[Mapping[str, Any]]) -> Sequence[Verdict]:
        self.calls.append(len(events))
        return [self._judge(source, dict(event)) for event in events]

    def upsert_items(self, request_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        self.request_ids.append(request_id)
        for item in items:
            told = dict(item)
            self.facts.append(fact(self.position, told.pop("item_id"), **told))
            self.position += 1

    def _judge(self, source: str, event: dict[str, Any]) -> Verdict:
        assert None not in event.values()
        assert event["event_at"].tzinfo is not None
        if event["event_name"] in self.refused:
            return Verdict(*self.refused[event["event_name"]])
        key = (source, event["event_name"], event["event_id"])
        if key in self.known:
            return Verdict("DUPLICATE")
        self.known.add(key)
        at = event.pop("event_at").replace(tzinfo=None)
        named = {"event_name": event.pop("event_name"), "user_id": event.pop("user_id")}
        attributes = event.pop("attributes", None)
        if attributes is not None:
            assert all(isinstance(text, str) for text in attributes.values())
            event["attributes"] = json.dumps(attributes, separators=(",", ":"))
        made = recorded(self.position, named["event_name"], named["user_id"], event.pop("item_id", None), at)
        self.events.append({**made, **event, "source": source})
        self.position += 1
        return Verdict("ACCEPTED")

    def merge(self, folder: Path) -> None:
        with open_database(folder / "events.duckdb") as connection:
            merge_recorded(connection, events_table(*self.events), facts_table(*self.facts), 0, self.position)


def row(number: int, name: str = "purchase", **more: Any) -> dict[str, Any]:
    made = {"id": str(number), "event": name, "user": f"u{number % 3}", "item": f"i{number % 4}"}
    rest = dict.fromkeys(("quantity", "paid", "term", "title", "price", "shelf", "aisle"))
    return made | rest | {"at": f"2024-06-01T10:{number % 60:02}:00Z"} | more


def run(folder: Path, send: Recorder | None, *files: Path) -> ImportReport:
    events = [file for file in files if file.name.startswith("events")]
    items = [file for file in files if file.name.startswith("items")]
    mapping = EventMapping.parse(MAPPING)
    report = import_files(folder / "events.duckdb", mapping, events, items, now=NOW, send=send)
    for counts in (report.event_counts, report.item_counts):
        assert counts.adds_up
    return report


EVENTS = [
    row(1, quantity=2, paid=5.5, title="One", price=3, shelf="top", aisle="7"),
    row(2, quantity=-1, paid=5.5),
    row(3, "search", item=None, term="green tea"),
    row(4, "brew", title="Four", price=4),
    row(5, "view_item", user=""),
    row(1, quantity=2, paid=5.5),
    row(6, "view_item", item="novel", title="Novel", price=9),
    row(7, "view_item", item="novel", at="2024-06-01T09:00:00Z", title="Old name", price=8),
]
ITEMS = [
    {"id": "i1", "title": "First", "category": "green", "brand": "B", "price": 2, "stocked": "yes"},
    {"id": "i9", "title": "Ninth", "category": "black", "stocked": "no"},
    {"id": "", "title": "Nobody"},
]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write_lines(tmp_path / "events.jsonl", EVENTS),
        write_lines(tmp_path / "items.jsonl", ITEMS),
    ]


def content(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What came of it, without what tells the ways apart."""
    left_out = "import_id, log_position"
    return {
        "events": rows(folder, f"select * exclude ({left_out}) from events order by all"),
        "items": rows(folder, "select * from items order by all"),
        "users": rows(folder, "select * from users order by all"),
        "quarantine": rows(folder, "select * from quarantine order by all"),
    }


def test_what_goes_by_the_log_arrives_as_if_it_had_been_imported(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "sent").mkdir()
    plain = run(tmp_path / "plain", None, *files)
    recorder = Recorder()
    sent = run(tmp_path / "sent", recorder, *files)
    assert rows(tmp_path / "sent", "select count(*) from events") == [(0,)]
    assert (sent.event_counts, sent.item_counts) == (plain.event_counts, plain.item_counts)
    assert (sent.event_names, sent.sessions, sent.users) == (plain.event_names, plain.sessions, plain.users)
    recorder.merge(tmp_path / "sent")
    expected, found = content(tmp_path / "plain"), content(tmp_path / "sent")
    # The wire has its attributes by name.
    assert expected["events"].pop(0)[16] == '{"shelf":"top","aisle":"7"}'
    assert found["events"].pop(0)[16] == '{"aisle":"7","shelf":"top"}'
    assert found == expected


def test_what_is_new_about_items_is_told(tmp_path: Path, files: list[Path]) -> None:
    recorder = Recorder()
    run(tmp_path, recorder, *files)
    told = {
        each["item_id"]: {k: v for k, v in each.items() if k not in ("position", "recorded_at_us", "item_id")}
        for each in recorder.facts
    }
    assert told["i1"] == {
        "kind": "tea",
        "title": "First",
        "category": "green",
        "brand": "B",
        "unit_price_minor": 200,
        "currency": "EUR",
        "is_available": True,
    }
    assert told["i9"] == {"kind": "tea", "title": "Ninth", "category": "black", "is_available": False}
    assert told["novel"]["title"] == "Novel"
    recorder.merge(tmp_path)
    changed = [ITEMS[0] | {"title": None, "price": 2, "stocked": "no"}, ITEMS[1] | {"price": 5}]
    again = Recorder()
    run(tmp_path, again, write_lines(tmp_path / "items2.jsonl", changed))
    told = {
        each["item_id"]: {k: v for k, v in each.items() if k not in ("position", "recorded_at_us", "item_id")}
        for each in again.facts
    }
    assert told == {
        "i1": {"title": "", "is_available": False},
        "i9": {"unit_price_minor": 500, "currency": "EUR"},
    }


def test_the_server_s_verdicts_are_the_report_s(tmp_path: Path, files: list[Path]) -> None:
    recorder = Recorder({"brew": ("UNKNOWN_EVENT_NAME", "event_name")})
    recorder.known.add(("shop", "view_item", "6"))
    report = run(tmp_path, recorder, *files)
    counts = report.event_counts
    assert (counts.accepted, counts.duplicates) == (4, 2)
    assert counts.refused == {"MISSING_USER": 1, "UNKNOWN_EVENT_NAME": 1}
    found = rows(
        tmp_path,
        "select reason, row_number, field, record->>'id' from quarantine where file like 'events%' order by 2",
    )
    assert found == [("UNKNOWN_EVENT_NAME", 4, "event_name", "4"), ("MISSING_USER", 5, "user_id", "5")]


def test_the_same_files_again_send_nothing(tmp_path: Path, files: list[Path]) -> None:
    first = run(tmp_path, Recorder(), *files)
    again = Recorder()
    report = run(tmp_path, again, *files)
    assert report.was_imported_before
    assert report.event_counts == first.event_counts
    assert (again.calls, again.request_ids) == ([], [])


def test_an_import_that_dies_is_run_again_and_doubles_nothing(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "EVENTS_PER_CALL", 2)
    recorder = Recorder()
    real = recorder.record_events

    def fail_later(source: str, events: Sequence[Mapping[str, Any]]) -> Sequence[Verdict]:
        if recorder.calls:
            raise UnavailableError("the disk is full")
        return real(source, events)

    monkeypatch.setattr(recorder, "record_events", fail_later)
    with pytest.raises(UnavailableError):
        run(tmp_path, recorder, *files)
    assert not (tmp_path / "events.duckdb").exists()
    monkeypatch.setattr(recorder, "record_events", real)

    def die(*_: Any, **__: Any) -> None:
        raise MemoryError("no more")

    with monkeypatch.context() as dying:
        dying.setattr(writing, "write_quarantine", die)
        with pytest.raises(MemoryError):
            run(tmp_path, recorder, *files)
    requests = list(recorder.request_ids)
    assert len(requests) == 1
    report = run(tmp_path, recorder, *files)
    assert recorder.request_ids == requests * 2, "the same content has the same request id"
    # What the events of the first attempt say of items is told now.
    assert {each["item_id"]: each["title"] for each in recorder.facts if "title" in each} == {
        "i0": "Four",
        "i1": "First",
        "i9": "Ninth",
        "novel": "Novel",
    }
    assert (report.event_counts.accepted, report.event_counts.duplicates) == (0, 7)
    recorder.merge(tmp_path)
    assert rows(tmp_path, "select count(*), count(distinct event_id || event_name) from events") == [(6, 6)]


def test_calls_are_small_and_in_the_order_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "EVENTS_PER_CALL", 4)
    monkeypatch.setattr(sending, "_FETCHED_ROWS", 10)
    recorder = Recorder()
    done: list[int] = []
    file = write_lines(tmp_path / "events.jsonl", [row(n) for n in reversed(range(23))])
    import_files(
        tmp_path / "events.duckdb",
        EventMapping.parse(MAPPING),
        [file],
        now=NOW,
        send=recorder,
        progress=lambda stage: done.append(stage.rows_done) if stage.name == "write" else None,
    )
    assert recorder.calls == [4, 4, 2, 4, 4, 2, 3]
    assert done == [0, 4, 8, 10, 14, 18, 20, 23, 23]
    times = [each["event_at_us"] for each in recorder.events]
    assert times == sorted(times)


def test_what_the_wire_does_not_take_is_cut_and_counted_or_refused(tmp_path: Path) -> None:
    long, item = "ä" * 600, "näher" * 300
    events = [
        row(1, "search", item=None, term=long, shelf=long),
        row(2, "view_item", id="x" * 129),
        row(3, "view_item", title=item),
    ]
    recorder = Recorder()
    report = run(tmp_path, recorder, write_lines(tmp_path / "events.jsonl", events))
    assert report.cut_texts == 3
    assert "3 texts were longer" in report.text()
    assert report.event_counts.refused == {"ID_TOO_LONG": 1}
    (search,) = (each for each in recorder.events if each["event_name"] == "search")
    assert search["search_term"] == "ä" * 512
    assert json.loads(search["attributes"]) == {"shelf": "ä" * 512}
    assert recorder.facts[0]["title"] == item.encode()[:1024].decode(errors="ignore")


def test_an_element_of_a_list_may_have_too_long_an_id(tmp_path: Path) -> None:
    mapping = PLAIN.replace("[[events]]\n", '[[events]]\nexplode = "lines"\n') + 'event_id = "id"\n'
    mapping = mapping.replace('item_id = "item_id"', 'item_id = "lines.sku"')
    record = {"id": "x" * 127, "event_name": "view_item", "user_id": "ann", "event_at": "2024-06-01"}
    file = write_lines(tmp_path / "a.jsonl", [record | {"lines": [{"sku": "near"}]}])
    recorder = Recorder()
    report = import_files(
        tmp_path / "events.duckdb", EventMapping.parse(mapping), [file], now=NOW, send=recorder
    )
    assert report.event_counts.refused == {"ID_TOO_LONG": 1}
    assert rows(tmp_path, "select reason, field from quarantine") == [("ID_TOO_LONG", "event_id")]


def test_attributes_are_texts_on_the_wire() -> None:
    attributes = '{"a": "x", "b": 1.5, "c": true, "d": null, "e": {"f": [1, "ä"]}}'
    assert sending.attribute_texts(attributes) == {"a": "x", "b": "1.5", "c": "true", "e": '{"f":[1,"ä"]}'}
    assert sending.attribute_texts(None) == {}


def test_verdicts_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    class Short(Recorder):
        def record_events(self, source: str, events: Sequence[Mapping[str, Any]]) -> Sequence[Verdict]:
            return super().record_events(source, events)[:-1]

    class Strange(Recorder):
        def record_events(self, source: str, events: Sequence[Mapping[str, Any]]) -> Sequence[Verdict]:
            return [Verdict("PERHAPS") for _ in events]

    file = write_lines(tmp_path / "events.jsonl", [row(1), row(2)])
    for recorder, reason in ((Short(), "VERDICTS_MISSING"), (Strange(), "VERDICT_UNKNOWN")):
        with pytest.raises(InternalError) as caught:
            run(tmp_path, recorder, file)
        assert caught.value.reason == reason
