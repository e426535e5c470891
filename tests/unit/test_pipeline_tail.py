"""The event log that a real door writes, read by the binding and tailed into the database."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from recorded_fixture import ITEM_FACTS, RECORDED_EVENTS
from shop_fixture import day

from promosvc import _core, config, pipeline
from promosvc.errors import InvalidArgumentError, NotFoundError, SnapshotError
from promosvc.events import open_database
from promosvc.serving.document import native_document
from promosvc.v1 import catalogue_pb2, event_pb2, money_pb2

NOW = day(200)


class Recording:
    """A door that records, with its data folder and a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        flags = {
            "data.directory": folder,
            "clock.start": "manual",
            "clock.manual_start": f"{NOW.isoformat()}Z",
            "events.custom_item_events": ["enroll"],
        }
        self.loaded = config.load(flags=flags, environment={})
        self.log, self.database = self.loaded.data.event_log, self.loaded.data.database
        self.door = _core.Door(native_document(self.loaded))

    def call(self, method: str, request: Any, answer: Any) -> Any:
        code, message, _, body = self.door.call(
            f"/promosvc.v1.PromoService/{method}", request.SerializeToString(), [], 60.0
        )
        assert code == 0, message
        return answer.FromString(body)

    def record(self, *events: event_pb2.Event, source: str = "") -> list[int]:
        request = event_pb2.RecordEventsRequest(events=events, source=source)
        answer = self.call("RecordEvents", request, event_pb2.RecordEventsResponse)
        return [result.verdict for result in answer.results]

    def upsert(self, request_id: str, *items: catalogue_pb2.ItemUpdate) -> None:
        request = catalogue_pb2.UpsertItemsRequest(request_id=request_id, items=items)
        self.call("UpsertItems", request, catalogue_pb2.UpsertItemsResponse)


class Sender:
    """An import's way into the door."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def record_events(self, source: str, events: Sequence[Mapping[str, Any]]) -> Sequence[pipeline.Verdict]:
        request = event_pb2.RecordEventsRequest(
            events=[event_pb2.Event(**event) for event in events], source=source
        )
        answer = self.recording.call("RecordEvents", request, event_pb2.RecordEventsResponse)
        return [self._verdict(result) for result in answer.results]

    def upsert_items(self, request_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        updates = []
        for item in items:
            told = dict(item)
            if "currency" in told:
                told["unit_price"] = money_pb2.Money(
                    amount_minor=told.pop("unit_price_minor"), currency=told.pop("currency")
                )
            updates.append(catalogue_pb2.ItemUpdate(**told))
        self.recording.upsert(request_id, *updates)

    @staticmethod
    def _verdict(result: event_pb2.EventResult) -> pipeline.Verdict:
        name = event_pb2.EventVerdict.Name(result.verdict).removeprefix("EVENT_VERDICT_")
        if name != "REJECTED":
            return pipeline.Verdict(name)
        reason = event_pb2.RejectionReason.Name(result.rejection_reason)
        return pipeline.Verdict(reason.removeprefix("REJECTION_REASON_"), result.field.rpartition(".")[2])


MAPPING = pipeline.Mapping.parse(
    """
