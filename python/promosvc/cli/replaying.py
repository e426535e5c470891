"""`promosvc replay`: deciding again from what the decision log kept, to the same bytes."""

import base64
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from promosvc import config
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import config_option, data_option, json_option

EXIT_DIFFERENT, EXIT_NOT_RETAINED = 1, 4


@click.command()
@data_option
@config_option
@click.option(
    "--position", type=click.IntRange(min=0), help="The decision at this place of the decision log."
)
@click.option(
    "--last", type=click.IntRange(min=1), default=10, show_default=True, help="Otherwise so many newest ones."
)
@json_option
@failing_by_name
def replay(
    data: Path | None, config_file: Path | None, position: int | None, last: int, as_json: bool
) -> None:
    """Make recorded decisions again and compare them byte for byte.

    Each is decided on the snapshot, the live events and the catalogue that it was decided on first; a server may be
    running meanwhile. SAME is what must come out. DIFFERENT means that this version of the program decides differently,
    or that a record was altered. NOT_RETAINED means that the snapshot, or the part of the event log that
    was needed, has been deleted since.

    Ends with exit code 1 when one is DIFFERENT, else with 4 when one is NOT_RETAINED.
    """
    from promosvc import serving

    folders = config.load(config_file, {"data.directory": data}).data
    decisions = serving.replay_decisions(folders, position=position, last=last)
    if as_json:
        click.echo(json.dumps([_as_json(decision) for decision in decisions]))
    else:
        for decision in decisions:
            click.echo(_as_text(decision))
        if not decisions:
            click.echo("The decision log is empty.")
    verdicts = {decision["verdict"] for decision in decisions}
    if "DIFFERENT" in verdicts:
        sys.exit(EXIT_DIFFERENT)
    if "NOT_RETAINED" in verdicts:
        sys.exit(EXIT_NOT_RETAINED)


def _as_text(decision: dict[str, Any]) -> str:
    if not decision["snapshot_id"]:
        return f"{decision['position']}  {decision['verdict']}: {decision['missing']}"
    at = datetime.fromtimestamp(decision["decided_at_us"] / 1e6, UTC)
    line = f"{decision['position']}  {at:%Y-%m-%d %H:%M:%S} UTC  {decision['snapshot_id']}  {decision['verdict']}"
    match decision["verdict"]:
        case "NOT_RETAINED":
            return f"{line}: {decision['missing']}"
        case "DIFFERENT":
            catalogue = "" if decision["is_catalogue_same"] else "; the catalogue is not the same either"
            return "\n".join([line + catalogue, *_differences(decision)])
        case _:
            return line


def _differences(decision: dict[str, Any]) -> list[str]:
    """What differs, in words that a person can act on."""
    recorded, replayed = (_answer(decision[which]) for which in ("recorded", "replayed"))
    lines = []
    for rank in range(max(len(recorded.items), len(replayed.items))):
        then, now = (
            f"{answer.items[rank].item_id} ({answer.items[rank].score:.6g})"
            if rank < len(answer.items)
            else "none"
            for answer in (recorded, replayed)
        )
        if then != now:
            lines.append(f"    rank {rank + 1}: recorded {then}, now {now}")
    return lines or ["    the items are the same; other fields of the answer differ"]


def _as_json(decision: dict[str, Any]) -> dict[str, Any]:
    from google.protobuf import json_format

    answers = {
        which: json_format.MessageToDict(_answer(decision[which]), preserving_proto_field_name=True)
        for which in ("recorded", "replayed")
        if which in decision
    }
    return decision | answers


def _answer(encoded: str) -> Any:
    from google.protobuf.message import DecodeError

    from promosvc.v1 import recommend_pb2

    try:
        return recommend_pb2.RecommendResponse.FromString(base64.b64decode(encoded))
    except DecodeError:
        # An altered record may hold anything.
        return recommend_pb2.RecommendResponse()
