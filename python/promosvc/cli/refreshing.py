"""`promosvc refresh`: what was recorded since becomes features, popularity and histories."""

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option, json_option
from promosvc.cli.progress import progress
from promosvc.cli.running import durable_position
from promosvc.config import Config
from promosvc.errors import PromosvcError

NICENESS = 10


@click.command()
@data_option
@config_option
@click.option(
    "--server", "address", default="", help="The server's address; by default it is looked up in --data."
)
@click.option("--keep", type=int, help="How many published snapshots to leave.  [default: 5]")
@click.option("--follow", is_flag=True, help="Go on until standard input ends; what `serve` starts.")
@click.option("--every", type=int, help="With --follow: seconds from round to round.  [default: 60]")
@json_option
@failing_by_name
def refresh(
    data: Path | None,
    config_file: Path | None,
    address: str,
    keep: int | None,
    follow: bool,
    every: int | None,
    as_json: bool,
) -> None:
    """Bring recorded events into the database and publish a fresh snapshot.

    Features, popularity, histories and the catalogue are computed anew; the models stay those of the last
    `promosvc build`. Nothing recorded, nothing published. While a server runs it does this by itself every minute; this
    runs one round by hand.
    """
    loaded = config.load(
        config_file,
        {"data.directory": data, "snapshots.keep": keep, "refresher.period_seconds": every},
    )
    if follow:
        os.nice(NICENESS)
        _follow(loaded, address)
        return
    with progress() as show:
        report = _round(loaded, address, show)
    click.echo(json.dumps(report.to_dict()) if as_json else report.text())


def _round(loaded: Config, address: str, show: Any = None) -> Any:
    from promosvc import pipeline

    return pipeline.refresh(
        loaded.data.database,
        loaded.data.snapshots,
        loaded.data.event_log,
        until_position=durable_position(loaded, address),
        keep=loaded.snapshots.keep,
        progress=show,
    )


def _follow(loaded: Config, address: str) -> None:
    """Refresh every period until standard input ends; a round that fails is said and tried again."""
    period = loaded.refresher.period_seconds
    due = time.monotonic() + period
    while not _input_ended(due):
        due = time.monotonic() + period
        try:
            report = _round(loaded, address)
        except PromosvcError as error:
            _say("refresh_failed", "error", reason=error.reason, error=str(error))
        else:
            if report.is_published:
                _say("refreshed", "info", **report.to_dict())


def _input_ended(until: float) -> bool:
    """Wait for a time; whether standard input ended before."""
    while (left := until - time.monotonic()) > 0:
        readable, _, _ = select.select([sys.stdin], [], [], left)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return True
    return False


def _say(event: str, level: str, **values: Any) -> None:
    print(json.dumps({"event": event, "level": level, **values}), flush=True)
