"""`promosvc snapshot list|verify|publish|rollback|prune`."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option, json_option
from promosvc.errors import FailedPreconditionError


@click.group()
def snapshot() -> None:
    """List, verify, publish, roll back or remove snapshots.

    A server that is running takes a published snapshot within a second, without dropping a call.
    """


def _root(data: Path | None, config_file: Path | None) -> Path:
    return config.load(config_file, {"data.directory": data}).data.snapshots


@snapshot.command("list")
@data_option
@config_option
@json_option
@failing_by_name
def list_(data: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Show all snapshots, oldest data first; `*` marks the published one."""
    from promosvc import pipeline

    found = pipeline.list_snapshots(_root(data, config_file))
    if as_json:
        click.echo(json.dumps([asdict(info) for info in found]))
        return
    if not found:
        click.echo("No snapshots yet; `promosvc build` makes one.")
    for info in found:
        mark = "*" if info.is_current else " "
        if info.problem:
            click.echo(f"{mark} {info.snapshot_id}  {info.problem}")
            continue
        watermark = datetime.fromtimestamp(info.watermark_at_us / 1e6, UTC)
        click.echo(
            f"{mark} {info.snapshot_id}  data until {watermark:%Y-%m-%d %H:%M} UTC  {info.items:,} items"
            f"  {info.users:,} users  {info.bytes / 1e6:,.1f} MB"
            f"  {'published ' + info.published_at if info.published_at else 'never published'}"
        )


@snapshot.command()
@click.argument("snapshot_id", default="")
@data_option
@config_option
@failing_by_name
def verify(snapshot_id: str, data: Path | None, config_file: Path | None) -> None:
    """Check every length, checksum, schema and index of SNAPSHOT_ID (default: the published one)."""
    from promosvc import pipeline

    root = _root(data, config_file)
    chosen = snapshot_id or pipeline.current_snapshot(root)
    if chosen is None:
        raise FailedPreconditionError(f"{root} holds no published snapshot", reason="NO_SNAPSHOT")
    click.echo(json.dumps(pipeline.verify_snapshot(root, chosen)))


@snapshot.command()
@click.argument("snapshot_id")
@data_option
@config_option
@failing_by_name
def publish(snapshot_id: str, data: Path | None, config_file: Path | None) -> None:
    """Verify SNAPSHOT_ID and make it the one that servers answer from."""
    from promosvc import pipeline

    click.echo(f"published {pipeline.publish_snapshot(_root(data, config_file), snapshot_id)}")


@snapshot.command()
@data_option
@config_option
@failing_by_name
def rollback(data: Path | None, config_file: Path | None) -> None:
    """Publish the snapshot that was published before the present one."""
    from promosvc import pipeline

    click.echo(f"published {pipeline.rollback_snapshot(_root(data, config_file))}")


@snapshot.command()
@data_option
@config_option
@click.option(
    "--keep", type=int, help="How many published snapshots to leave.  [default: 5, or snapshots.keep]"
)
@failing_by_name
def prune(data: Path | None, config_file: Path | None, keep: int | None) -> None:
    """Remove published snapshots but the newest few.

    The published one stays, and so does what was never published. A refresh does this by itself.
    """
    from promosvc import pipeline

    loaded = config.load(config_file, {"data.directory": data, "snapshots.keep": keep})
    gone = pipeline.prune_snapshots(loaded.data.snapshots, loaded.snapshots.keep)
    click.echo("\n".join(f"removed {snapshot_id}" for snapshot_id in gone) or "nothing to remove")
