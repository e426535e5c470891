"""Both doors answer the same bytes: code, message, details and body."""

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from outcomes import Doors, ask, both, recommend

from promosvc import _core
from promosvc.config import Config
from promosvc.serving.document import native_document
from promosvc.v1 import admin_service_pb2, features_pb2, recommend_pb2, user_context_pb2

RECOMMEND = "/promosvc.v1.PromoService/Recommend"
GET_FEATURES = "/promosvc.v1.PromoService/GetFeatures"


@pytest.fixture(scope="module")
def doors(native_address: str, grpcio_address: str) -> Iterator[Doors]:
    with grpc.insecure_channel(native_address) as native, grpc.insecure_channel(grpcio_address) as grpcio:
        yield native, grpcio


LONG = "x" * 129
GOOD = {
    "known user": recommend(),
    "unknown user": recommend(user={"user_id": "nobody"}),
    "anonymous": recommend(user={}),
    "empty message": b"",
    "widest page": recommend(page_size=100),
    "buy again": recommend(placement="buy_again"),
    "popular": recommend(placement="popular"),
    "not personal": recommend(user={"user_id": "1", "personalization_off": True}),
    "cart": recommend(
        user={
            "user_id": "1",
            "currency": "USD",
            "cart": [user_context_pb2.CartLine(item_id="1082185", quantity=1, unit_price_minor=99)],
        }
    ),
    "category": recommend(filter=recommend_pb2.ItemFilter(categories=["YOGURT"]), category_cap=0),
    "capped": recommend(category_cap=1, page_size=50),
    "nothing eligible": recommend(filter=recommend_pb2.ItemFilter(kinds=["post"])),
    "reasons": recommend(include_reasons=True),
    "no reasons": recommend(include_reasons=False),
    "seen shown": recommend(seen_filter=recommend_pb2.SeenFilter(hide_seen=False)),
    "128 bytes": recommend(user={"user_id": "x" * 128}),
    "unknown field": b"\xfa\x01\x02hi" + recommend(),
}

# What is sent: (bytes, code, reason, field, parts of the message).
BAD = {
    "placement": (recommend(placement="moon"), "NOT_FOUND", "PLACEMENT_NOT_FOUND", "", ["moon"]),
    "page too large": (recommend(page_size=500), "INVALID_ARGUMENT", None, "page_size", ["500", "100"]),
    "page negative": (recommend(page_size=-1), "INVALID_ARGUMENT", None, "page_size", ["-1"]),
    "user id": (recommend(user={"user_id": LONG}), "INVALID_ARGUMENT", None, "user.user_id", ["129", "128"]),
    "placement id": (recommend(placement=LONG), "INVALID_ARGUMENT", None, "placement", ["129", "128"]),
    "excluded ids": (
        recommend(exclude_item_ids=["1"] * 1_001),
        "INVALID_ARGUMENT",
        None,
        "exclude_item_ids",
        ["1001", "1000"],
    ),
    "excluded id": (
        recommend(exclude_item_ids=["1", LONG]),
        "INVALID_ARGUMENT",
        None,
        "exclude_item_ids[1]",
        ["129", "128"],
    ),
    "empty excluded id": (
        recommend(exclude_item_ids=[""]),
        "INVALID_ARGUMENT",
        None,
        "exclude_item_ids[0]",
        ["empty"],
    ),
    "cap": (recommend(category_cap=101), "INVALID_ARGUMENT", None, "category_cap", ["101", "100"]),
    "cart quantity": (
        recommend(user={"user_id": "1", "currency": "USD", "cart": [user_context_pb2.CartLine(item_id="1")]}),
        "INVALID_ARGUMENT",
        None,
        "user.cart[0].quantity",
        ["0"],
    ),
    "currency": (
        recommend(user={"user_id": "1", "currency": "usd"}),
        "INVALID_ARGUMENT",
        None,
        "user.currency",
        ["usd"],
    ),
    "cart lines": (
        recommend(
            user={
                "user_id": "1",
                "currency": "USD",
                "cart": [user_context_pb2.CartLine(item_id="1", quantity=1)] * 201,
            }
        ),
        "INVALID_ARGUMENT",
        None,
        "user.cart",
        ["201", "200"],
    ),
    "junk": (b"\xff\xff\xff\xff", "INVALID_ARGUMENT", "UNDECODABLE_REQUEST", "", []),
    "not UTF-8": (b"\x12\x02\xff\xfe", "INVALID_ARGUMENT", "UNDECODABLE_REQUEST", "", []),
    "truncated": (recommend(placement="default")[:-3], "INVALID_ARGUMENT", "UNDECODABLE_REQUEST", "", []),
}


@pytest.mark.parametrize("name", GOOD)
def test_both_doors_give_the_same_answer(doors: Doors, name: str) -> None:
    assert both(doors, RECOMMEND, GOOD[name]).code == "OK"


@pytest.mark.parametrize("name", BAD)
def test_both_doors_refuse_alike(doors: Doors, name: str) -> None:
    request, code, reason, field, parts = BAD[name]
    outcome = both(doors, RECOMMEND, request)
    assert outcome.code == code
    for part in parts:
        assert part in outcome.message
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(outcome.details).details:
        detail.Unpack(info) or detail.Unpack(bad_request)
    assert info.domain == "promosvc"
    assert info.reason == reason if reason else info.reason
    if field:
        assert [violation.field for violation in bad_request.field_violations] == [field]


