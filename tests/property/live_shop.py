"""A real shop under test: an event database, an event log, snapshots, and a door on them in this process."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from reference_shop import Choice, Happened

from promosvc import _core, config, pipeline
from promosvc.client import event
from promosvc.config import Config
from promosvc.serving.document import native_document
from promosvc.v1 import admin_service_pb2, catalogue_pb2, event_pb2, recommend_pb2, user_context_pb2

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 7, 1, tzinfo=UTC)
NOW_US = int((NOW - EPOCH) / timedelta(microseconds=1))
PAGE_MAX = 100

PLACEMENTS = """
[placements.again]
page_size = 100
sources = ["repeat"]
[placements.again.seen]
hide_seen = false
[placements.new]
page_size = 100
include_reasons = false
"""

MAPPING = {
    "event_id": "event_id",
    "event_name": "event_name",
    "user_id": "user_id",
    "item_id": "item_id",
    "event_at": "event_at",
}


class LiveShop:
    """Drives the real thing; every method is one thing that happens to a shop."""

    def __init__(self, folder: Path, **events: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "promosvc.toml").write_text(PLACEMENTS)
        loaded = config.load(
            folder / "promosvc.toml",
            {
                "data.directory": folder,
                "clock.start": "manual",
                "clock.manual_start": NOW.isoformat(),
                "snapshots.poll_ms": 10,
                "decisions.enabled": False,
                "attribution.enabled": False,
            },
            environment={},
        )
        self.config: Config = replace(loaded, events=replace(loaded.events, **events))
        self.log_directory = self.config.data.event_log
        self._lives = 0
        self._door: _core.Door | None = None

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.config.data.snapshots

    def open(self) -> None:
        """Start the door."""
        document = json.loads(native_document(self.config))
        document["events"]["directory"] = str(self.log_directory)
        self._door = _core.Door(json.dumps(document))

    def kill(self) -> None:
        """Go on with the log as it lies on disk now, as after SIGKILL: nothing was closed or written down for it."""
        self._lives += 1
        copy = self.config.data.directory / f"events-{self._lives}"
        shutil.copytree(self.log_directory, copy, ignore=shutil.ignore_patterns("LOCK"))
        self.log_directory = copy
        self.close()
        self.open()

    def close(self) -> None:
        """Stop the door in good order: a last checkpoint is written."""
        if self._door is not None:
            assert self._door.close(10)
        self._door = None

    def call(self, method: str, request: bytes) -> bytes:
        """Call the door; any status but OK fails the test."""
        assert self._door is not None
        code, message, _, response = self._door.call(f"/promosvc.v1.{method}", request, [], None)
        assert code == 0, message
        return response

    def record(self, events: list[Happened]) -> list[str]:
        """Record events of one source; the verdicts."""
        (source,) = {each.source for each in events}
        request = event_pb2.RecordEventsRequest(events=[wire(each) for each in events], source=source)
        answer = event_pb2.RecordEventsResponse.FromString(
            self.call("PromoService/RecordEvents", request.SerializeToString())
        )
        return [
            event_pb2.EventVerdict.Name(result.verdict).removeprefix("EVENT_VERDICT_")
            for result in answer.results
        ]

    def change(self, request_id: str, item_id: str, *, is_available: bool) -> None:
        """Say whether an item can be had."""
        update = catalogue_pb2.ItemUpdate(item_id=item_id, is_available=is_available)
        request = catalogue_pb2.UpsertItemsRequest(request_id=request_id, items=[update])
        self.call("PromoService/UpsertItems", request.SerializeToString())

    def import_(self, events: list[Happened]) -> int:
        """Import a file of events of one source into the database; how many were accepted."""
        (source,) = {each.source for each in events}
        mapping = pipeline.Mapping.from_dict(
            {"source": {"name": source}, "events": [{"columns": MAPPING}]}, "shop"
        )
        file = self.config.data.directory / "import.jsonl"
        file.write_text("\n".join(json.dumps(record_of(each)) for each in events))
        report = pipeline.import_files(
            self.config.data.database, mapping, [file], now=NOW.replace(tzinfo=None)
        )
        return 0 if report.was_imported_before else report.event_counts.accepted

    def build(self) -> str:
        """Learn, and publish a first snapshot."""
        report = pipeline.build(
            self.config.data.database,
            self.snapshots,
            log_directory=self.log_directory,
            until_position=self.durable(),
        )
        return report.snapshot_id

    def refresh(self, keep: int) -> str | None:
        """Bring the log into the database and publish a snapshot; its id, if there is a new one."""
        report = pipeline.refresh(
            self.config.data.database,
            self.snapshots,
            self.log_directory,
            until_position=self.durable(),
            keep=keep,
        )
        return report.snapshot_id if report.is_published else None

    def durable(self) -> int | None:
        """How far the log is durable; nothing while no door is open."""
        return None if self._door is None else int(self.status().event_log.durable_position)

    def status(self) -> admin_service_pb2.GetStatusResponse:
        """The status."""
        return admin_service_pb2.GetStatusResponse.FromString(self.call("AdminService/GetStatus", b""))

    def take(self, snapshot_id: str) -> None:
        """Wait until the door answers from a published snapshot."""
        while (status := self.status()).snapshot.snapshot_id != snapshot_id:
            assert not status.snapshot_refusal, status.snapshot_refusal

    def recommend(
        self, user_id: str, placement: str, *, include_unavailable: bool
    ) -> recommend_pb2.RecommendResponse:
        """Ask for the widest page."""
        request = recommend_pb2.RecommendRequest(
            user=user_context_pb2.UserContext(user_id=user_id),
            placement=placement,
            page_size=PAGE_MAX,
            filter=recommend_pb2.ItemFilter(include_unavailable=include_unavailable),
        )
        return recommend_pb2.RecommendResponse.FromString(
            self.call("PromoService/Recommend", request.SerializeToString())
        )

    def history(self, user_id: str) -> dict[str, Choice]:
        """The history as the door's reasons tell it."""
        choices = {}
        for item in self.recommend(user_id, "again", include_unavailable=True).items:
            for reason in item.reasons:
                if reason.WhichOneof("basis") == "chosen_before":
                    chosen = reason.chosen_before
                    at = chosen.last_event_at
                    choices[item.item_id] = Choice(
                        chosen.event_count, at.seconds * 1_000_000 + at.nanos // 1_000
                    )
        return choices

    def unseen(self, user_id: str) -> set[str]:
        """What the door shows to the user where seen items are hidden; the catalogue must fit a page."""
        return {item.item_id for item in self.recommend(user_id, "new", include_unavailable=False).items}

    def stored(self) -> list[tuple[str, str, str]]:
        """Identities of the events in the database, as often as they stand there."""
        with duckdb.connect(str(self.config.data.database), read_only=True) as connection:
            return connection.execute(
                "select source, event_name, event_id from events order by all"
            ).fetchall()


def wire(happened: Happened) -> event_pb2.Event:
    """The event as it is recorded."""
    return event(
        happened.event_name,
        happened.user_id,
        item_id=happened.item_id,
        event_id=happened.event_id,
        event_at=EPOCH + timedelta(microseconds=happened.at_us),
    )


def record_of(happened: Happened) -> dict[str, str]:
    """The event as a file has it."""
    at = EPOCH + timedelta(microseconds=happened.at_us)
    return {
        "event_id": happened.event_id,
        "event_name": happened.event_name,
        "user_id": happened.user_id,
        "item_id": happened.item_id,
        "event_at": at.isoformat(),
    }
