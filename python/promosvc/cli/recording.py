"""`promosvc record` and `promosvc upsert`: telling a running server what happened."""

from datetime import datetime

import click
from google.protobuf import json_format

from promosvc.cli.building import time_option
from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import address_option, json_option


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:  # noqa: ARG001 (click's signature)
    pairs = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{value!r} is not NAME=TEXT")
        pairs[name] = text
    return pairs


def _money(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, str] | None:  # noqa: ARG001 (click's signature)
    if value is None:
        return None
    amount, space, currency = value.partition(" ")
    if not (space and amount.lstrip("-").isdigit()):
        raise click.BadParameter(f"{value!r} is not AMOUNT_MINOR CURRENCY, such as '199 EUR' for 1.99 EUR")
    return int(amount), currency


@click.command()
@click.argument("event_name")
@click.argument("user_id")
@click.argument("item_id", default="")
@address_option
@click.option("--id", "event_id", default="", help="The event's id; a random one by default.")
@click.option("--source", default="", help="Where the id comes from; by default the server's own source.")
@click.option(
    "--at", "event_at", callback=time_option, metavar="TIME", help="When; the server's clock by default."
)
@click.option("--order", "order_id", default="", help="Basket or invoice.")
@click.option("--quantity", type=float, help="Pieces.")
@click.option("--amount", callback=_money, metavar="'MINOR CUR'", help="What was paid, such as '199 EUR'.")
@click.option("--search", "search_term", default="", help="What was searched for.")
@click.option("--token", "attribution_token", default="", help="The token of the recommended item.")
@click.option(
    "--attribute", "attributes", multiple=True, callback=_pairs, metavar="NAME=TEXT", help="Repeatable."
)
@json_option
@failing_by_name
def record(
    event_name: str,
    user_id: str,
    item_id: str,
    address: str,
    event_id: str,
    source: str,
    event_at: datetime | None,
    order_id: str,
    quantity: float | None,
    amount: tuple[int, str] | None,
    search_term: str,
    attribution_token: str,
    attributes: dict[str, str],
    as_json: bool,
) -> None:
    """Record that USER_ID did EVENT_NAME (with ITEM_ID).

    \b
      promosvc record view_item ann tea-3
      promosvc record purchase ann tea-3 --quantity 1 --amount '450 EUR' --order o-17

    Ends with exit code 3 when the event is rejected.
    """
    from promosvc.client import Client, event
    from promosvc.errors import InvalidArgumentError
    from promosvc.v1 import event_pb2

    with Client(address) as client:
        at = event_at or client.get_status().clock.now.ToDatetime()
        made = event(
            event_name,
            user_id,
            item_id=item_id,
            event_at=at,
            event_id=event_id,
            order_id=order_id,
            quantity=quantity,
            amount_minor=amount[0] if amount else None,
            currency=amount[1] if amount else "",
            search_term=search_term,
            attribution_token=attribution_token,
            attributes=attributes,
        )
        answer = client.record_events([made], source=source)
    result = answer.results[0]
    if result.verdict == event_pb2.EVENT_VERDICT_REJECTED:
        reason = event_pb2.RejectionReason.Name(result.rejection_reason).removeprefix("REJECTION_REASON_")
        raise InvalidArgumentError(
            f"{result.field or 'the event'} was rejected: {reason}", reason=reason, field=result.field
        )
    if as_json:
        click.echo(json_format.MessageToJson(answer, preserving_proto_field_name=True, indent=None))
        return
    verdict = event_pb2.EventVerdict.Name(result.verdict).removeprefix("EVENT_VERDICT_").lower()
    click.echo(f"{verdict}: {made.event_id}")


@click.command()
@click.argument("item_id")
@address_option
@click.option("--request-id", default="", help="Names this change, so that repeating it is safe.")
@click.option("--kind", help="product, post, ad, course, ...")
@click.option("--title", help="Name for people.")
@click.option("--category", help="Category.")
@click.option("--brand", help="Brand.")
@click.option("--price", callback=_money, metavar="'MINOR CUR'", help="Price of one unit, such as '199 EUR'.")
@click.option("--stock", type=int, help="Pieces that can be had; 0 is not available.")
@click.option("--available/--unavailable", "is_available", default=None, help="Whether it can be had at all.")
@json_option
@failing_by_name
def upsert(
    item_id: str,
    address: str,
    request_id: str,
    kind: str | None,
    title: str | None,
    category: str | None,
    brand: str | None,
    price: tuple[int, str] | None,
    stock: int | None,
    is_available: bool | None,
    as_json: bool,
) -> None:
    """Change what a running server knows of ITEM_ID, or make it known.

    \b
      promosvc upsert tea-3 --stock 0
      promosvc upsert tea-99 --category tea --price '450 EUR'

    What is not named stays as it is. The next answer honours it.
    """
    from promosvc.client import Client
    from promosvc.v1 import catalogue_pb2, money_pb2

    update = catalogue_pb2.ItemUpdate(
        item_id=item_id,
        kind=kind,
        title=title,
        category=category,
        brand=brand,
        unit_price=money_pb2.Money(amount_minor=price[0], currency=price[1]) if price else None,
        stock=stock,
        is_available=is_available,
    )
    with Client(address) as client:
        answer = client.upsert_items([update], request_id=request_id)
    if as_json:
        click.echo(
            json_format.MessageToJson(
                answer,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
                indent=None,
            )
        )
        return
    click.echo(f"{'created' if answer.created_count else 'updated'}: {item_id}")
