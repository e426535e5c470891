"""How many calls one core answers: Recommend and an empty call, against grpcio and bare tonic.

The server runs on core 0 with one worker, the load generator (bench/loadgen, a closed loop of 8 connections x 16
calls in flight) on core 1. Runs of all servers are interleaved; figures are medians, and each ratio is taken
within a round, so that a slow minute hits both sides. Recommend asks for 20 items for every household of the demo's
snapshot in turn, seen filter on, category cap off; any status but OK fails the bench. The physical limit of a call is
what bare tonic costs (HTTP/2, syscalls, no work), and the empty handler on grpcio is what the same service would cost in
Python before it did anything. The servers record, sign and sample as `promosvc serve` does by default, refresher off.

Then the writing half (bench/writing.py): RecordEvents against SQLite, how soon an event is seen, reads under writes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.harness import ROOT, finish, median, print_conditions, print_table, versions
from bench.servers import GENERATOR_CORE, SERVER_CORE, load, pin, process, promosvc_server, shared_folder
from bench.writing import SWAP_SECONDS, WRITES_PER_SECOND, measure_writing

HEALTH = "/grpc.health.v1.Health/Check"
RECOMMEND = "/promosvc.v1.PromoService/Recommend"
SEED = 7


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="accepted for uniformity; JSON is always last")
    parser.add_argument("--data", type=Path, default=ROOT / "demo-data", help="folder of a built snapshot")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (default 3)")
    arguments = parser.parse_args()

    if not (arguments.data / "snapshots" / "CURRENT").exists():
        build_demo(arguments.data)
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
            "bare_tonic",
        ],
        cwd=ROOT,
        check=True,
    )
    cores = sorted(os.sched_getaffinity(0))
    conditions = {
        "server": f"1 worker on core {cores[SERVER_CORE]}",
        "generator": f"8 connections x 16 in flight on core {cores[GENERATOR_CORE % len(cores)]}"
        + ("" if len(cores) > 1 else " (one core only: figures are of no use)"),
        "rounds": f"{arguments.rounds} x {arguments.seconds:g} s each, interleaved, medians",
        "requests": "20 items, every household of the demo's snapshot in turn, seen filter on, category cap off",
        "versions": versions("promosvc", "grpcio", "uvloop"),
        "writing": "new events of the demo's households and items, every one accepted; SQLite in process, WAL, "
        "synchronous=FULL, one transaction a batch, on the server's core and the same disk; reads under "
        f"{WRITES_PER_SECOND:,} events/s while two ready snapshots swap in {SWAP_SECONDS:g} s",
        "h2load": shutil.which("h2load") or "absent: its rows are left out",
    }
    print_conditions("serving: calls answered per second on one core", conditions)
    with ExitStack() as stack:
        # Below the project: a temporary directory may lie in memory, where a sync costs nothing.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "target", prefix="bench-")))
        figures = measure(arguments, folder, stack)
    finish(figures)


def measure(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> dict[str, Any]:
    """Measure all rows; prints the table and gives the figures."""
    plain, reasons, users = write_requests(arguments.data, folder)
    native, grpcio_door = (
        stack.enter_context(
            promosvc_server(shared_folder(arguments.data, folder / transport), transport, "--no-refresh")
        )
        for transport in ("native", "grpcio")
    )
    empty_grpcio = stack.enter_context(process([sys.executable, "-m", "bench.peers.empty_grpcio"], str.strip))
    bare = stack.enter_context(process([str(ROOT / "target/release/bare_tonic")], str.strip))

    rows: dict[str, tuple[str, str, Path | None]] = {
        "native: Recommend": (native, RECOMMEND, plain),
        "native: Recommend with reasons": (native, RECOMMEND, reasons),
        "grpcio door: Recommend": (grpcio_door, RECOMMEND, plain),
        "grpcio: empty handler": (empty_grpcio, RECOMMEND, None),
        "native: health check": (native, HEALTH, None),
        "bare tonic: health check": (bare, HEALTH, None),
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    for turn in range(arguments.rounds):
        for name, (address, method, requests) in rows.items():
            print(f"  round {turn + 1} of {arguments.rounds}: {name}", file=sys.stderr)
            sent = ["--empty"] if requests is None else ["--requests-file", str(requests)]
            options = ["--method", method, "--seconds", str(arguments.seconds), *sent]
            runs[name].append(load(name, address, *options))

    rates = {name: [run["requests_per_s"] for run in of_name] for name, of_name in runs.items()}
    table: list[list[object]] = [
        ["row", "calls/s", "lowest", "highest", "p50 us", "p99 us", "generator busy"]
    ]
    for name, of_name in runs.items():
        latency = {at: median([run["latency_us"][at] for run in of_name]) for at in ("p50", "p99")}
        busy = median([run["generator_busy"] or 0.0 for run in of_name])
        table.append(
            [
                name,
                round(median(rates[name])),
                round(min(rates[name])),
                round(max(rates[name])),
                round(latency["p50"]),
                round(latency["p99"]),
                f"{busy:.0%}",
            ]
        )
    print_table(table)

    def ratio(ours: str, theirs: str) -> float:
        value = median([a / b for a, b in zip(rates[ours], rates[theirs], strict=True)])
        print(f"{ours} / {theirs}: {median(rates[ours]):,.0f} / {median(rates[theirs]):,.0f} = {value:.3f}")
        return round(value, 3)

    figures = {
        "recommend_rps": round(median(rates["native: Recommend"])),
        "recommend_reasons_rps": round(median(rates["native: Recommend with reasons"])),
        "recommend_users": users,
        "recommend_requests": sum(run["requests"] for run in runs["native: Recommend"]),
        "recommend_p99_us": round(median([run["latency_us"]["p99"] for run in runs["native: Recommend"]])),
        "health_rps": round(median(rates["native: health check"])),
        "recommend_vs_empty_grpcio": ratio("native: Recommend", "grpcio: empty handler"),
        "recommend_vs_grpcio_door": ratio("native: Recommend", "grpcio door: Recommend"),
        "health_vs_bare": ratio("native: health check", "bare tonic: health check"),
        "health_vs_grpcio": ratio("native: health check", "grpcio: empty handler"),
    }
    if shutil.which("h2load"):
        figures["health_h2load_rps"] = h2load(native, arguments.seconds)
        figures["bare_h2load_rps"] = h2load(bare, arguments.seconds)
        print(f"h2load: {figures['health_h2load_rps']:,} native, {figures['bare_h2load_rps']:,} bare tonic")
    print()
    return figures | measure_writing(
        arguments.data, folder, plain, rounds=arguments.rounds, seconds=arguments.seconds
    )


def build_demo(data: Path) -> None:
    """Import Complete Journey and build its snapshot."""
    for verb in (["import", "--source", "completejourney"], ["build"]):
        subprocess.run(
            [sys.executable, "-m", "promosvc.cli", *verb, "--data", str(data)], check=True, stdout=sys.stderr
        )


def write_requests(data: Path, folder: Path) -> tuple[Path, Path, int]:
    """Files of encoded requests, without and with reasons, and the number of users in them."""
    import pyarrow as pa

    from promosvc.v1 import recommend_pb2, user_context_pb2

    snapshots = data / "snapshots"
    users_file = snapshots / (snapshots / "CURRENT").read_text(encoding="utf-8").strip() / "users.arrow"
    with pa.OSFile(str(users_file)) as file:
        users = pa.ipc.open_file(file).read_all()["user_id"].to_pylist()
    random.Random(SEED).shuffle(users)
    paths = []
    for name, include_reasons in (("plain", False), ("reasons", True)):
        path = folder / name
        with path.open("wb") as out:
            for user in users:
                message = recommend_pb2.RecommendRequest(
                    user=user_context_pb2.UserContext(user_id=user),
                    page_size=20,
                    category_cap=0,
                    include_reasons=include_reasons,
                    seen_filter=recommend_pb2.SeenFilter(hide_seen=True),
                ).SerializeToString()
                out.write(struct.pack("<I", len(message)) + message)
        paths.append(path)
    return paths[0], paths[1], len(users)


def h2load(address: str, seconds: float) -> int:
    """Empty calls per second as h2load counts them: a check on our own generator."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(bytes(5))
        body.flush()
        done = subprocess.run(
            [
                *(
                    "h2load",
                    "-c",
                    "8",
                    "-m",
                    "16",
                    "-t",
                    "1",
                    "-D",
                    f"{max(1, int(seconds))}",
                    "-d",
                    body.name,
                ),
                *("-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{address}{HEALTH}"),
            ],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: pin(GENERATOR_CORE),
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("finished in"))
    return round(float(line.split(",")[1].split()[0]))


if __name__ == "__main__":
    main()
