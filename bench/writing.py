"""The writing half of the serving bench: RecordEvents against SQLite, how soon an event is seen, reads under writes.

Every event is new and must be accepted. The server's disk is the project's; a sync is a real one. Whatever runs
beside the server (generators, the command that publishes) is on the other core; the server, its log and the reading of
snapshots share one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.harness import ROOT, median, print_table
from bench.servers import (
    GENERATOR_CORE,
    SERVER_CORE,
    copied_folder,
    finished,
    load,
    pin,
    promosvc_server,
    shared_folder,
    started,
)

BATCH = 500
# Reads under writes: events each second, in batches of so many, and two swaps in so long.
WRITES_PER_SECOND, WRITE_BATCH, SWAP_SECONDS = 20_000, 100, 10.0
REFRESH_SECONDS_MAX = 300.0
RECOMMEND = "/promosvc.v1.PromoService/Recommend"


def measure_writing(
    data: Path, folder: Path, recommend_requests: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Measure all writing rows; prints a table and gives the figures.

    Args:
        data: folder of a built snapshot; only read.
        folder: where to write.
        recommend_requests: encoded Recommend requests, for the load generator.
        rounds: interleaved rounds.
        seconds: of each run.
    """
    users, items = id_lists(data, folder)
    ids = ("--users-file", str(users), "--items-file", str(items))
    runs: dict[str, list[float]] = {
        name: []
        for name in (
            "record",
            "sqlite",
            "sqlite_in_order",
            "visible_p50",
            "visible_p99",
            "quiet",
            "under_writes",
        )
    }
    event_bytes = 0.0
    with ExitStack() as stack:
        recorder = stack.enter_context(
            promosvc_server(shared_folder(data, folder / "recording"), "native", "--no-refresh")
        )
        live_folder = copied_folder(data, folder / "live")
        snapshots = (current_snapshot(live_folder), add_twin_snapshot(live_folder))
        live = stack.enter_context(promosvc_server(live_folder, "native", "--no-refresh"))
        for turn in range(rounds):
            print(f"  round {turn + 1} of {rounds}: writing", file=sys.stderr)
            prefix = ("--event-id-prefix", f"round-{turn}-", "--seed", str(turn))
            options = ("--record-events", str(BATCH), "--seconds", str(seconds), *ids, *prefix)
            recorded = load("RecordEvents", recorder, *options, *clock_start(recorder))
            runs["record"].append(recorded["events_per_s"])
            event_bytes = recorded["event_bytes"]
            for name, order in (("sqlite", ()), ("sqlite_in_order", ("--in-order",))):
                file = folder / f"{name}-{turn}.db"
                runs[name].append(sqlite_events_per_s(file, users, items, seconds, *order))

            one_at_a_time = ("--connections", "1", "--in-flight", "1", "--seconds", str(seconds))
            pairs = load(
                "RecordEvents, then Recommend",
                live,
                "--record-then-recommend",
                *one_at_a_time,
                *ids,
                *("--event-id-prefix", f"visible-{turn}-"),
                *clock_start(live),
            )
            runs["visible_p50"].append(pairs["latency_us"]["p50"])
            runs["visible_p99"].append(pairs["latency_us"]["p99"])

            runs["quiet"].append(quiet_rate(live, recommend_requests))
            writer = (*ids, "--event-id-prefix", f"writes-{turn}-", *clock_start(live))
            runs["under_writes"].append(
                rate_under_writes(live, live_folder, snapshots, recommend_requests, writer)
            )
    refresh_s = seconds_to_refreshed_feature(copied_folder(data, folder / "refreshing"))

    rows = [
        ("RecordEvents, batches of 500, events/s", "record"),
        ("SQLite, batches of 500, events/s", "sqlite"),
        ("SQLite, ids in order, events/s", "sqlite_in_order"),
        ("RecordEvents, then Recommend: p50 us", "visible_p50"),
        ("RecordEvents, then Recommend: p99 us", "visible_p99"),
        ("Recommend, quiet, calls/s", "quiet"),
        (
            f"Recommend, {WRITES_PER_SECOND:,} events/s and two swaps in {SWAP_SECONDS:g} s, calls/s",
            "under_writes",
        ),
    ]
    print_table(
        [
            ["row", "median", "lowest", "highest"],
            *(
                [row, round(median(runs[key])), round(min(runs[key])), round(max(runs[key]))]
                for row, key in rows
            ),
        ]
    )

    def ratio(ours: str, theirs: str) -> float:
        return round(median([a / b for a, b in zip(runs[ours], runs[theirs], strict=True)]), 3)

    return {
        "record_events_per_s": round(median(runs["record"])),
        "record_event_bytes": round(event_bytes),
        "sqlite_events_per_s": round(median(runs["sqlite"])),
        "record_events_vs_sqlite": ratio("record", "sqlite"),
        "record_events_vs_sqlite_in_order": ratio("record", "sqlite_in_order"),
        "event_visible_us_p50": round(median(runs["visible_p50"])),
        "event_visible_us_p99": round(median(runs["visible_p99"])),
        "recommend_under_writes_ratio": ratio("under_writes", "quiet"),
        "refresh_s": round(refresh_s, 1),
    }


def id_lists(data: Path, folder: Path) -> tuple[Path, Path]:
    """Files of the snapshot's users and items, a line each."""
    import pyarrow as pa

    paths = []
    for table, column in (("users", "user_id"), ("items", "item_id")):
        source = data / "snapshots" / current_snapshot(data) / f"{table}.arrow"
        with pa.OSFile(str(source)) as file:
            ids = pa.ipc.open_file(file).read_all()[column].to_pylist()
        path = folder / table
        path.write_text("\n".join(ids), encoding="utf-8")
        paths.append(path)
    return paths[0], paths[1]


