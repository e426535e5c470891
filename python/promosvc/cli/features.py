"""`promosvc features`."""

from datetime import datetime
from pathlib import Path

import click

from promosvc import config
from promosvc.cli.building import time_option
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option


@click.command()
@click.argument("views", nargs=-1)
@data_option
@config_option
@click.option(
    "--as-of",
    metavar="TIME",
    callback=time_option,
    help="Look at nothing from this time on.  [default: end of the data]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one Parquet file for each view into this folder, whole.",
)
@click.option(
    "--rows", type=click.IntRange(1), default=5, show_default=True, help="Rows to print of each view."
)
@click.option(
    "--list", "is_list", is_flag=True, help="List the views with their features, and compute nothing."
)
@failing_by_name
def features(
    views: tuple[str, ...],
    data: Path | None,
    config_file: Path | None,
    as_of: datetime | None,
    out: Path | None,
    rows: int,
    is_list: bool,
) -> None:
    """Compute feature views as of a time; VIEWS names some, none means all.

    A view never looks at or past the time that it is computed for.
    """
    from promosvc import pipeline

    if is_list:
        for view in pipeline.feature_views():
            days = view.ttl_seconds / 86_400
            names = ", ".join(feature.name for feature in view.features)
            click.echo(f"{view.name}  ({view.entity}, true for {days:g} days): {names}")
        return
    loaded = config.load(config_file, {"data.directory": data})
    if out is not None:
        for path, count in pipeline.write_features(loaded.data.database, out, as_of, views).items():
            click.echo(f"{path}  {count:,} rows")
        return
    for name, frame in pipeline.features(loaded.data.database, as_of, views, kind="arrow").items():
        click.echo(f"{name}: {frame.num_rows:,} rows")
        for row in frame.slice(0, rows).to_pylist():
            click.echo("  " + "  ".join(f"{key}={_shown(value)}" for key, value in row.items()))


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
