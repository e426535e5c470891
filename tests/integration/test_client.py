"""The Python client against a real server: answers, named errors, deadlines."""

import socket
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from promosvc.client import Client
from promosvc.errors import InvalidArgumentError, MessageTooLargeError, NotFoundError, UnavailableError
from promosvc.v1 import features_pb2, recommend_pb2


@pytest.fixture
def client(serve_shop: Callable[[], str]) -> Client:
    return Client(serve_shop(), timeout_seconds=5)


def test_a_tea_drinker_is_shown_tea(client: Client) -> None:
    answer = client.recommend("c00", hide_seen=False, page_size=5)
    assert [item.category for item in answer.items] == ["tea"] * 5
    assert [item.rank for item in answer.items] == [1, 2, 3, 4, 5]
    assert answer.items[0].unit_price.currency == "EUR"


def test_reasons_add_up_to_the_score(client: Client) -> None:
    for item in client.recommend("c01", hide_seen=False, include_reasons=True, page_size=24).items:
        assert sum(reason.contribution for reason in item.reasons) == pytest.approx(item.score, abs=1e-4)
        contributions = [reason.contribution for reason in item.reasons]
        assert contributions == sorted(contributions, reverse=True)


def test_what_was_bought_is_hidden_and_a_window_limits_that(client: Client) -> None:
    everything = {item.item_id for item in client.recommend("c00", hide_seen=False, page_size=100).items}
    unseen = {item.item_id for item in client.recommend("c00", hide_seen=True, page_size=100).items}
    recent = client.recommend("c00", hide_seen=True, seen_window=timedelta(days=7), page_size=100)
    assert unseen < {item.item_id for item in recent.items} < everything
    assert (
        client.recommend("c00", page_size=100).shortfall_reason
        == recommend_pb2.SHORTFALL_REASON_FEWER_ELIGIBLE
    )


def test_a_stranger_gets_what_is_popular_and_is_told_so(client: Client) -> None:
    answer = client.recommend("nobody", page_size=3)
    assert len(answer.items) == 3
    assert answer.degraded_reason == recommend_pb2.DEGRADED_REASON_UNKNOWN_USER


def test_a_cart_makes_a_stranger_known(client: Client) -> None:
    answer = client.recommend("nobody", cart=[("tool-3", 1, 450)], currency="EUR", page_size=5)
    assert {item.category for item in answer.items} == {"tools"}
    assert "tool-3" not in {item.item_id for item in answer.items}


def test_without_personalisation_everybody_gets_the_same(client: Client) -> None:
    answers = [client.recommend(user, personalization_off=True).items for user in ("c00", "c01", "nobody")]
    assert answers[0] == answers[1] == answers[2]


def test_features_come_with_their_status(client: Client) -> None:
    frames = client.get_features(features_pb2.ENTITY_KIND_USER, ["c00", "nobody"], views=["user_rfm"]).frames
    assert [frame.view for frame in frames] == ["user_rfm"]
    spend = next(column for column in frames[0].columns if column.name == "spend_minor_365d")
    assert spend.values[0] > 0
    assert list(spend.statuses) == [features_pb2.FEATURE_STATUS_PRESENT, features_pb2.FEATURE_STATUS_MISSING]
    crossed = client.get_features(features_pb2.ENTITY_KIND_USER_CATEGORY, [("c00", "tea")])
    assert crossed.frames[0].event_time_us[0] > 0


def test_errors_have_the_names_that_the_server_gave(client: Client) -> None:
    with pytest.raises(NotFoundError, match="moon") as unknown:
        client.recommend("c00", placement="moon")
    assert unknown.value.reason == "PLACEMENT_NOT_FOUND"
    with pytest.raises(InvalidArgumentError, match="page_size is 500; the maximum is 100") as large:
        client.recommend("c00", page_size=500)
    assert large.value.field == "page_size"
    assert large.value.metadata == {"limit": "100", "value": "500"}
    with pytest.raises(MessageTooLargeError):
        client.recommend("x" * (4 * 1024 * 1024))


def test_a_server_that_is_away_is_tried_again_until_the_deadline() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound, but nobody listens.
        with Client(f"127.0.0.1:{taken.getsockname()[1]}", timeout_seconds=10) as client:
            began = time.monotonic()
            with pytest.raises(UnavailableError):
                client.get_status()
            assert time.monotonic() - began < 10
