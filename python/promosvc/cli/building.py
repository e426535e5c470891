"""`promosvc build`."""

import json
from datetime import datetime
from pathlib import Path

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option, json_option
from promosvc.cli.progress import progress
from promosvc.cli.running import durable_position
from promosvc.config.load import parse_time
from promosvc.errors import ConfigError


def time_option(
    context: click.Context,  # noqa: ARG001 (click's signature)
    parameter: click.Parameter,
    value: str | None,
) -> datetime | None:
    """Read a time; a date alone is its midnight in UTC."""
    if value is None:
        return None
    text = f"{value}T00:00:00Z" if len(value) == len("2018-01-01") else value
    try:
        return parse_time(text, f"--{parameter.name}")
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@data_option
@config_option
@click.option(
    "--until",
    metavar="TIME",
    callback=time_option,
    help="Look at nothing from this time on, such as 2017-12-01 or 2017-12-01T12:00:00Z.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Equal data and seed give equal bytes.")
@click.option("--no-publish", is_flag=True, help="Write the snapshot, but leave CURRENT as it is.")
@json_option
@failing_by_name
def build(
    data: Path | None,
    config_file: Path | None,
    until: datetime | None,
    seed: int,
    no_publish: bool,
    as_json: bool,
) -> None:
    """Learn from the event database: features, recommenders, blend weights; publish a snapshot.

    The weights of the sources are learned on the newest weeks by the engine that serves; then everything is fitted
    again on all data, recorded events included. The snapshot is written aside, verified and renamed; a build that fails
    leaves no trace.
    """
    from promosvc import pipeline

    loaded = config.load(config_file, {"data.directory": data})
    with progress() as show:
        report = pipeline.build(
            loaded.data.database,
            loaded.data.snapshots,
            log_directory=loaded.data.event_log,
            until_position=durable_position(loaded),
            until=until,
            seed=seed,
            publish=not no_publish,
            progress=show,
        )
    click.echo(json.dumps(report.to_dict()) if as_json else report.text())
