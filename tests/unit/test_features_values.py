"""Feature values that can be checked by hand."""

from typing import Any

import pytest
from shop_fixture import add_events, add_items, connect, day, event, purchase

from promosvc.features import compute, select_views

AS_OF = day(100)


def rows(
    view: str, events: list[dict[str, Any]], categories: dict[str, str] | None = None
) -> dict[Any, dict]:
    """The rows of a view by key."""
    connection = connect()
    add_items(connection, categories or {})
    add_events(connection, events)
    (found,) = select_views([view])
    table = compute(connection, found, AS_OF).to_pylist()
    keys = found.key_columns
    return {tuple(row[key] for key in keys) if len(keys) > 1 else row["entity_id"]: row for row in table}


def test_recency_frequency_and_money() -> None:
    found = rows(
        "user_rfm",
        [
            purchase("near", "a", 95, 300, order_id="1"),
            purchase("near", "b", 95, 200, order_id="1"),
            purchase("near", "a", 80, 100, order_id="2"),
            purchase("near", "a", 20, 50, order_id="3"),
            event("view_item", "far", "a", 99),
            # Other money than most of the shop's is not added to it.
            purchase("near", "a", 96, 9_999, currency="JPY", order_id="4"),
        ],
    )
    near = found["near"]
    assert near["recency_days"] == pytest.approx(4)
    assert [near[f"orders_{days}d"] for days in (7, 30, 90, 365)] == [2, 3, 4, 4]
    assert [near[f"spend_minor_{days}d"] for days in (7, 30, 90, 365)] == [500, 600, 650, 650]
    assert found["far"]["recency_days"] is None
    assert found["far"]["orders_365d"] == 0
    assert found["far"]["spend_minor_365d"] == 0
    assert str(near["event_at"]) == "2024-04-09 23:59:59.999999"


def test_windows_are_half_open() -> None:
    # 93 is exactly seven days before the cut: inside. The cut itself is outside.
    found = rows("user_rfm", [purchase("u", "a", 93, order_id="1"), purchase("u", "a", 100, order_id="2")])
    assert found["u"]["orders_7d"] == 1
    assert found["u"]["orders_365d"] == 1


def test_a_shop_without_amounts_has_no_spend() -> None:
    found = rows("user_rfm", [purchase("u", "a", 99, None)])
    assert found["u"]["orders_7d"] == 1
    assert found["u"]["spend_minor_7d"] is None


def test_without_order_ids_a_session_is_an_order() -> None:
    events = [purchase("u", "a", 99, session_id=1), purchase("u", "b", 99, session_id=1)]
    assert rows("user_rfm", [*events, purchase("u", "a", 98, session_id=2)])["u"]["orders_7d"] == 2


def test_baskets() -> None:
    found = rows(
        "user_basket",
        [
            purchase("u", "a", 10, 100, order_id="1", quantity=2.0),
            purchase("u", "b", 10, 300, order_id="1"),
            purchase("u", "a", 20, 200, order_id="2"),
            event("refund", "u", "b", 21),
        ],
    )["u"]
    assert found["baskets"] == 2
    assert found["lines_per_basket_mean"] == 1.5
    assert found["units_per_basket_mean"] == 2
    assert found["basket_minor_mean"] == 300
    assert found["basket_minor_max"] == 400
    assert found["unit_price_minor_median"] == 200
    assert found["days_between_baskets_mean"] == 10
    assert found["returned_line_share"] == pytest.approx(1 / 3)
    assert found["event_at"] == day(21), "true from the newest purchase or return on"


def test_share_bought_on_discount() -> None:
    found = rows(
        "user_discount",
        [
            purchase("u", "a", 10, 75, order_id="1", discount_minor=25),
            purchase("u", "b", 20, 225, order_id="2"),
            purchase("u", "b", 30, 50, order_id="3", coupon_discount_minor=50),
        ],
    )["u"]
    assert found["discounted_line_share"] == pytest.approx(2 / 3)
    assert found["discounted_spend_share"] == pytest.approx(125 / 350)
    assert found["discount_depth_mean"] == pytest.approx(75 / 425)
    assert found["discount_depth_max"] == 0.5


def test_coupon_use() -> None:
    found = rows(
        "user_coupon",
        [
            purchase("u", "a", 90, 75, coupon_discount_minor=25),
            purchase("u", "b", 91, 75),
            event("redeem_promotion", "u", None, 50, promotion_id="p1"),
            event("redeem_promotion", "u", None, 95, promotion_id="p2"),
            event("view_promotion", "u", None, 94, promotion_id="p2"),
            event("view_promotion", "u", None, 94, promotion_id="p3"),
        ],
    )["u"]
    assert found["coupon_line_share_365d"] == 0.5
    assert found["coupon_minor_365d"] == 25
    assert [found[f"redemptions_{days}d"] for days in (30, 90, 365)] == [1, 2, 2]
    assert found["redemption_recency_days"] == pytest.approx(5)
    assert found["promotion_views_30d"] == 2
    assert found["redeemed_view_share_365d"] == 0.5


