"""Progress of long work: a bar on a terminal, JSON lines otherwise; both on standard error.

Standard output carries results only, so that a pipe gets nothing else.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); a total of 0 means that it is not known."""

LINE_SECONDS = 1.0


@contextmanager
def progress() -> Iterator[Progress]:
    """Give a function that long work calls, and show what it is called with."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.fields[count]:>22}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}
        totals: dict[str, int] = {}

        def end(stage: str) -> None:
            count = f"{totals[stage]:,}" if totals[stage] else ""
            bars.update(tasks[stage], total=1, completed=1, count=count)
            bars.stop_task(tasks[stage])

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                # A stage begins where the one before it ends.
                for earlier in list(tasks)[-1:]:
                    end(earlier)
                tasks[stage] = bars.add_task(stage, total=total or None, count="")
            totals[stage] = total or done
            count = f"{done:,} / {total:,}" if total else f"{done:,}" if done else ""
            bars.update(tasks[stage], total=total or None, completed=done, count=count)

        yield show
        for last in list(tasks)[-1:]:
            end(last)


def _lines() -> Progress:
    last: dict[str, float] = {}
    began = time.monotonic()

    def show(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        # One line a second for each stage, and always its first and its last.
        if stage in last and now - last[stage] < LINE_SECONDS and done != total:
            return
        last[stage] = now
        line = {"stage": stage, "done": done, "total": total, "elapsed_seconds": round(now - began, 2)}
        print(json.dumps(line), file=sys.stderr, flush=True)

    return show