def features(kind: int, keys: list[tuple[str, str]], views: list[str] | None = None) -> bytes:
    return features_pb2.GetFeaturesRequest(
        entity_kind=kind,
        entity_keys=[features_pb2.EntityKey(entity_id=entity, category=cat) for entity, cat in keys],
        views=views or [],
    ).SerializeToString()


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (features(1, [("1", "")]), "OK"),
        (features(1, [("1", ""), ("nobody", "")]), "OK"),
        (features(2, [("1082185", "")]), "OK"),
        (features(3, [("1", "YOGURT")]), "OK"),
        (features(0, [("1", "")]), "INVALID_ARGUMENT"),
        (features(99, [("1", "")]), "INVALID_ARGUMENT"),
        (features(1, []), "INVALID_ARGUMENT"),
        (features(1, [("1", "")] * 501), "INVALID_ARGUMENT"),
        (features(1, [("", "")]), "INVALID_ARGUMENT"),
        (features(1, [("1", "YOGURT")]), "INVALID_ARGUMENT"),
        (features(3, [("1", "")]), "INVALID_ARGUMENT"),
        (features(1, [("1", "")], ["no_such_view"]), "NOT_FOUND"),
    ],
)
def test_both_doors_read_features_alike(doors: Doors, request_bytes: bytes, code: str) -> None:
    assert both(doors, GET_FEATURES, request_bytes).code == code


@given(request=st.binary(max_size=200))
def test_random_bytes_never_break_a_door(doors: Doors, request: bytes) -> None:
    for method in (RECOMMEND, GET_FEATURES):
        assert both(doors, method, request).code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")


@given(
    user_id=st.text(max_size=130),
    placement=st.sampled_from(["", "default", "buy_again", "popular", "moon"]),
    page_size=st.integers(-2, 130),
    category_cap=st.one_of(st.none(), st.integers(-1, 120)),
    categories=st.lists(st.text(max_size=10), max_size=3),
    excluded=st.lists(st.sampled_from(["1082185", "", "x" * 200, "995242"]), max_size=4),
    hide_seen=st.one_of(st.none(), st.booleans()),
)
def test_random_requests_are_answered_alike(
    doors: Doors,
    user_id: str,
    placement: str,
    page_size: int,
    category_cap: int | None,
    categories: list[str],
    excluded: list[str],
    hide_seen: bool | None,
) -> None:
    message = recommend_pb2.RecommendRequest(
        user=user_context_pb2.UserContext(user_id=user_id),
        placement=placement,
        page_size=page_size,
        category_cap=category_cap,
        filter=recommend_pb2.ItemFilter(categories=categories),
        exclude_item_ids=excluded,
    )
    if hide_seen is not None:
        message.seen_filter.hide_seen = hide_seen
    outcome = both(doors, RECOMMEND, message.SerializeToString())
    assert outcome.code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")


def test_the_clock_of_a_manual_server_is_moved_by_admin_only_forwards(
    doors: Doors,
) -> None:
    request = admin_service_pb2.SetClockRequest()
    request.now.FromJsonString("2017-12-31T00:00:00Z")
    outcome = both(doors, "/promosvc.v1.AdminService/SetClock", request.SerializeToString())
    assert outcome.code == "INVALID_ARGUMENT"


def test_an_unknown_method_is_unimplemented(doors: Doors) -> None:
    for channel in doors:
        assert ask(channel, "/promosvc.v1.PromoService/Nothing", b"").code == "UNIMPLEMENTED"


def test_an_oversize_message_is_resource_exhausted(doors: Doors) -> None:
    for channel in doors:
        outcome = ask(channel, RECOMMEND, bytes(4 * 1024 * 1024 + 1))
        assert outcome.code == "RESOURCE_EXHAUSTED"


def test_a_passed_deadline_is_deadline_exceeded(demo_config: Config) -> None:
    # At the door itself: a client's own timer would mostly be faster than the server.
    door = _core.Door(native_document(demo_config))
    code, message, trailing, response = door.call(RECOMMEND, GOOD["known user"], [], 0.0)
    assert grpc.StatusCode.DEADLINE_EXCEEDED.value[0] == code
    assert message
    assert b"DEADLINE_EXCEEDED" in dict(trailing)["grpc-status-details-bin"]
    assert response == b""
    assert door.call(RECOMMEND, GOOD["known user"], [], 10.0)[0] == 0


@pytest.mark.parametrize("method", ["Check", "List"])
def test_both_doors_say_that_they_serve(doors: Doors, method: str) -> None:
    outcome = both(doors, f"/grpc.health.v1.Health/{method}", b"")
    assert outcome.code == "OK"
    assert outcome.body


def test_both_doors_show_a_watcher_their_health(doors: Doors) -> None:
    first = []
    for channel in doors:
        watching = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=10)
        first.append(next(watching))
        watching.cancel()
    assert first == [b"\x08\x01"] * 2


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_doors_reflect_alike(doors: Doors, version: str) -> None:
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    # list_services, and file_containing_symbol of a message, of an error detail and of nothing.
    symbols = [b"promosvc.v1.RecommendRequest", b"google.rpc.ErrorInfo", b"no.such.Thing"]
    requests = [b"\x3a\x01*", *(b"\x22" + bytes([len(symbol)]) + symbol for symbol in symbols)]
    answers = [list(channel.stream_stream(method)(iter(requests), timeout=10)) for channel in doors]
    assert len(answers[0]) == len(requests)
    assert answers[0] == answers[1]
    assert b"promosvc.v1.PromoService" in answers[0][0]
