"""Every feature view: header and SQL agree, keys are unique, nothing of the future is looked at."""

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from shop_fixture import add_events, add_items, connect, day, event, purchase, random_categories, random_shop

from promosvc.errors import InternalError, InvalidArgumentError, NotFoundError
from promosvc.features import FeatureView, compute, encode, feature_views, parse_view, select_views

VIEWS = pytest.mark.parametrize("view", feature_views(), ids=lambda view: view.name)
AS_OF = day(90)


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    connection = connect()
    add_items(connection, random_categories())
    add_events(connection, random_shop(seed=1))
    return connection


def past_of(shop_events: list[dict]) -> duckdb.DuckDBPyConnection:
    connection = connect()
    add_items(connection, random_categories())
    add_events(connection, shop_events)
    return connection


def planted_future() -> list[dict]:
    """Events from the cut on, of every kind, meant to move every feature if they are looked at."""
    future = []
    for user in [f"u{user:02}" for user in range(40)]:
        for item in ("i00", "i01", "i29"):
            # The first is at the cut itself: the interval is half-open.
            for days in (90.0, 90.01, 95.0):
                more = {
                    "session_id": 77,
                    "order_id": "future",
                    "discount_minor": 5,
                    "coupon_discount_minor": 9,
                }
                future.append(purchase(user, item, days, 99_999, quantity=50.0, **more))
                for name in ("view_item", "add_to_cart", "refund", "enroll"):
                    future.append(event(name, user, item, days, rating=5.0, session_id=78))
        for name in ("search", "redeem_promotion", "view_promotion"):
            future.append(event(name, user, None, 91, search_term="future", promotion_id="p1"))
    return future


def is_blind_to_the_future(view: FeatureView) -> bool:
    """Whether the view gives the same rows with and without events from the cut on."""
    past = [one for one in random_shop(seed=1) if one["event_at"] < AS_OF]
    without = compute(past_of(past), view, AS_OF)
    return compute(past_of(past + planted_future()), view, AS_OF).equals(without)


@VIEWS
def test_no_view_looks_at_the_future(view: FeatureView) -> None:
    assert is_blind_to_the_future(view)


@VIEWS
def test_the_check_catches_a_leak_in_every_view(view: FeatureView) -> None:
    # The same view with its guard taken out, as somebody might forget it.
    leaky_sql = view.sql.replace("event_at < $as_of", "event_at < $as_of + interval 30 day")
    assert leaky_sql != view.sql
    leaky = FeatureView(view.name, view.entity, view.ttl_seconds, view.about, view.features, leaky_sql)
    try:
        assert not is_blind_to_the_future(leaky)
    except InternalError as error:
        # Caught even earlier: a row would be of the future.
        assert "not before" in str(error)  # noqa: PT017 (either way of catching it is right)


@VIEWS
def test_a_leak_of_one_instant_is_caught(view: FeatureView) -> None:
    # Closed instead of half-open: an event at the cut itself would count.
    leaky_sql = view.sql.replace("event_at < $as_of", "event_at <= $as_of")
    leaky = FeatureView(view.name, view.entity, view.ttl_seconds, view.about, view.features, leaky_sql)
    try:
        assert not is_blind_to_the_future(leaky)
    except InternalError as error:
        assert "not before" in str(error)  # noqa: PT017 (either way of catching it is right)


@VIEWS
def test_a_view_gives_what_its_header_says(view: FeatureView, shop: duckdb.DuckDBPyConnection) -> None:
    table = compute(shop, view, AS_OF)
    assert tuple(table.column_names) == view.columns
    assert table.num_rows > 10
    keys = list(zip(*(table[name].to_pylist() for name in view.key_columns), strict=True))
    assert None not in {part for key in keys for part in key}
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys, key=lambda key: [part.encode() for part in key])
    assert table["event_at"].null_count == 0
    assert max(table["event_at"].to_pylist()) < AS_OF
    for feature in view.features:
        wanted = pa.float64() if feature.type == "number" else pa.string()
        assert table[feature.name].type == wanted


@VIEWS
def test_a_view_is_written_step_by_step(view: FeatureView) -> None:
    body = "\n".join(line for line in view.sql.splitlines() if not line.startswith("--"))
    assert body.strip().startswith("with event_log as (")
    assert view.sql.rstrip().endswith("select * from final")
    assert body.count("from events") == 1, "events are read once, behind the guard"
    assert "event_at < $as_of" in body.split("),")[0]


@VIEWS
def test_equal_data_give_equal_bytes_in_any_order(view: FeatureView) -> None:
    events = random_shop(seed=5, events=1_000)
    first = past_of(events)
    second = connect()
    add_items(second, random_categories())
    # The same events with the same ids, stored in another order.
    shuffled = first.sql("select * from events order by hash(event_id)").to_arrow_table()
    second.register("shuffled", shuffled)
    second.execute("insert into events by name select * from shuffled")
    assert encode(view, compute(first, view, AS_OF)).values.tobytes() == (
        encode(view, compute(second, view, AS_OF)).values.tobytes()
    )


@VIEWS
def test_an_empty_database_gives_no_rows(view: FeatureView) -> None:
    assert compute(connect(), view, AS_OF).num_rows == 0
    encoded = encode(view, compute(connect(), view, AS_OF))
    assert encoded.values.shape == (0, len(view.features))


