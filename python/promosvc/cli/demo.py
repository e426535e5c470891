"""`promosvc demo`: the whole chain on a real-shaped shopping year."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option
from promosvc.cli.progress import progress
from promosvc.config import Config

# A household of Complete Journey; the others are nobody, until the visitor views something.
HOUSEHOLD, STRANGER, VISITOR = "1", "stranger", "visitor"

GRPCURL_LINES = r"""
Ask it yourself, in another terminal:
  grpcurl -plaintext {address} list
  grpcurl -plaintext -d '{{"user": {{"user_id": "{user}"}}, "page_size": 5}}' \
    {address} promosvc.v1.PromoService/Recommend
  grpcurl -plaintext -d '{{"user": {{"user_id": "{user}"}}, "placement": "buy_again"}}' \
    {address} promosvc.v1.PromoService/Recommend
  grpcurl -plaintext -d '{{"entity_kind": "ENTITY_KIND_USER", "entity_keys": [{{"entity_id": "{user}"}}]}}' \
    {address} promosvc.v1.PromoService/GetFeatures
  grpcurl -plaintext {address} promosvc.v1.AdminService/GetStatus
Tell it something, and ask again:
  promosvc record purchase {user} ITEM_ID --server {address}
  promosvc upsert ITEM_ID --stock 0 --server {address}
or: promosvc recommend {user} --server {address}
docs/grpcurl.md explains more.
"""


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Folder of what the demo makes; a second run finds it and is quick.",
)
@config_option
@click.option("--port", type=int, help="Port; 0 lets the system choose.  [default: 50051]")
@click.option("--exit", "is_over_after_printing", is_flag=True, help="Stop after printing the answers.")
@failing_by_name
def demo(data: Path, config_file: Path | None, port: int | None, is_over_after_printing: bool) -> None:
    """Import the Complete Journey year, learn, serve, and print answers with their reasons.

    Stays up until Ctrl-C. The clock is set to the data's newest event (2018-01-01), so that nothing is expired.
    """
    loaded = config.load(
        config_file, {"data.directory": data, "server.port": port, "clock.start": "watermark"}
    )
    _learn(loaded)
    from promosvc.serving import Server, serve

    if is_over_after_printing:
        server = Server(loaded)
        address = server.start()
        try:
            _ask(address)
        finally:
            server.stop()
        return

    def announce(address: str) -> None:
        # On a thread of its own: the main one belongs to the signals.
        def ask() -> None:
            _ask(address)
            click.echo(f"Serving on {address}; Ctrl-C stops it.")

        threading.Thread(target=ask, name="demo", daemon=True).start()

    serve(loaded, announce=announce)


def _learn(loaded: Config) -> None:
    from promosvc import pipeline

    with progress() as show:
        imported = pipeline.import_completejourney(
            loaded.data.database,
            progress=lambda stage: show(stage.name, stage.rows_done, stage.rows_total),
        )
    click.echo(imported.text())
    with progress() as show:
        built = pipeline.build(loaded.data.database, loaded.data.snapshots, progress=show)
    click.echo(built.text())


def _ask(address: str) -> None:
    from promosvc.cli.answers import print_recommendation
    from promosvc.client import Client, event
    from promosvc.v1 import recommend_pb2

    with Client(address, timeout_seconds=5) as client:
        told = client.get_status()
        now = told.clock.now.ToDatetime(tzinfo=UTC)
        click.echo(f"\nServing snapshot {told.snapshot.snapshot_id}; the clock says {_minute(now)}.\n")
        personal = client.recommend(HOUSEHOLD, page_size=5, include_reasons=True)
        questions: list[tuple[str, Callable[[], recommend_pb2.RecommendResponse]]] = [
            (f"New for household {HOUSEHOLD}", lambda: personal),
            (
                f"To buy again, household {HOUSEHOLD}",
                lambda: client.recommend(HOUSEHOLD, placement="buy_again", page_size=5, include_reasons=True),
            ),
            (
                "For a stranger with one thing in the cart",
                lambda: client.recommend(
                    STRANGER,
                    cart=[(personal.items[0].item_id, 1, 0)],
                    page_size=5,
                    include_reasons=True,
                ),
            ),
            (
                "For a stranger: what is popular",
                lambda: client.recommend(STRANGER, page_size=5, include_reasons=True),
            ),
        ]
        for title, ask in questions:
            print_recommendation(ask(), title)
            click.echo()
        # With an id of its own: a second demo on the same data records it once.
        viewed = personal.items[0]
        client.record_events(
            [event("view_item", VISITOR, item_id=viewed.item_id, event_at=now, event_id="demo-view")]
        )
        print_recommendation(
            client.recommend(VISITOR, page_size=5, include_reasons=True),
            f"For a visitor who viewed {viewed.title or viewed.item_id} a moment ago",
        )
        click.echo()
    click.echo(GRPCURL_LINES.format(address=address, user=HOUSEHOLD))


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