def test_searches_views_and_carts() -> None:
    found = rows(
        "user_activity",
        [
            event("search", "u", None, 99, search_term="Milk"),
            event("search", "u", None, 99, search_term="milk"),
            event("search", "u", None, 80, search_term="tea"),
            event("view_item", "u", "a", 99, session_id=2),
            event("view_item", "u", "b", 99, session_id=2),
            event("add_to_cart", "u", "a", 99, session_id=2),
            purchase("u", "a", 99, session_id=2),
        ],
    )["u"]
    assert (found["searches_7d"], found["searches_30d"], found["search_terms_30d"]) == (2, 3, 2)
    assert (found["views_7d"], found["viewed_items_30d"], found["carts_7d"]) == (2, 2, 1)
    assert (found["cart_purchase_share_30d"], found["view_purchase_share_30d"]) == (1, 0.5)
    assert (found["sessions_30d"], found["active_days_30d"]) == (2, 2)


def test_weekday_and_hour() -> None:
    # Day 0 is a Monday. A basket of many lines is one visit.
    events = [purchase("u", f"i{n}", 0.4) for n in range(20)] + [purchase("u", "a", 5.9)]
    found = rows("user_rhythm", events)["u"]
    assert found["active_hours"] == 2
    assert (found["monday_share"], found["saturday_share"], found["sunday_share"]) == (0.5, 0.5, 0)
    assert (found["morning_share"], found["evening_share"]) == (0.5, 0.5)
    assert (found["top_weekday"], found["top_hour"]) == ("monday", 9)


def test_category_affinity_halves_in_ninety_days() -> None:
    events = [purchase("u", "tea", 99), purchase("u", "milk", 9), purchase("u", "milk", 9)]
    found = rows("user_taste", events, {"tea": "drinks", "milk": "dairy"})["u"]
    # 1 against 2 x 0.5: equal, so the alphabet decides.
    assert found["top_category"] == "dairy"
    assert found["top_category_share"] == pytest.approx(0.5)
    assert found["category_entropy"] == pytest.approx(0.693147, abs=1e-6)
    assert found["categories"] == 2


def test_user_and_category_crosses() -> None:
    events = [
        purchase("near", "tea", 99, 500, order_id="1"),
        event("view_item", "near", "tea", 50),
        purchase("near", "milk", 99, 100, order_id="1"),
        purchase("far", "milk", 99, 100, order_id="2"),
    ]
    found = rows("user_category", events, {"tea": "drinks", "milk": "dairy"})
    cross = found[("near", "drinks")]
    assert (cross["events_30d"], cross["events_365d"], cross["orders_365d"]) == (1, 2, 1)
    assert cross["spend_minor_365d"] == 500
    assert cross["event_share_365d"] == pytest.approx(2 / 3)
    assert cross["event_lift_365d"] == pytest.approx((2 / 3) / (2 / 4))
    assert ("far", "drinks") not in found


def test_item_popularity_counts_users_once() -> None:
    events = [
        purchase("u1", "a", 99.5),
        purchase("u1", "a", 99.6),
        purchase("u2", "a", 95),
        event("view_item", "u3", "a", 75),
    ]
    found = rows("item_popularity", events)["a"]
    assert [found[f"users_{days}d"] for days in (1, 7, 30)] == [1, 2, 3]
    assert [found[f"buyers_{days}d"] for days in (1, 7, 30)] == [1, 2, 2]
    assert found["units_30d"] == 3
    assert found["trend_7d"] == pytest.approx((2 / 7) / (3 / 30))


def test_item_price_and_discount_depth() -> None:
    events = [
        purchase("u", "a", 10, 200, quantity=2.0),
        purchase("u", "a", 20, 60, discount_minor=40),
        purchase("u", "a", 30, 160, quantity=2.0, coupon_discount_minor=40),
    ]
    found = rows("item_price", events)["a"]
    assert (found["unit_price_minor_newest"], found["list_price_minor_newest"]) == (80, 100)
    assert (found["unit_price_minor_median"], found["unit_price_minor_min"]) == (80, 60)
    assert found["discount_depth_newest"] == pytest.approx(0.2)
    assert found["discount_depth_mean"] == pytest.approx(80 / 500)
    assert found["discounted_line_share"] == pytest.approx(2 / 3)


def test_repeat_rate() -> None:
    events = [
        purchase("near", "a", 10, order_id="1"),
        purchase("near", "a", 17, order_id="2"),
        purchase("near", "a", 31, order_id="3"),
        purchase("far", "a", 10, order_id="4"),
        event("refund", "far", "a", 12),
    ]
    found = rows("item_repeat", events)["a"]
    assert (found["buyers"], found["orders_per_buyer_mean"], found["repeat_buyer_share"]) == (2, 2, 0.5)
    assert found["repeat_days_median"] == 10.5
    assert found["returned_line_share"] == 0.25


def test_what_becomes_of_a_viewed_item() -> None:
    events = [
        event("view_item", "u1", "a", 50),
        event("view_item", "u1", "a", 51),
        event("add_to_cart", "u1", "a", 52),
        purchase("u1", "a", 53),
        event("view_item", "u2", "a", 50),
        event("rate", "u3", "b", 1, rating=2.0),
        event("rate", "u4", "b", 2, rating=5.0),
    ]
    found = rows("item_response", events)
    assert (found["a"]["views_90d"], found["a"]["viewers_90d"]) == (3, 2)
    assert (found["a"]["viewer_cart_share_90d"], found["a"]["viewer_buy_share_90d"]) == (0.5, 0.5)
    assert (found["b"]["ratings"], found["b"]["rating_mean"]) == (2, 3.5)
    assert found["b"]["viewer_buy_share_90d"] is None