@VIEWS
def test_events_without_money_catalogue_or_orders_are_enough(view: FeatureView) -> None:
    # A content platform: views and ratings only.
    connection = connect()
    add_events(
        connection,
        [event("view_item", f"u{n % 3}", f"i{n % 5}", n, rating=float(n % 5 + 1)) for n in range(60)],
    )
    compute(connection, view, day(61))


def test_the_time_zone_of_as_of_is_minded(shop: duckdb.DuckDBPyConnection) -> None:
    (view,) = select_views(["user_rfm"])
    naive = compute(shop, view, AS_OF)
    assert compute(shop, view, AS_OF.replace(tzinfo=UTC)).equals(naive)
    plus_two = timezone(timedelta(hours=2))
    assert compute(shop, view, (AS_OF + timedelta(hours=2)).replace(tzinfo=plus_two)).equals(naive)


def test_every_entity_has_a_view() -> None:
    assert {view.entity for view in feature_views()} == {"user", "item", "user_category"}
    assert [view.name for view in feature_views()] == sorted(view.name for view in feature_views())


def test_a_query_that_leaves_its_header_is_refused(shop: duckdb.DuckDBPyConnection) -> None:
    header = "-- view: v\n-- entity: user\n-- ttl_days: 1\n-- about: x\n-- feature: a number = x\n"
    one = "timestamp '2024-01-01' as event_at"
    for body, what in (
        (f"select 'u' as entity_id, {one}, 1 as b", "its columns are"),
        (f"select 'u' as entity_id, {one}, 1 as a, 2 as b", "its columns are"),
        (f"select cast(null as varchar) as entity_id, {one}, 1 as a", "entity_id is null"),
        ("select 'u' as entity_id, cast(null as timestamp) as event_at, 1 as a", "event_at is null"),
        (
            f"select 'u' as entity_id, {one}, 1 as a union all select 'u', event_at, 2 from events",
            "not unique",
        ),
        ("select 'u' as entity_id, $as_of as event_at, 1 as a", "not before"),
    ):
        body = body if "$as_of" in body else f"{body} where $as_of is not null"
        with pytest.raises(InternalError, match=what):
            compute(shop, parse_view(header + body, "v.sql"), AS_OF)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("-- view: v", "-- view: w"), "view"),
        (("-- view: v\n", ""), "view"),
        (("entity: user", "entity: shop"), "entity"),
        (("ttl_days: 1", "ttl_days: 0"), "ttl_days"),
        (("ttl_days: 1", "ttl_days: soon"), "ttl_days"),
        (("-- about: x\n", "-- about: x\n-- about: y\n"), "about"),
        (("-- feature: a number = x\n", ""), "feature"),
        (("a number = x", "a text = x"), "feature"),
        (("a number = x", "a number"), "feature"),
        (("a number = x\n", "a number = x\n-- feature: a number = y\n"), "feature"),
        (("-- about: x\n", "-- about: x\n--nonsense\n"), "header"),
        (("-- about: x\n", "-- about: x\n-- owner: me\n"), "owner"),
    ],
)
def test_a_wrong_header_is_refused_by_its_line(change: tuple[str, str], field: str) -> None:
    right = "-- view: v\n-- entity: user\n-- ttl_days: 1\n-- about: x\n-- feature: a number = x\nselect 1"
    assert parse_view(right, "v.sql").ttl_seconds == 86_400
    assert change[0] in right
    with pytest.raises(InvalidArgumentError) as caught:
        parse_view(right.replace(*change), "v.sql")
    assert caught.value.field == field


def test_an_unknown_view_is_named() -> None:
    with pytest.raises(NotFoundError, match="no feature view 'user_rfmm'"):
        select_views(["user_rfm", "user_rfmm"])


def test_numbers_that_no_float32_holds_are_missing() -> None:
    header = "-- view: v\n-- entity: user\n-- ttl_days: 1\n-- about: x\n-- feature: a number = x\n"
    view = parse_view(header + "-- feature: c category = x\nselect 1", "v.sql")
    table = pa.table(
        {
            "entity_id": ["a", "b", "c", "d"],
            "event_at": pa.array([datetime(2024, 1, 1)] * 4, pa.timestamp("us")),
            "a": pa.array([1.5, None, 1e300, float("nan")], pa.float64()),
            "c": pa.array(["x", "y", None, "x"], pa.string()),
        }
    )
    encoded = encode(view, table)
    assert encoded.statuses.tolist() == [[1, 1], [2, 1], [2, 2], [2, 1]]
    assert encoded.values.tolist() == [[1.5, 0], [0, 1], [0, 0], [0, 0]]
    assert encoded.dictionaries == ((), ("x", "y"))
    assert encoded.event_at_us.tolist() == [1_704_067_200_000_000] * 4
    assert np.isfinite(encoded.values).all()


def test_a_category_without_any_value_keeps_a_dictionary() -> None:
    header = "-- view: v\n-- entity: user\n-- ttl_days: 1\n-- about: x\n"
    view = parse_view(header + "-- feature: c category = x\nselect 1", "v.sql")
    empty = pa.table(
        {
            "entity_id": pa.array([], pa.string()),
            "event_at": pa.array([], pa.timestamp("us")),
            "c": pa.array([], pa.string()),
        }
    )
    assert encode(view, empty).dictionaries == (("",),)
