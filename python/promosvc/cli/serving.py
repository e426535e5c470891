"""`promosvc serve`."""

import json
import sys
from pathlib import Path

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option


@click.command()
@data_option
@config_option
@click.option("--address", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 lets the system choose.  [default: 50051]")
@click.option("--workers", type=int, help="Threads that answer; 0 is one per processor.")
@click.option(
    "--clock", help="What `now` is: machine, watermark, manual, or a time such as 2018-01-01T00:00:00Z."
)
@click.option(
    "--record/--no-record",
    "is_recording",
    default=None,
    help="Whether events are recorded; a replica does not.",
)
@click.option(
    "--refresh/--no-refresh", "is_refreshing", default=None, help="Whether the refresher runs beside it."
)
@click.option("--insecure", is_flag=True, default=None, help="Allow an address that is not loopback.")
@click.option(
    "--transport",
    type=click.Choice(["native", "grpcio"]),
    default="native",
    show_default=True,
    help="The Rust server, or a grpc.aio server on the same engine.",
)
@failing_by_name
def serve(
    data: Path | None,
    config_file: Path | None,
    address: str | None,
    port: int | None,
    workers: int | None,
    clock: str | None,
    is_recording: bool | None,
    is_refreshing: bool | None,
    insecure: bool | None,
    transport: str,
) -> None:
    """Answer over gRPC from the published snapshot and from what is recorded meanwhile.

    Health says NOT_SERVING until there is a snapshot; a newly published one is taken within a second. What users do
    and how the catalogue changes is recorded below --data, and a process beside the server makes a fresh snapshot of
    it every minute. SIGTERM or Ctrl-C drains; a second one stops at once. Prints one JSON line with the bound address
    when calls are answered.
    """
    from promosvc.serving import serve as run

    loaded = config.load(
        config_file,
        {
            "data.directory": data,
            "server.address": address,
            "server.port": port,
            "server.workers": workers,
            "server.insecure": insecure,
            "clock.start": clock,
            "events.enabled": is_recording,
            "refresher.enabled": is_refreshing,
        },
    )

    def announce(bound: str) -> None:
        print(json.dumps({"serving": bound, "transport": transport}), flush=True)

    in_time = run(loaded, "grpcio" if transport == "grpcio" else "native", announce)
    if not in_time:
        print("promosvc: some calls were cut because the drain took too long", file=sys.stderr)