def current_snapshot(data: Path) -> str:
    """Id of the published snapshot."""
    return (data / "snapshots" / "CURRENT").read_text(encoding="utf-8").strip()


def add_twin_snapshot(data: Path) -> str:
    """A second snapshot that is ready to be published: the same files and another seed, so another id."""
    from promosvc.snapshot.manifest import canonical_json

    current = current_snapshot(data)
    snapshots = data / "snapshots"
    manifest = json.loads((snapshots / current / "manifest.json").read_bytes())
    manifest["seed"] += 1
    text = canonical_json(manifest) + b"\n"
    twin = f"{current.rpartition('-')[0]}-{hashlib.sha256(text).hexdigest()[:16]}"
    for file in ("manifest.json", *manifest["files"]):
        (snapshots / twin / file).parent.mkdir(parents=True, exist_ok=True)
        if file == "manifest.json":
            (snapshots / twin / file).write_bytes(text)
        else:
            (snapshots / twin / file).hardlink_to(snapshots / current / file)
    return twin


def clock_start(address: str) -> tuple[str, str]:
    """The option that sets the generator's clock to the server's."""
    from promosvc.client import Client

    with Client(address, timeout_seconds=10.0) as client:
        now = client.get_status().clock.now
    return "--clock-start", str(now.ToMicroseconds())


def sqlite_events_per_s(file: Path, users: Path, items: Path, seconds: float, *options: str) -> float:
    """The peer, on the server's core and the same disk."""
    command = [sys.executable, "-m", "bench.peers.sqlite_events", str(file), str(users), str(items)]
    done = subprocess.run(
        [*command, str(seconds), str(BATCH), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: pin(SERVER_CORE),
    )
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    return float(json.loads(done.stdout.splitlines()[-1])["events_per_s"])


def quiet_rate(address: str, requests: Path) -> float:
    """Recommend calls a second while nothing else happens."""
    run = load("Recommend, quiet", address, "--requests-file", str(requests), "--seconds", str(SWAP_SECONDS))
    return float(run["requests_per_s"])


def rate_under_writes(
    address: str, data: Path, snapshots: tuple[str, str], requests: Path, writer_options: tuple[str, ...]
) -> float:
    """Recommend calls a second while events arrive at a fixed rate and two ready snapshots swap.

    Raises:
        SystemExit: an event was not accepted, a snapshot not taken, or the events did not arrive at their rate.
    """
    writer = started(
        address,
        *("--record-events", str(WRITE_BATCH), "--rate-per-second", str(WRITES_PER_SECOND / WRITE_BATCH)),
        *("--warmup", "0", "--seconds", str(SWAP_SECONDS)),
        *writer_options,
    )
    reader = started(address, "--requests-file", str(requests), "--seconds", str(SWAP_SECONDS))
    began = time.monotonic()
    first, second = snapshots
    for part, snapshot in ((1, second), (2, first)):
        time.sleep(max(0.0, began + part * SWAP_SECONDS / 3 - time.monotonic()))
        publish(data, snapshot)
        wait_until_taken(address, snapshot, began + SWAP_SECONDS)
    read = finished("Recommend under writes", reader)
    written = finished("RecordEvents beside Recommend", writer)
    if written["events_per_s"] < 0.95 * WRITES_PER_SECOND:
        raise SystemExit(f"only {written['events_per_s']:,.0f} events/s arrived")
    return float(read["requests_per_s"])


def publish(data: Path, snapshot: str) -> None:
    """`promosvc snapshot publish`, on the generator's core."""
    subprocess.run(
        [sys.executable, "-m", "promosvc.cli", "snapshot", "publish", snapshot, "--data", str(data)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: pin(GENERATOR_CORE),
    )


def wait_until_taken(address: str, snapshot: str, until: float) -> None:
    """Return when the server decides on the snapshot.

    Raises:
        SystemExit: it did not take it in time.
    """
    from promosvc.client import Client

    with Client(address, timeout_seconds=10.0) as client:
        while client.get_status().snapshot.snapshot_id != snapshot:
            if time.monotonic() > until:
                raise SystemExit(f"{snapshot} was published and not taken within the run")
            time.sleep(0.1)


def seconds_to_refreshed_feature(data: Path) -> float:
    """Seconds from sending a purchase to a GetFeatures answer that has changed for it, at the default period.

    Sent right after the start, so that nearly a whole period has to pass: the worst case, not the mean. Not
    pinned, as `promosvc serve` is not.
    """
    from promosvc.client import Client
    from promosvc.v1 import event_pb2, features_pb2

    with promosvc_server(data, is_pinned=False) as address, Client(address, timeout_seconds=10.0) as client:
        answer = client.recommend("1", page_size=1)

        def features() -> bytes:
            frames = client.get_features(features_pb2.ENTITY_KIND_USER, ["1"], views=["user_rfm"]).frames
            return b"".join(frame.SerializeToString(deterministic=True) for frame in frames)

        before = features()
        now = client.get_status().clock.now
        began = time.monotonic()
        recorded = client.record_events(
            [
                event_pb2.Event(
                    event_id=f"refresh-{os.getpid()}",
                    event_name="purchase",
                    user_id="1",
                    item_id=answer.items[0].item_id,
                    event_at=now,
                    quantity=1.0,
                    amount_minor=499,
                    currency="USD",
                )
            ]
        )
        if recorded.accepted_count != 1:
            raise SystemExit(f"the purchase was not accepted: {recorded}")
        while features() == before:
            if time.monotonic() - began > REFRESH_SECONDS_MAX:
                raise SystemExit(f"no refreshed feature within {REFRESH_SECONDS_MAX:g} s")
            time.sleep(0.1)
        return time.monotonic() - began
