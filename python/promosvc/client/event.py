"""Makes the events that a client records."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from promosvc.v1 import event_pb2


def event(
    event_name: str,
    user_id: str,
    *,
    event_at: datetime,
    item_id: str = "",
    event_id: str = "",
    order_id: str = "",
    quantity: float | None = None,
    amount_minor: int | None = None,
    discount_minor: int | None = None,
    coupon_discount_minor: int | None = None,
    currency: str = "",
    rating: float | None = None,
    search_term: str = "",
    promotion_id: str = "",
    attribution_token: str = "",
    attributes: Mapping[str, str] | None = None,
) -> event_pb2.Event:
    """An event, ready to be recorded.

    Args:
        event_name: of the public vocabulary (view_item, add_to_cart, purchase, ...) or declared by the server.
        user_id: who.
        event_at: when; without time zone it is UTC.
        item_id: what, for events that need an item.
        event_id: unique for a source and event name. A random one if it is empty: then keep the event if the
            call may be repeated, because a second event would have another id.
        order_id: basket or invoice.
        quantity: pieces; positive, also of what comes back (`refund`).
        amount_minor: what was paid for the line, after discounts, in the minor unit of `currency`.
        discount_minor: given by the shop.
        coupon_discount_minor: paid by coupon.
        currency: ISO 4217 code; required with an amount.
        rating: a rating.
        search_term: what was searched for.
        promotion_id: shown, selected or redeemed.
        attribution_token: of the recommended item that led here.
        attributes: whatever else.

    Example:
        >>> from datetime import datetime
        >>> viewed = event("view_item", "ann", item_id="tea", event_at=datetime(2024, 1, 1), event_id="e1")
        >>> viewed.event_at.seconds
        1704067200
    """
    made = event_pb2.Event(
        event_id=event_id or str(uuid.uuid4()),
        event_name=event_name,
        user_id=user_id,
        item_id=item_id,
        order_id=order_id,
        quantity=quantity,
        amount_minor=amount_minor,
        discount_minor=discount_minor,
        coupon_discount_minor=coupon_discount_minor,
        currency=currency,
        rating=rating,
        search_term=search_term,
        promotion_id=promotion_id,
        attribution_token=attribution_token,
        attributes=attributes or {},
    )
    made.event_at.FromDatetime(event_at)
    return made
