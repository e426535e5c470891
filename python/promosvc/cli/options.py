"""Options that several verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)


def data_option(command: Command) -> Command:
    """`--data DIR`: the folder with events.duckdb and snapshots/."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of events.duckdb and snapshots/.  [default: ./data, or data.directory of --config]",
    )(command)


def config_option(command: Command) -> Command:
    """`--config FILE`."""
    return click.option(
        "--config",
        "config_file",
        type=FILE,
        help="A TOML file with what differs from the defaults; see `promosvc config`.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: one JSON object on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")(
        command
    )


def address_option(command: Command) -> Command:
    """`--server HOST:PORT`: whom to ask."""
    return click.option(
        "--server", "address", default="127.0.0.1:50051", show_default=True, help="Host and port to ask."
    )(command)