[source]
name = "shop"
currency = "EUR"
[custom_events]
enroll = { needs_item = true }
brew = { needs_item = true }
[[events]]
attributes = ["shelf"]
[events.columns]
event_name = "event"
user_id = "user"
item_id = "item"
event_at = "at"
amount = "paid"
[events.item]
title = "title"
unit_price = "price"
"""
)


def made(number: int, name: str = "view_item", user: str = "ann", item: str = "near", **more: Any) -> Any:
    event = event_pb2.Event(event_id=f"e{number}", event_name=name, user_id=user, item_id=item, **more)
    event.event_at.FromDatetime(day(100) + timedelta(minutes=number))
    return event


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "data")
    yield recording
    recording.door.drain()


def everything(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    with open_database(database, is_read_only=True) as connection:
        return {
            table: connection.execute(f"select * from {table} order by all").fetchall()
            for table in ("events", "items", "users", "log_positions")
        }


def test_the_log_is_read_as_it_was_recorded(recording: Recording) -> None:
    full = made(
        1,
        "purchase",
        order_id="o",
        quantity=1.5,
        amount_minor=250,
        discount_minor=0,
        coupon_discount_minor=5,
        currency="EUR",
        rating=4.5,
        promotion_id="p",
        attributes={"shelf": "top", "aisle": "7"},
    )
    search = made(2, "search", item="", search_term='"hot" tea')
    assert recording.record(full, search, made(1, "purchase")) == [1, 1, 2]
    recording.upsert(
        "r1",
        catalogue_pb2.ItemUpdate(
            item_id="near",
            category="",
            unit_price=money_pb2.Money(amount_minor=7, currency="EUR"),
            stock=3,
        ),
    )
    events, items, position = _core.read_event_log(str(recording.log), 0, None, entries_max=100)
    events, items = pa.table(events), pa.table(items)
    assert events.schema.equals(RECORDED_EVENTS)
    assert items.schema.equals(ITEM_FACTS)
    first, second = events.to_pylist()
    epoch_us = int((day(100) - datetime(1970, 1, 1)) / timedelta(microseconds=1))
    now_us = int((NOW - datetime(1970, 1, 1)) / timedelta(microseconds=1))
    assert first == {
        "position": 0,
        "recorded_at_us": now_us,
        "source": recording.loaded.events.source,
        "event_id": "e1",
        "event_name": "purchase",
        "user_id": "ann",
        "item_id": "near",
        "event_at_us": epoch_us + 60_000_000,
        "order_id": "o",
        "quantity": 1.5,
        "amount_minor": 250,
        "discount_minor": 0,
        "coupon_discount_minor": 5,
        "currency": "EUR",
        "rating": 4.5,
        "search_term": None,
        "promotion_id": "p",
        "exposed_by": None,
        "attributes": '{"aisle":"7","shelf":"top"}',
    }
    assert (second["position"], second["item_id"], second["search_term"]) == (1, None, '"hot" tea')
    (fact,) = items.to_pylist()
    told = {name: value for name, value in fact.items() if value is not None and name != "recorded_at_us"}
    assert told == {
        "position": 2,
        "item_id": "near",
        "category": "",
        "unit_price_minor": 7,
        "currency": "EUR",
        "stock": 3,
    }
    # The answer to the write has a position of its own.
    assert position == 4


def test_a_stretch_is_read_in_pieces(recording: Recording) -> None:
    for first in range(0, 12, 3):
        recording.record(*(made(number) for number in range(first, first + 3)))

    def positions(start: int, until: int | None, most: int) -> tuple[list[int], int]:
        events, _, after = _core.read_event_log(str(recording.log), start, until, entries_max=most)
        return pa.table(events)["position"].to_pylist(), after

    assert positions(0, None, 4) == (list(range(6)), 6)
    assert positions(6, 9, 100) == ([6, 7, 8], 9)
    assert positions(12, None, 100) == ([], 12)
    with pytest.raises(SnapshotError) as caught:
        positions(0, 13, 100)
    assert caught.value.reason == "LOG_SHORT"
    with pytest.raises(InvalidArgumentError, match="entries_max is 0"):
        positions(0, None, 0)


def test_a_log_is_held_by_the_process_that_writes_it(recording: Recording, tmp_path: Path) -> None:
    import os

    assert _core.log_holder(str(recording.log)) == os.getpid()
    assert _core.log_holder(str(tmp_path)) is None


def test_tailing_brings_all_once(recording: Recording) -> None:
    recording.record(*(made(number, user=f"u{number % 3}", item=f"i{number % 4}") for number in range(20)))
    recording.upsert("r1", catalogue_pb2.ItemUpdate(item_id="i1", title="One", stock=0))
    report = pipeline.tail(recording.database, recording.log)
    assert (report.position, report.merged.events, report.merged.items) == (22, 20, 1)
    assert "22" in report.text()
    before = everything(recording.database)
    assert len(before["events"]) == 20
    again = pipeline.tail(recording.database, recording.log)
    assert (again.position, again.merged) == (22, type(report.merged)())
    assert everything(recording.database) == before
    # In small transactions it is the same.
    small = recording.database.with_name("small.duckdb")
    done: list[int] = []
    recording.record(made(30, user="u0"))
    pipeline.tail(recording.database, recording.log)
    pipeline.tail(small, recording.log, None, lambda _stage, at, _all: done.append(at), batch_entries=1)
    assert everything(small) == everything(recording.database)
    assert done == [20, 22, 23]


def test_tailing_stops_where_it_is_told(recording: Recording) -> None:
    recording.record(made(1))
    recording.record(made(2))
    assert pipeline.tail(recording.database, recording.log, 1).position == 1
    assert len(everything(recording.database)["events"]) == 1
    assert pipeline.tail(recording.database, recording.log, 2).position == 2
    assert pipeline.tail(recording.database, recording.log, 1).position == 2
    with pytest.raises(SnapshotError) as caught:
        pipeline.tail(recording.database, recording.log, 3)
    assert caught.value.reason == "LOG_SHORT"


def test_without_a_log_nothing_is_made(tmp_path: Path) -> None:
    report = pipeline.tail(tmp_path / "events.duckdb", tmp_path / "events")
    assert report.position == 0
    assert not (tmp_path / "events.duckdb").exists()


def test_a_log_that_begins_too_late_is_refused(recording: Recording, tmp_path: Path) -> None:
    recording.record(made(1))
    (segment,) = recording.log.glob("*.log")
    late = tmp_path / "late"
    late.mkdir()
    # The name alone says where a log begins.
    (late / f"{5:020}.log").write_bytes(segment.read_bytes())
    with pytest.raises(NotFoundError, match="begins at 5") as caught:
        pipeline.tail(tmp_path / "other.duckdb", late)
    assert caught.value.reason == "LOG_TRIMMED"
    assert not (tmp_path / "other.duckdb").exists()


def test_a_recorded_purchase_is_in_the_next_snapshot(recording: Recording) -> None:
    recording.record(
        *(made(n, "purchase", f"u{n % 4}", f"i{n % 5}", amount_minor=100, currency="EUR") for n in range(40))
    )
    built = pipeline.build(recording.database, recording.loaded.data.snapshots, log_directory=recording.log)
    assert (built.events_position, built.users) == (40, 4)
    recording.record(made(50, "purchase", "new", "novel", amount_minor=900, currency="EUR"))
    report = pipeline.refresh(recording.database, recording.loaded.data.snapshots, recording.log, 41)
    assert (report.events_position, report.new_users, report.new_items) == (41, 1, 1)
    frame = pipeline.features(recording.database, views=["user_rfm"], kind="arrow")["user_rfm"].to_pylist()
    assert {row["entity_id"]: row["spend_minor_7d"] for row in frame}["new"] == 900
    assert report.watermark_at_us == int(
        (day(100) + timedelta(minutes=50)).replace(tzinfo=UTC).timestamp() * 1_000_000
    )


def test_an_import_through_the_door_is_an_import(recording: Recording, tmp_path: Path) -> None:
    names = ("purchase", "view_item", "enroll", "refund", "view_item")
    lines = [
        {
            "event": names[n % 5],
            "user": f"u{n % 7}",
            "item": f"i{n % 11}",
            "at": f"{(day(100) + timedelta(minutes=n // 2)).isoformat()}Z",
            "paid": n % 3 or None,
            "shelf": f"s{n}" if n % 4 else None,
            "title": f"Item {n % 11}",
            "price": 1 + n // 100,
        }
        # Every line is there twice, which is two events, and the server knows neither `brew` nor a time to come.
        for n in [*range(200), *range(200)]
    ]
    lines += [{**lines[0], "event": "brew"}, {**lines[0], "at": "2024-07-25T00:00:00Z"}]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    later = day(300)
    report = pipeline.import_files(recording.database, MAPPING, [file], now=later, send=Sender(recording))
    assert report.event_counts.accepted == 400
    assert report.event_counts.refused == {"UNKNOWN_EVENT_NAME": 1, "IMPOSSIBLE_TIME": 1}
    with open_database(recording.database, is_read_only=True) as connection:
        assert connection.execute("select count(*) from events").fetchall() == [(0,)]
        found = connection.execute(
            "select row_number, reason, field, record->>'event' from quarantine order by 1"
        ).fetchall()
    assert found == [
        (401, "UNKNOWN_EVENT_NAME", "event_name", "brew"),
        (402, "IMPOSSIBLE_TIME", "event_at", "purchase"),
    ]
    assert pipeline.tail(recording.database, recording.log).merged.events == 400
    plain = tmp_path / "plain.duckdb"
    good = tmp_path / "good.jsonl"
    good.write_text("\n".join(json.dumps(line) for line in lines[:400]))
    pipeline.import_files(plain, MAPPING, [good], now=later)

    def content(database: Path) -> dict[str, list[tuple[Any, ...]]]:
        with open_database(database, is_read_only=True) as connection:
            return {
                table: connection.execute(f"select * {less} from {table} order by all").fetchall()
                for table, less in (
                    ("events", "exclude (import_id, log_position)"),
                    ("items", ""),
                    ("users", ""),
                )
            }

    assert content(recording.database) == content(plain)
    # The same lines in another file are known to the server, whether they were merged or not.
    again = tmp_path / "again.jsonl"
    again.write_text("\n".join(json.dumps(line) for line in lines[:3]))
    report = pipeline.import_files(
        tmp_path / "new.duckdb", MAPPING, [again], now=later, send=Sender(recording)
    )
    assert (report.event_counts.accepted, report.event_counts.duplicates) == (0, 3)
