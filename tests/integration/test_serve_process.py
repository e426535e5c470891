"""`promosvc serve` as a process: signals, refusals, and the swap of a published snapshot."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promosvc import pipeline
from promosvc.client import Client

COMMAND = [sys.executable, "-m", "promosvc.cli"]


@contextmanager
def served(data: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address; killed if it still runs at the end."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(data), "--port", "0", "--workers", "1", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PROMOSVC_SNAPSHOTS_POLL_MS": "20"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield process, json.loads(line)["serving"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def own_data(shop_data: Path, tmp_path: Path) -> Path:
    """A copy of the shop's data that a test may change."""
    return shutil.copytree(shop_data, tmp_path / "data")


def until(condition: object, client: Client, wanted: object) -> None:
    """Ask for the status until it is what is wanted; fail after ten seconds."""
    assert callable(condition)
    deadline = time.monotonic() + 10
    while (found := condition(client.get_status())) != wanted:
        assert time.monotonic() < deadline, f"still {found!r}, not {wanted!r}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_a_signal_drains_and_ends_with_success(shop_data: Path, number: int, transport: str) -> None:
    with served(shop_data, "--transport", transport) as (process, address):
        with Client(address, timeout_seconds=5) as client:
            assert client.recommend("c00").items
        process.send_signal(number)
        assert process.wait(15) == 0


def test_a_running_server_takes_what_is_published_and_rolled_back(own_data: Path) -> None:
    snapshots = own_data / "snapshots"
    newest = pipeline.current_snapshot(snapshots)
    with served(own_data) as (_, address), Client(address, timeout_seconds=5) as client:
        assert client.get_status().snapshot.snapshot_id == newest
        rolled_back = subprocess.run(
            [*COMMAND, "snapshot", "rollback", "--data", str(own_data)],
            capture_output=True,
            text=True,
            check=True,
        )
        earlier = rolled_back.stdout.split()[-1]
        assert earlier != newest
        until(lambda status: status.snapshot.snapshot_id, client, earlier)
        assert client.recommend("c00").snapshot_id == earlier
        pipeline.publish_snapshot(snapshots, str(newest))
        until(lambda status: status.snapshot.snapshot_id, client, newest)


def test_a_damaged_snapshot_is_refused_by_name_and_the_running_one_stays(own_data: Path) -> None:
    snapshots = own_data / "snapshots"
    newest = pipeline.current_snapshot(snapshots)
    other = next(
        info.snapshot_id for info in pipeline.list_snapshots(snapshots) if info.snapshot_id != newest
    )
    with served(own_data) as (_, address), Client(address, timeout_seconds=5) as client:
        items = snapshots / other / "items.arrow"
        items.write_bytes(items.read_bytes()[:-7])
        # Past `publish`, which would refuse it: as a disk or a careless copy would do it.
        (snapshots / "CURRENT").write_text(f"{other}\n")
        until(lambda status: "items.arrow" in status.snapshot_refusal, client, True)
        assert client.get_status().snapshot.snapshot_id == newest
        assert client.recommend("c00").items


def test_without_a_snapshot_health_says_so_until_there_is_one(own_data: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with served(empty) as (_, address), Client(address, timeout_seconds=5) as client:
        assert not client.get_status().HasField("snapshot")
        shutil.copytree(own_data / "snapshots", empty / "snapshots")
        until(lambda status: status.HasField("snapshot"), client, True)
        assert client.recommend("c00").items


@pytest.mark.parametrize(
    ("flags", "says", "code"),
    [
        (["--address", "0.0.0.0"], "--insecure", 4),
        (["--clock", "yesterday"], "clock.start is 'yesterday'", 3),
        (["--port", "70000"], "server.port is 70000", 3),
        (["--config", "absent.toml"], "absent.toml cannot be read", 3),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    shop_data: Path, flags: list[str], says: str, code: int
) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--data", str(shop_data), *flags],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert says in done.stderr
    assert done.returncode == code


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_a_port_that_is_taken_is_named(shop_data: Path, transport: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "serve", "--data", str(shop_data), "--port", str(port), "--transport", transport],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode != 0
