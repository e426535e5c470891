"""`promosvc evaluate`."""

import json
from datetime import datetime
from pathlib import Path

import click

from promosvc import config
from promosvc.cli.building import time_option
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option, json_option
from promosvc.cli.progress import progress


@click.command()
@data_option
@config_option
@click.option(
    "--until",
    metavar="TIME",
    callback=time_option,
    help="End of the test period.  [default: end of the data]",
)
@click.option("--days", type=int, default=28, show_default=True, help="Length of the test period.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of everything random.")
@json_option
@failing_by_name
def evaluate(
    data: Path | None,
    config_file: Path | None,
    until: datetime | None,
    days: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure the served engine on the newest part of the data.

    Cuts the data at one time, builds on the past, asks the engine that a server would run for every
    user of the later part, and ranks over the whole catalogue (full ranking, ties at mid-rank). What is
    popular in the last 7 days always stands beside; differences come with a paired bootstrap
    interval. Nothing of the test period is learned from.
    """
    from promosvc import pipeline

    loaded = config.load(config_file, {"data.directory": data})
    with progress() as show:
        report = pipeline.evaluate(loaded.data.database, until, days, seed, show)
    click.echo(json.dumps(report.to_dict()) if as_json else report.table())
