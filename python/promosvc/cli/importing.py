"""`promosvc import`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import FILE, config_option, data_option, json_option
from promosvc.cli.progress import progress
from promosvc.cli.running import running_server
from promosvc.config import Config
from promosvc.errors import InvalidArgumentError

if TYPE_CHECKING:
    from promosvc import pipeline

SEND_SECONDS = 30.0


def _tables(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:  # noqa: ARG001 (click's signature)
    tables = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{value!r} is not NAME=FILE")
        tables[name] = Path(path)
    return tables


@contextmanager
def _recorder(loaded: Config) -> Iterator[pipeline.Recorder | None]:
    """What accepted rows are sent to; nothing where no server runs, and they go straight to the database."""
    address = running_server(loaded)
    if address is None:
        yield None
        return
    from promosvc.cli.sending import ServerRecorder
    from promosvc.client import Client

    click.echo(f"The server at {address} runs on this data: the import goes through it.", err=True)
    with Client(address, timeout_seconds=SEND_SECONDS) as client:
        yield ServerRecorder(client)


@click.command("import")
@click.option(
    "--source",
    metavar="NAME",
    help="A shipped mapping instead of --mapping; `completejourney` brings its files itself.",
)
@click.option("--mapping", "mapping_file", type=FILE, help="The TOML file that says what the columns mean.")
@click.option("--events", "event_files", multiple=True, type=FILE, help="A file of events; repeatable.")
@click.option("--items", "item_files", multiple=True, type=FILE, help="A file of items; repeatable.")
@click.option("--users", "user_files", multiple=True, type=FILE, help="A file of users; repeatable.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME=FILE",
    callback=_tables,
    help="The file of a [tables.NAME] of the mapping; by default it is looked for beside the event files.",
)
@data_option
@config_option
@json_option
@failing_by_name
def import_(
    source: str | None,
    mapping_file: Path | None,
    event_files: tuple[Path, ...],
    item_files: tuple[Path, ...],
    user_files: tuple[Path, ...],
    tables: dict[str, Path],
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Clean event, item and user files into the event database.

    \b
      promosvc import --source completejourney
      promosvc import --source online-retail --events online_retail.parquet
      promosvc import --mapping shop.toml --events orders.csv --items products.csv

    Files are CSV, Parquet or JSON Lines, gzipped or not. Each row is accepted, a duplicate, skipped by the
    mapping, or refused with a reason and kept in the table `quarantine`; the report's counts add up to
    the rows read. Importing the same files again changes nothing and prints the old report. An import
    that fails leaves the database as it was. docs/mapping.md is the page on mappings.

    While a server runs on the data folder, accepted events and items go through it: they are recorded as if they had
    come over gRPC, the next answer knows them, and the refresher brings them to the database.
    """
    from promosvc import pipeline

    if (source is None) == (mapping_file is None):
        raise InvalidArgumentError(
            "give either --source NAME (a shipped mapping) or --mapping FILE",
            reason="MAPPING",
            field="mapping",
        )
    loaded = config.load(config_file, {"data.directory": data})
    given: list[Any] = [*event_files, *item_files, *user_files]
    with progress() as show, _recorder(loaded) as send:

        def tell(stage: pipeline.Stage) -> None:
            show(stage.name, stage.rows_done, stage.rows_total)

        if source == "completejourney" and not given:
            report = pipeline.import_completejourney(loaded.data.database, progress=tell, send=send)
        elif not given:
            raise InvalidArgumentError(
                "nothing to import; name files with --events, --items or --users",
                reason="NO_FILES",
                field="events",
            )
        else:
            report = pipeline.import_files(
                loaded.data.database,
                pipeline.Mapping.load(mapping_file)
                if mapping_file
                else pipeline.Mapping.shipped(str(source)),
                event_files,
                item_files,
                user_files,
                tables,
                progress=tell,
                send=send,
            )
    click.echo(report.to_json() if as_json else report.text())
