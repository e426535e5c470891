"""Servers under measurement and the load generator: where they run, and what data they have.

A server runs on core 0, what loads it on core 1. Each server has a data folder of its own, on the disk of the project (a
memory file system would make every sync free), which shares the snapshots of the built one; so no bench writes into that.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.harness import ROOT

SERVER_CORE, GENERATOR_CORE = 0, 1
LOADGEN = ROOT / "target/release/loadgen"


def shared_folder(data: Path, folder: Path) -> Path:
    """A data folder that shares the snapshots of another, and nothing else."""
    folder.mkdir()
    (folder / "snapshots").symlink_to((data / "snapshots").resolve(), target_is_directory=True)
    return folder


def copied_folder(data: Path, folder: Path) -> Path:
    """A data folder with the database and the published snapshot of another."""
    current = (data / "snapshots" / "CURRENT").read_text(encoding="utf-8").strip()
    snapshots = folder / "snapshots"
    snapshots.mkdir(parents=True)
    shutil.copytree(data / "snapshots" / current, snapshots / current)
    for name in ("CURRENT", "HISTORY"):
        shutil.copy(data / "snapshots" / name, snapshots)
    shutil.copy(data / "events.duckdb", folder)
    return folder


@contextmanager
def promosvc_server(
    data: Path, transport: str = "native", *options: str, is_pinned: bool = True
) -> Iterator[str]:
    """A served snapshot behind one door, as a process; gives its address."""
    command = [sys.executable, "-m", "promosvc.cli", "serve", "--data", str(data), "--clock", "watermark"]
    command += ["--port", "0", "--workers", "1", "--transport", transport, *options]
    with process(command, lambda line: json.loads(line)["serving"], is_pinned=is_pinned) as address:
        yield address


@contextmanager
def process(command: list[str], address_of: Callable[[str], str], *, is_pinned: bool = True) -> Iterator[str]:
    """A server process, on the server's core if pinned; gives the address that its first line says."""
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=(lambda: pin(SERVER_CORE)) if is_pinned else None,
    )
    try:
        assert running.stdout is not None
        yield address_of(running.stdout.readline())
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def pin(core: int) -> None:
    """Keep this process on one of the cores that it may use."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def load(name: str, address: str, *options: str) -> dict[str, Any]:
    """One run of the load generator.

    Raises:
        SystemExit: a call failed, or an event did not come to what it should.
    """
    return finished(name, started(address, *options))


def started(address: str, *options: str) -> subprocess.Popen[str]:
    """A run of the load generator, begun."""
    return subprocess.Popen(
        [str(LOADGEN), "--address", address, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: pin(GENERATOR_CORE),
    )


def finished(name: str, run: subprocess.Popen[str]) -> dict[str, Any]:
    """What a run of the load generator measured.

    Raises:
        SystemExit: as `load`.
    """
    output, complaints = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"{name}: {complaints.strip() or output.strip()}")
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    failed = {status: count for status, count in result["statuses"].items() if status != "0"}
    if failed or result["errors"]:
        raise SystemExit(f"{name}: calls failed: {failed} {result['errors']}")
    return result
