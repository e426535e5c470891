"""A server and its refresher as processes: what is recorded reaches answers at once, and features soon."""

import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_serve_process import COMMAND, own_data, served

from promosvc.client import Client, event
from promosvc.v1 import features_pb2

assert own_data  # a fixture, used by name

QUICK = ("--clock", "watermark")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refresher goes round every second."""
    monkeypatch.setenv("PROMOSVC_REFRESHER_PERIOD_SECONDS", "1")


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} s"
        time.sleep(0.05)
    return found


def command(*arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def now(client: Client) -> datetime:
    return client.get_status().clock.now.ToDatetime(tzinfo=UTC)


def feature(client: Client, user_id: str, view: str, name: str) -> float | None:
    """One feature of a user; nothing where it is missing."""
    answer = client.get_features(features_pb2.ENTITY_KIND_USER, [user_id], views=[view])
    (frame,) = answer.frames
    (column,) = (column for column in frame.columns if column.name == name)
    return column.values[0] if column.statuses[0] == features_pb2.FEATURE_STATUS_PRESENT else None


def test_a_recorded_purchase_changes_the_next_answer_and_soon_its_features(own_data: Path) -> None:
    with served(own_data, *QUICK) as (_, address), Client(address, timeout_seconds=5) as client:
        before = client.get_status().snapshot.snapshot_id
        orders = feature(client, "c00", "user_rfm", "orders_7d") or 0
        shown = client.recommend("c00").items[0]
        bought = event(
            "purchase",
            "c00",
            item_id=shown.item_id,
            event_at=now(client),
            order_id="of the test",
            quantity=1,
            amount_minor=320,
            currency="EUR",
            attribution_token=shown.attribution_token,
        )
        answer = client.record_events([bought])
        assert (answer.accepted_count, answer.results[0].is_attributed) == (1, True)
        assert shown.item_id not in [item.item_id for item in client.recommend("c00").items]
        eventually(lambda: client.get_status().snapshot.snapshot_id != before, "a fresh snapshot")
        assert client.get_status().snapshot.events_position == 1
        assert feature(client, "c00", "user_rfm", "orders_7d") == orders + 1
        # Now the snapshot says so, no longer the log.
        assert shown.item_id not in [item.item_id for item in client.recommend("c00").items]
        assert client.record_events([bought]).duplicate_count == 1


def test_a_refresh_by_hand_says_what_it_did(own_data: Path) -> None:
    with (
        served(own_data, *QUICK, "--no-refresh") as (_, address),
        Client(address, timeout_seconds=5) as client,
    ):
        client.record_events([event("view_item", "somebody new", item_id="tea-1", event_at=now(client))])
        told = json.loads(command("refresh", "--data", str(own_data), "--json"))
        assert (told["is_published"], told["events_position"], told["new_users"]) == (True, 1, 1)
        again = json.loads(command("refresh", "--data", str(own_data), "--json"))
        assert (again["is_published"], again["snapshot_id"]) == (False, told["snapshot_id"])
    # Without a server the whole log is read, and a build brings it in too.
    built = json.loads(command("build", "--data", str(own_data), "--json"))
    assert built["users"] == 41


def test_a_killed_server_takes_its_refresher_along_and_another_goes_on(own_data: Path) -> None:
    with served(own_data, *QUICK) as (process, address), Client(address, timeout_seconds=5) as client:
        children = eventually(lambda: children_of(process.pid), "the refresher")
        view = event("view_item", "c01", item_id="tool-1", event_at=now(client))
        assert client.record_events([view]).accepted_count == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    eventually(lambda: not any(is_running(child) for child in children), "the end of the refresher")
    with served(own_data, *QUICK) as (_, address), Client(address, timeout_seconds=5) as client:
        assert client.record_events([view]).duplicate_count == 1


def children_of(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def is_running(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_import_goes_through_the_running_server(own_data: Path, tmp_path: Path, shop_files: Path) -> None:
    orders = tmp_path / "orders-new.csv"
    with served(own_data, *QUICK) as (_, address), Client(address, timeout_seconds=5) as client:
        # Berlin's time of now: the mapping says so.
        at = now(client) - timedelta(minutes=5)
        with orders.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["order", "customer", "sku", "time", "units", "paid"])
            for number in range(3):
                out.writerow(
                    [f"n{number}", "brand new", f"tea-{number}", f"{at:%Y-%m-%d %H:%M:%S}", 1, "3.20"]
                )
        arguments = [
            "--data",
            str(own_data),
            "--mapping",
            str(shop_files / "shop.toml"),
            "--events",
            str(orders),
        ]
        report = json.loads(command("import", *arguments, "--json"))
        assert report["event_counts"]["accepted"] == 3
        assert client.get_status().event_log.durable_position >= 3
        # At once, before any refresh.
        reasons = [
            reason.WhichOneof("basis")
            for item in client.recommend("brand new", include_reasons=True).items
            for reason in item.reasons
        ]
        assert "because_of_item" in reasons
        eventually(lambda: feature(client, "brand new", "user_rfm", "orders_7d"), "features of a new user")
        # Straight into the database and then recorded would be twice; through the server it is once.
        again = json.loads(command("import", *arguments, "--json"))
        assert again["was_imported_before"]


def test_an_event_imported_from_a_file_and_then_recorded_is_a_duplicate(
    own_data: Path, tmp_path: Path
) -> None:
    mapping = tmp_path / "till.toml"
    mapping.write_text(
        """
        [source]
        name = "till"
        [[events]]
        [events.columns]
        event_id = "id"
        event_name = { value = "purchase" }
        user_id = "who"
        item_id = "what"
        event_at = "when"
        """
    )
    rows = tmp_path / "till.csv"
    rows.write_text("id,who,what,when\nt-1,c05,tea-5,2024-02-11T10:00:00Z\n")
    command("import", "--data", str(own_data), "--mapping", str(mapping), "--events", str(rows))
    command("build", "--data", str(own_data))
    with served(own_data, *QUICK) as (_, address), Client(address, timeout_seconds=5) as client:
        same = event(
            "purchase", "c05", item_id="tea-5", event_id="t-1", event_at=datetime(2024, 2, 11, 10, tzinfo=UTC)
        )
        assert client.record_events([same], source="till").duplicate_count == 1
        assert client.record_events([same]).accepted_count == 1  # of another source it is another event


def test_the_command_line_records_and_changes(own_data: Path) -> None:
    with served(own_data, *QUICK) as (_, address), Client(address, timeout_seconds=5) as client:
        told = command("record", "purchase", "c02", "tea-2", "--server", address, "--id", "once")
        assert told == "accepted: once\n"
        assert command("record", "purchase", "c02", "tea-2", "--server", address, "--id", "once").startswith(
            "dup"
        )
        assert command("upsert", "tea-2", "--stock", "0", "--server", address) == "updated: tea-2\n"
        assert command("upsert", "tea-x", "--price", "199 EUR", "--server", address) == "created: tea-x\n"
        status = json.loads(command("status", "--server", address, "--json"))
        assert int(status["event_log"]["durable_position"]) == 5
        assert not client.get_status().event_log.failure
        refused = subprocess.run(
            [*COMMAND, "record", "purchas", "c02", "tea-2", "--server", address],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 3
        assert "UNKNOWN_EVENT_NAME" in refused.stderr


def test_a_second_server_on_the_same_data_is_refused_unless_it_records_nothing(own_data: Path) -> None:
    with served(own_data, *QUICK) as (process, address):
        second = subprocess.run(
            [*COMMAND, "serve", "--data", str(own_data), "--port", "0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 4
        assert str(process.pid) in second.stderr
        with (
            served(own_data, *QUICK, "--no-record") as (_, replica),
            Client(replica, timeout_seconds=5) as client,
        ):
            assert client.recommend("c00").items
            assert not client.get_status().HasField("event_log")
        with Client(address, timeout_seconds=5) as client:
            assert client.get_status().HasField("event_log")
