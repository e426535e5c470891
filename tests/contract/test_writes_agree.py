"""Both doors judge, record and answer writes alike, byte for byte, and the next answer of each honours them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from outcomes import Doors, Outcome, both, details, recommend

from promosvc.client import event
from promosvc.config import Config
from promosvc.serving import Server
from promosvc.v1 import catalogue_pb2, event_pb2, money_pb2, recommend_pb2

RECOMMEND = "/promosvc.v1.PromoService/Recommend"
RECORD = "/promosvc.v1.PromoService/RecordEvents"
UPSERT = "/promosvc.v1.PromoService/UpsertItems"
# The clock of these servers stands here: a second after the newest event of the demo.
NOW = datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC)
LONG = "x" * 129


@pytest.fixture(scope="module")
def doors(own_config: Callable[[], Config]) -> Iterator[Doors]:
    """Two servers that nobody else records at, so that their logs hold the same."""
    servers = [Server(own_config(), "native"), Server(own_config(), "grpcio")]
    native, grpcio = (server.start() for server in servers)
    with grpc.insecure_channel(native) as left, grpc.insecure_channel(grpcio) as right:
        yield left, right
    for server in servers:
        assert server.stop(5)


def record(*events: event_pb2.Event, source: str = "") -> bytes:
    return event_pb2.RecordEventsRequest(events=events, source=source).SerializeToString()


def made(event_id: str, name: str = "purchase", item_id: str = "1082185", **fields: Any) -> event_pb2.Event:
    return event(name, fields.pop("user_id", "1"), item_id=item_id, event_id=event_id, event_at=NOW, **fields)


def verdicts(outcome: Outcome) -> list[tuple[str, str]]:
    assert outcome.code == "OK", outcome
    return [
        (
            event_pb2.EventVerdict.Name(result.verdict).removeprefix("EVENT_VERDICT_"),
            event_pb2.RejectionReason.Name(result.rejection_reason).removeprefix("REJECTION_REASON_"),
        )
        for result in event_pb2.RecordEventsResponse.FromString(outcome.body).results
    ]


ACCEPTED, DUPLICATE = ("ACCEPTED", "UNSPECIFIED"), ("DUPLICATE", "UNSPECIFIED")


def test_an_event_is_accepted_once(doors: Doors) -> None:
    request = record(made("once"), made("twice"), made("twice"))
    assert verdicts(both(doors, RECORD, request)) == [ACCEPTED, ACCEPTED, DUPLICATE]
    assert verdicts(both(doors, RECORD, request)) == [DUPLICATE] * 3
    # An id is unique for a source and a name only.
    assert verdicts(both(doors, RECORD, record(made("once", "view_item")))) == [ACCEPTED]
    assert verdicts(both(doors, RECORD, record(made("once"), source="till"))) == [ACCEPTED]


def test_the_next_answer_honours_a_purchase(doors: Doors) -> None:
    request = recommend(user={"user_id": "2"}, page_size=100)
    before = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, request).body)
    bought = before.items[0].item_id
    assert verdicts(both(doors, RECORD, record(made("seen", item_id=bought, user_id="2")))) == [ACCEPTED]
    after = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, request).body)
    assert bought not in [item.item_id for item in after.items]


def test_a_view_changes_what_is_near(doors: Doors) -> None:
    request = recommend(user={"user_id": "nobody yet"}, page_size=5, include_reasons=True)
    before = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, request).body)
    assert before.degraded_reason == recommend_pb2.DEGRADED_REASON_UNKNOWN_USER
    viewed = made("viewed", "view_item", user_id="nobody yet")
    assert verdicts(both(doors, RECORD, record(viewed))) == [ACCEPTED]
    after = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, request).body)
    assert after.degraded_reason == recommend_pb2.DEGRADED_REASON_UNSPECIFIED
    because = [
        reason.because_of_item.item_id
        for item in after.items
        for reason in item.reasons
        if reason.WhichOneof("basis") == "because_of_item"
    ]
    assert "1082185" in because


BAD_EVENTS = {
    "no id": (made("", "view_item"), "MISSING_EVENT_ID"),
    "no user": (made("a", user_id=""), "MISSING_USER"),
    "no item": (made("a", item_id=""), "MISSING_ITEM"),
    "future": (
        event("purchase", "1", item_id="1", event_id="a", event_at=NOW + timedelta(minutes=6)),
        "IMPOSSIBLE_TIME",
    ),
    "unknown name": (made("a", "vew_item"), "UNKNOWN_EVENT_NAME"),
    "negative price": (made("a", amount_minor=-1, currency="USD"), "NEGATIVE_PRICE"),
    "no currency": (made("a", amount_minor=1), "INVALID_CURRENCY"),
    "no pieces": (made("a", quantity=0.0), "ZERO_QUANTITY"),
    "not a number": (made("a", rating=float("nan")), "INVALID_NUMBER"),
    "no time": (
        event_pb2.Event(event_id="a", event_name="purchase", user_id="1", item_id="1"),
        "MISSING_TIME",
    ),
}
BAD_EVENTS["no id"][0].event_id = ""


@pytest.mark.parametrize("case", BAD_EVENTS)
def test_a_bad_event_is_rejected_and_the_others_stand(doors: Doors, case: str) -> None:
    bad, reason = BAD_EVENTS[case]
    told = verdicts(both(doors, RECORD, record(made(f"{case} 1"), bad, made(f"{case} 2"))))
    assert told == [ACCEPTED, ("REJECTED", reason), ACCEPTED]


BAD_REQUESTS = {
    "nothing": (record(), "events"),
    "too many": (record(*[made("many")] * 10_001), "events"),
    "long event id": (record(made("good"), made(LONG)), "events[1].event_id"),
    "long user id": (record(made("good", user_id=LONG)), "events[0].user_id"),
    "long item id": (record(made("good", item_id=LONG)), "events[0].item_id"),
    "long source": (record(made("good"), source=LONG), "source"),
    "long search": (record(made("good", search_term="x" * 1_025)), "events[0].search_term"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_records_nothing(doors: Doors, case: str) -> None:
    request, field = BAD_REQUESTS[case]
    outcome = both(doors, RECORD, request)
    info, at = details(outcome)
    assert (outcome.code, at) == ("INVALID_ARGUMENT", field)
    assert outcome.message.startswith(field)
    assert {"value", "limit"} <= info.metadata.keys() or case == "nothing"
    # "good" stands in most of them; had it been recorded, it would be a duplicate now.
    assert verdicts(both(doors, RECORD, record(made("good"), source=f"after {case}"))) == [ACCEPTED]


def upsert(request_id: str, *items: catalogue_pb2.ItemUpdate) -> bytes:
    return catalogue_pb2.UpsertItemsRequest(request_id=request_id, items=items).SerializeToString()


def test_an_item_goes_and_comes_with_its_stock(doors: Doors) -> None:
    ask_popular = recommend(user={}, placement="popular", page_size=100)
    first = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, ask_popular).body).items[0]
    for stock, is_there in ((0, False), (3, True)):
        update = catalogue_pb2.ItemUpdate(item_id=first.item_id, stock=stock)
        assert both(doors, UPSERT, upsert(f"stock {stock}", update)).code == "OK"
        page = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, ask_popular).body)
        assert (first.item_id in [item.item_id for item in page.items]) is is_there


def test_a_new_item_with_a_new_price_is_answered_at_once(doors: Doors) -> None:
    update = catalogue_pb2.ItemUpdate(
        item_id="brand new",
        category="A CATEGORY OF ITS OWN",
        title="Brand new",
        unit_price=money_pb2.Money(amount_minor=499, currency="USD"),
    )
    answered = both(doors, UPSERT, upsert("new item", update))
    assert catalogue_pb2.UpsertItemsResponse.FromString(answered.body).created_count == 1
    wanted = recommend(filter=recommend_pb2.ItemFilter(categories=["A CATEGORY OF ITS OWN"]))
    (item,) = recommend_pb2.RecommendResponse.FromString(both(doors, RECOMMEND, wanted).body).items
    assert (item.item_id, item.title, item.unit_price.amount_minor) == ("brand new", "Brand new", 499)


def test_a_repeated_change_gets_its_first_answer_and_another_body_is_refused(doors: Doors) -> None:
    update = catalogue_pb2.ItemUpdate(item_id="1082185", stock=5)
    first = both(doors, UPSERT, upsert("change", update))
    assert both(doors, UPSERT, upsert("change", update)) == first
    other = both(doors, UPSERT, upsert("change", catalogue_pb2.ItemUpdate(item_id="1082185", stock=6)))
    assert (other.code, details(other)[0].reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


BAD_ITEMS = {
    "no request id": (upsert("", catalogue_pb2.ItemUpdate(item_id="1")), "request_id"),
    "no items": (upsert("a"), "items"),
    "too many": (upsert("a", *[catalogue_pb2.ItemUpdate(item_id=f"{n}") for n in range(1_001)]), "items"),
    "no id": (upsert("a", catalogue_pb2.ItemUpdate()), "items[0].item_id"),
    "long id": (upsert("a", catalogue_pb2.ItemUpdate(item_id=LONG)), "items[0].item_id"),
    "twice": (
        upsert("a", catalogue_pb2.ItemUpdate(item_id="1"), catalogue_pb2.ItemUpdate(item_id="1")),
        "items[1].item_id",
    ),
    "negative stock": (upsert("a", catalogue_pb2.ItemUpdate(item_id="1", stock=-1)), "items[0].stock"),
    "negative price": (
        upsert(
            "a",
            catalogue_pb2.ItemUpdate(
                item_id="1", unit_price=money_pb2.Money(amount_minor=-1, currency="USD")
            ),
        ),
        "items[0].unit_price.amount_minor",
    ),
    "no currency": (
        upsert("a", catalogue_pb2.ItemUpdate(item_id="1", unit_price=money_pb2.Money(amount_minor=1))),
        "items[0].unit_price.currency",
    ),
}


@pytest.mark.parametrize("case", BAD_ITEMS)
def test_a_bad_change_is_refused_by_path(doors: Doors, case: str) -> None:
    request, field = BAD_ITEMS[case]
    outcome = both(doors, UPSERT, request)
    assert (outcome.code, details(outcome)[1]) == ("INVALID_ARGUMENT", field)
    assert outcome.message.startswith(field)


def test_bytes_that_are_no_message_are_refused(doors: Doors) -> None:
    for method in (RECORD, UPSERT):
        outcome = both(doors, method, b"\xff\xff")
        assert (outcome.code, details(outcome)[0].reason) == ("INVALID_ARGUMENT", "UNDECODABLE_REQUEST")
