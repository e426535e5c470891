"""What all benches share: conditions first, interleaved runs, a table, one JSON object as the last line.

A bench is named for its subject and run as `python -m bench.NAME [--json]` from the project's root. It
installs the peers it lacks into the running environment, and reports a peer that cannot be installed as
missing, never guessed.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def need(*requirements: str) -> list[str]:
    """Installs what is absent ("implicit==0.7.3"; "PIL@pillow" imports as PIL); returns what could not be."""
    missing = []
    for requirement in requirements:
        module, _, package = requirement.rpartition("@")
        module = module or package.partition("==")[0].replace("-", "_")
        if importlib.util.find_spec(module) is None:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                package,
            ]
            print(f"installing {package} into {sys.prefix}", file=sys.stderr)
            if subprocess.run(command, check=False).returncode != 0:
                missing.append(package)
            importlib.invalidate_caches()
    return missing


def without_blas_override() -> None:
    """Starts this bench anew without OPENBLAS_CORETYPE, which makes a peer's BLAS run for another machine."""
    if "OPENBLAS_CORETYPE" in os.environ:
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def shared_data(*parts: str) -> Path | None:
    """A file of the real data beside the project (`../shared/data`, or $PROMOSVC_BENCH_DATA), or None."""
    folder = Path(os.environ.get("PROMOSVC_BENCH_DATA", ROOT.parent / "shared" / "data"))
    path = folder.joinpath(*parts)
    return path if path.exists() else None


def cache_folder() -> Path:
    """Where downloads for benches are kept, outside the project."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "promosvc-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    described = {
        "cpu": _first_match("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _first_match("/proc/meminfo", "MemTotal") or "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    if hasattr(os, "getloadavg"):
        described["load before"] = f"{os.getloadavg()[0]:.2f} (1 minute)"
    return described


def versions(*packages: str) -> str:
    """Installed versions, "numpy 2.4.6, ..."."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} (absent)")
    return ", ".join(found)


def print_conditions(title: str, conditions: Mapping[str, object]) -> None:
    """Prints the machine and the bench's own conditions: sizes, seeds, caveats."""
    print(title)
    for name, value in {**machine(), **conditions}.items():
        print(f"  {name}: {value}")
    print()


def interleaved(runs: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, list[float]]:
    """Seconds of each run, `repeats` times in turns, so that a slow minute hits all; one warm-up each."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            gc.collect()
            start = time.perf_counter()
            run()
            elapsed = time.perf_counter() - start
            if repeat > 0:
                seconds[name].append(elapsed)
    return seconds


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Prints rows in columns; the first row is the head, numbers stand to the right."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    for number, row in enumerate(cells):
        line = [
            cell.rjust(width) if not isinstance(rows[-1][at], str) else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(line).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    print()


def finish(figures: Mapping[str, Any]) -> None:
    """Prints the figures as one JSON object, the last line."""
    print(json.dumps(figures), flush=True)


def _first_match(path: str, key: str) -> str | None:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
