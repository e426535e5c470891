"""What survives: killed servers, failing disks, flipped bits; and how soon a server is ready again.

- `kill_*`: a real server is killed with SIGKILL at random moments while two clients record events. Every life's
  acknowledgements are kept; afterwards each acknowledged event must be in the log once, and recording it again must
  answer DUPLICATE.
- `disk_*`: the simulated disk of bench/disk_faults drops, tears and reorders what was not synced, over appends, rotations,
  checkpoints and recoveries; one seed is one failure that can be replayed.
- `recovery_s_per_million`: from starting a killed server to its first answer, divided by the millions of events in
  its log; the whole start counts, Python and snapshot included. The log is read from its last checkpoint, so the
  bench makes sure that there is none: the figure is for replaying everything.
- `corruption_*`: one bit flipped or one cut at random places of a log, its checkpoints and a snapshot. Silent is: opened
  without a word, with other content.

A SIGKILL keeps the page cache, so it says nothing of fsync; the simulated disk does.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.harness import ROOT, finish, print_conditions, print_table, versions

SEED = 7
BATCH = 200
CLIENTS = 2
SOURCE = "faults"
NOW = datetime(2018, 1, 1, tzinfo=UTC)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="accepted for uniformity; JSON is always last")
    parser.add_argument("--data", type=Path, default=ROOT / "demo-data", help="folder of a built snapshot")
    parser.add_argument("--kills", type=int, default=50, help="servers to kill (default 50)")
    parser.add_argument(
        "--events", type=int, default=200_000, help="least acknowledged events (default 200000)"
    )
    parser.add_argument(
        "--seeds", type=int, default=20_000, help="seeds of the simulated disk (default 20000)"
    )
    parser.add_argument("--places", type=int, default=10_000, help="flipped or cut places (default 10000)")
    parser.add_argument(
        "--millions", type=float, default=2.0, help="events of the recovery (default 2 million)"
    )
    arguments = parser.parse_args()
    if not (arguments.data / "snapshots" / "CURRENT").exists():
        raise SystemExit(f"{arguments.data} holds no snapshot; run `make demo DEMO_FLAGS=--exit` first")
    subprocess.run(
        [
            "cargo",
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "loadgen",
            "--package",
            "disk_faults",
        ],
        cwd=ROOT,
        check=True,
    )
    print_conditions(
        "faults: what survives, and how soon it is back",
        {
            "kills": f"{arguments.kills} x SIGKILL under {CLIENTS} clients, batches of {BATCH}",
            "simulated disk": f"{arguments.seeds} seeds",
            "places": f"{arguments.places} flips and cuts",
            "versions": versions("promosvc", "grpcio"),
        },
    )
    with tempfile.TemporaryDirectory(dir=arguments.data.parent) as scratch:
        figures = {
            **kills(arguments, Path(scratch)),
            **recovery(arguments, Path(scratch)),
            **disk(arguments),
            **snapshot_corruption(arguments, Path(scratch)),
        }
    figures["corruption_places"] = figures.pop("log_places") + figures.pop("snapshot_places")
    figures["corruption_silent"] = figures.pop("log_silent") + figures.pop("snapshot_silent")
    figures["corruption_panics"] = figures.pop("log_panics") + figures.pop("snapshot_panics")
    print_table([["figure", "value"], *([name, value] for name, value in figures.items())])
    finish(figures)


def kills(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Kill servers while they record; count what was lost and what came double."""
    from promosvc import _core
    from promosvc.client import Client
    from promosvc.v1 import event_pb2

    data = data_folder(arguments.data, scratch / "kills")
    randomness = random.Random(SEED)
    least = -(-arguments.events // arguments.kills)
    acknowledged: list[list[str]] = []
    for life in range(arguments.kills):
        with server(data) as (process, address):
            stopping = threading.Event()
            batches: list[list[str]] = []
            clients = [
                threading.Thread(target=record_until, args=(address, f"{life}-{number}", stopping, batches))
                for number in range(CLIENTS)
            ]
            for client in clients:
                client.start()
            # The moment is random, but not before this life has done its share.
            while sum(map(len, batches)) < least:
                if process.poll() is not None:
                    raise SystemExit(f"the server of life {life} ended by itself")
                time.sleep(0.001)
            time.sleep(randomness.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.wait()
            stopping.set()
            for client in clients:
                client.join()
        acknowledged += batches
        print(
            f"  life {life + 1} of {arguments.kills}: {sum(map(len, acknowledged)):,} acknowledged",
            file=sys.stderr,
        )
    counts: Counter[str] = Counter()
    position, rows = 0, 1
    while rows:
        events, _, after = _core.read_event_log(str(data / "events"), position, None, entries_max=500_000)
        import pyarrow as pa

        table = pa.table(events)
        counts.update(table["event_id"].to_pylist())
        rows, position = after - position, after
    ids = [event_id for batch in acknowledged for event_id in batch]
    lost = sum(counts[event_id] == 0 for event_id in ids)
    double = sum(count > 1 for count in counts.values())
    known = 0
    with server(data) as (_, address), Client(address, timeout_seconds=30) as client:
        for batch in acknowledged:
            answer = client.record_events([event_of(event_id) for event_id in batch], source=SOURCE)
            known += answer.duplicate_count
            double += sum(result.verdict == event_pb2.EVENT_VERDICT_ACCEPTED for result in answer.results)
    return {
        "kills": arguments.kills,
        "kill_acknowledged": len(ids),
        "kill_lost": lost + (len(ids) - known),
        "kill_double": double,
    }


def record_until(address: str, name: str, stopping: threading.Event, batches: list[list[str]]) -> None:
    """Record batch after batch; keep the ids of those that were acknowledged."""
    from promosvc.client import Client
    from promosvc.errors import PromosvcError

    with Client(address, timeout_seconds=2) as client:
        number = 0
        while not stopping.is_set():
            ids = [f"{name}-{number + place}" for place in range(BATCH)]
            number += BATCH
            try:
                answer = client.record_events([event_of(event_id) for event_id in ids], source=SOURCE)
            except PromosvcError:
                # Not acknowledged: it may be in the log or not. The server is mostly gone now.
                continue
            if answer.accepted_count != BATCH:
                raise SystemExit(f"{answer.accepted_count} of {BATCH} new events were accepted")
            batches.append(ids)


def event_of(event_id: str) -> Any:
    """The event of an id: the same each time."""
    from promosvc.client import event

    number = hash_of(event_id)
    return event(
        "purchase" if number % 4 == 0 else "view_item",
        f"user-{number % 5_000}",
        item_id=f"item-{number % 997}",
        event_at=NOW + timedelta(seconds=number % 60),
        event_id=event_id,
        quantity=1,
        amount_minor=number % 10_000,
        currency="USD",
    )


def hash_of(text: str) -> int:
    """A number that is the same in every process, unlike hash()."""
    number = 0
    for byte in text.encode():
        number = (number * 1_000_003 + byte) % (1 << 61)
    return number


def recovery(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Fill a log, kill the server, and time how long a new one takes to answer."""
    data = data_folder(arguments.data, scratch / "recovery")
    events = round(arguments.millions * 1e6)
    with server(data, PROMOSVC_EVENTS_CHECKPOINT_SECONDS="86400") as (process, address):
        generate(address, events)
        process.send_signal(signal.SIGKILL)
        process.wait()
    if list((data / "events").glob("*.checkpoint")):
        raise SystemExit("a checkpoint was written, so the figure would not be that of replaying the log")
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        with server(data) as (process, _):
            seconds.append(time.monotonic() - began)
            process.send_signal(signal.SIGKILL)
            process.wait()
    slowest = max(seconds)
    return {
        "recovery_events": events,
        "recovery_s": round(slowest, 3),
        "recovery_s_per_million": round(slowest / (events / 1e6), 3),
    }


def generate(address: str, events: int) -> None:
    """Record so many distinct events with the load generator."""
    subprocess.run(
        [
            *(str(ROOT / "target/release/loadgen"), "--address", address, "--record-events", "500"),
            *(
                "--requests",
                str(-(-events // 500)),
                "--warmup",
                "0",
                "--clock-start",
                str(round(NOW.timestamp() * 1e6)),
            ),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def disk(arguments: argparse.Namespace) -> dict[str, Any]:
    """The simulated disk, and corruption of logs and checkpoints."""
    places = arguments.places // 2
    command = [
        str(ROOT / "target/release/disk_faults"),
        "--seeds",
        str(arguments.seeds),
        "--flips",
        str(places),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return {
        "disk_seeds": told["disk_seeds"],
        "disk_lost": told["disk_lost"],
        "log_places": told["log_flips"],
        "log_silent": told["log_silent"],
        "log_panics": told["log_panics"],
    }


def snapshot_corruption(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Flip a bit or cut a file of a snapshot, again and again; each must be refused by name."""
    from promosvc import _core
    from promosvc.errors import SnapshotError

    copy = small_snapshot(scratch / "corrupt")
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    lengths = [path.stat().st_size for path in files]
    randomness = random.Random(SEED)
    silent, panics, places = 0, 0, arguments.places - arguments.places // 2
    for _ in range(places):
        # Half of the places by size, half by file: the manifest is as exposed as the longest table.
        weights = lengths if randomness.random() < 0.5 else None
        path = randomness.choices(files, weights)[0]
        place = randomness.randrange(path.stat().st_size)
        before = path.read_bytes() if randomness.random() < 0.2 else None
        if before is not None:
            os.truncate(path, place)
        else:
            flip(path, place, bit := 1 << randomness.randrange(8))
        try:
            _core.verify_snapshot(str(copy))
            silent += 1
        except SnapshotError:
            pass
        except BaseException as error:  # a panic of the core is no Exception
            print(f"  {path.name} at {place}: {error!r}", file=sys.stderr)
            panics += 1
        if before is not None:
            path.write_bytes(before)
        else:
            flip(path, place, bit)
    _core.verify_snapshot(str(copy))
    return {"snapshot_places": places, "snapshot_silent": silent, "snapshot_panics": panics}


def flip(path: Path, place: int, bit: int) -> None:
    """Turn one bit of a file; twice is nothing."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ bit]))


def small_snapshot(folder: Path) -> Path:
    """A snapshot of a shop of two hundred customers: every file, few bytes, so that each verification is quick."""
    import pyarrow as pa

    from promosvc import pipeline
    from promosvc.events import import_frame

    randomness = random.Random(SEED)
    rows = [
        {
            "event_name": randomness.choice(["purchase", "purchase", "view_item", "add_to_cart"]),
            "user_id": f"user-{randomness.randrange(200)}",
            "item_id": f"item-{randomness.randrange(80)}",
            "event_at": NOW - timedelta(minutes=randomness.randrange(60 * 24 * 60)),
            "amount": "3.20",
        }
        for _ in range(4_000)
    ]
    columns = {name: name for name in rows[0]}
    database = folder / "events.duckdb"
    import_frame(database, pa.Table.from_pylist(rows), columns, currency="EUR", now=NOW)
    return Path(pipeline.build(database, folder / "snapshots").path)


def data_folder(source: Path, folder: Path) -> Path:
    """A data folder of its own on the snapshots of another."""
    folder.mkdir(parents=True)
    (folder / "snapshots").symlink_to((source / "snapshots").resolve())
    return folder


@contextmanager
def server(data: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process without refresher; killed if it still runs at the end."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "promosvc.cli", "serve", "--data", str(data), "--port", "0"),
            *("--workers", "1", "--clock", "watermark", "--no-refresh"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the server on {data} did not start")
        yield process, json.loads(line)["serving"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
