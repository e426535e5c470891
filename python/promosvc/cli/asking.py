"""`promosvc recommend` and `promosvc status`: asking a running server."""

import click
from google.protobuf import json_format

from promosvc.cli.failing import failing_by_name
from promosvc.cli.options import address_option, json_option


@click.command()
@click.argument("user_id", default="")
@address_option
@click.option("--placement", default="", help='Name of a placement; none means "default".')
@click.option("-n", "--items", type=int, default=0, help="How many; 0 is the placement's default.")
@click.option("--category", multiple=True, help="Only this category; may be given several times.")
@click.option("--kind", multiple=True, help="Only this kind of item; may be given several times.")
@click.option("--cart", multiple=True, metavar="ITEM_ID", help="An item in the cart.")
@click.option("--exclude", multiple=True, metavar="ITEM_ID", help="Never this item.")
@click.option("--hide-seen/--show-seen", default=None, help="Override the placement's rule.")
@click.option("--personalization-off", is_flag=True, help="Decide without personal history.")
@json_option
@failing_by_name
def recommend(
    user_id: str,
    address: str,
    placement: str,
    items: int,
    category: tuple[str, ...],
    kind: tuple[str, ...],
    cart: tuple[str, ...],
    exclude: tuple[str, ...],
    hide_seen: bool | None,
    personalization_off: bool,
    as_json: bool,
) -> None:
    """Ask a running server what to show USER_ID, with reasons.

    Without USER_ID, the visitor is anonymous.
    """
    from promosvc.client import Client

    with Client(address) as client:
        answer = client.recommend(
            user_id,
            placement=placement,
            page_size=items,
            cart=[(item, 1, 0) for item in cart],
            personalization_off=personalization_off,
            categories=category,
            kinds=kind,
            hide_seen=hide_seen,
            exclude_item_ids=exclude,
            include_reasons=True,
        )
    if as_json:
        click.echo(json_format.MessageToJson(answer, preserving_proto_field_name=True, indent=None))
        return
    from promosvc.cli.answers import print_recommendation

    print_recommendation(answer, f"For {user_id or 'an anonymous visitor'} at {answer.placement}")


@click.command()
@address_option
@json_option
@failing_by_name
def status(address: str, as_json: bool) -> None:
    """Ask a running server what it runs on: clock, snapshot, models, load."""
    from promosvc.client import Client

    with Client(address) as client:
        answer = client.get_status()
    text = json_format.MessageToJson(
        answer,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None if as_json else 2,
    )
    click.echo(text)
