"""The synchronous client. The stubs themselves are in `promosvc.v1` for those who need asyncio."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import grpc

from promosvc.client.failure import named_error
from promosvc.client.service_config import SERVICE_CONFIG
from promosvc.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    catalogue_pb2,
    event_pb2,
    features_pb2,
    promo_service_pb2_grpc,
    recommend_pb2,
    user_context_pb2,
)

MESSAGE_BYTES_MAX = 4 * 1024 * 1024


class Client:
    """Calls one server. Thread-safe; a context manager closes the channel.

    Every call has a deadline. A server that is away is tried again up to four times within it
    (UNAVAILABLE only); any other failure is raised at once as a named error of `promosvc.errors`, with the
    `reason`, `field` and `metadata` that the server gave.

    Example:
        with Client("127.0.0.1:50051") as client:
            answer = client.recommend("1", page_size=5)
            for item in answer.items:
                print(item.rank, item.title, item.score)
    """

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        timeout_seconds: float = 1.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        """Remember where to call; connects at the first call.

        Args:
            address: host and port.
            timeout_seconds: deadline of each call, retries included.
            channel: a channel of your own (TLS, interceptors); it is then yours to close.
        """
        self.timeout_seconds = timeout_seconds
        self._owns_channel = channel is None
        self._channel = channel or grpc.insecure_channel(
            address,
            options=[
                ("grpc.service_config", SERVICE_CONFIG),
                ("grpc.enable_retries", 1),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ],
        )
        self._promo: Any = promo_service_pb2_grpc.PromoServiceStub(self._channel)
        self._admin: Any = admin_service_pb2_grpc.AdminServiceStub(self._channel)

    def recommend(
        self,
        user_id: str = "",
        *,
        placement: str = "",
        page_size: int = 0,
        cart: Sequence[tuple[str, int, int]] = (),
        currency: str = "",
        personalization_off: bool = False,
        categories: Iterable[str] = (),
        kinds: Iterable[str] = (),
        include_unavailable: bool = False,
        hide_seen: bool | None = None,
        seen_event_names: Iterable[str] = (),
        seen_window: timedelta | None = None,
        exclude_item_ids: Iterable[str] = (),
        category_cap: int | None = None,
        include_reasons: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> recommend_pb2.RecommendResponse:
        """Rank items for one user at one placement.

        Args:
            user_id: empty for an anonymous visitor.
            placement: empty for "default".
            page_size: 0 for the placement's default, at most 100.
            cart: lines of (item id, quantity, unit price in minor units of `currency`).
            currency: ISO 4217 code of the cart's prices.
            personalization_off: decide without any personal history.
            categories: only these; none means any.
            kinds: only these kinds of items; none means any.
            include_unavailable: also items that are not available now.
            hide_seen: overrides the placement's rule about seen items; `None` keeps it.
            seen_event_names: with `hide_seen`, which events make an item seen.
            seen_window: with `hide_seen`, only events younger than this hide an item.
            exclude_item_ids: never these.
            category_cap: overrides the placement's limit of items per category; 0 is no limit.
            include_reasons: overrides whether items say why they are there.
            timeout_seconds: overrides the client's deadline.

        Raises:
            PromosvcError: as named by the server.
        """
        request = recommend_pb2.RecommendRequest(
            user=user_context_pb2.UserContext(
                user_id=user_id,
                cart=[
                    user_context_pb2.CartLine(item_id=item, quantity=quantity, unit_price_minor=price)
                    for item, quantity, price in cart
                ],
                currency=currency,
                personalization_off=personalization_off,
            ),
            placement=placement,
            page_size=page_size,
            filter=recommend_pb2.ItemFilter(
                categories=categories, kinds=kinds, include_unavailable=include_unavailable
            ),
            exclude_item_ids=exclude_item_ids,
            category_cap=category_cap,
            include_reasons=include_reasons,
        )
        if hide_seen is not None:
            request.seen_filter.hide_seen = hide_seen
            request.seen_filter.event_names.extend(seen_event_names)
            if seen_window is not None:
                request.seen_filter.window.FromTimedelta(seen_window)
        answer: recommend_pb2.RecommendResponse = self._call(self._promo.Recommend, request, timeout_seconds)
        return answer

    def get_features(
        self,
        entity_kind: features_pb2.EntityKind,
        entity_keys: Iterable[str | tuple[str, str]],
        *,
        views: Iterable[str] = (),
        timeout_seconds: float | None = None,
    ) -> features_pb2.GetFeaturesResponse:
        """Read feature values.

        Args:
            entity_kind: what the keys name, such as `features_pb2.ENTITY_KIND_USER`.
            entity_keys: ids, or (user id, category) for `ENTITY_KIND_USER_CATEGORY`; at most 500.
            views: names of feature views; none means all of this kind.
            timeout_seconds: overrides the client's deadline.

        Raises:
            PromosvcError: as named by the server.
        """
        keys = [(key, "") if isinstance(key, str) else key for key in entity_keys]
        request = features_pb2.GetFeaturesRequest(
            entity_kind=entity_kind,
            entity_keys=[features_pb2.EntityKey(entity_id=entity, category=cat) for entity, cat in keys],
            views=views,
        )
        answer: features_pb2.GetFeaturesResponse = self._call(
            self._promo.GetFeatures, request, timeout_seconds
        )
        return answer

    def record_events(
        self,
        events: Iterable[event_pb2.Event],
        *,
        source: str = "",
        timeout_seconds: float | None = None,
    ) -> event_pb2.RecordEventsResponse:
        """Record what users did; durable when this returns. Repeating a call is safe.

        Args:
            events: 1 to 10,000; `promosvc.client.event` makes them.
            source: where their ids come from; empty for the server's own source.
            timeout_seconds: overrides the client's deadline.

        Returns:
            One result for each event, in order: accepted, a duplicate, or rejected with a reason.

        Raises:
            PromosvcError: as named by the server; nothing of a refused request is recorded.
        """
        request = event_pb2.RecordEventsRequest(events=events, source=source)
        answer: event_pb2.RecordEventsResponse = self._call(
            self._promo.RecordEvents, request, timeout_seconds
        )
        return answer

    def upsert_items(
        self,
        items: Iterable[catalogue_pb2.ItemUpdate],
        *,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> catalogue_pb2.UpsertItemsResponse:
        """Change price, stock or availability of items, or make new ones known; the next answer honours it.

        Args:
            items: 1 to 1,000, each id once; fields that are not set stay as they are.
            request_id: names this change, so that repeating it is safe; a random one if it is empty.
            timeout_seconds: overrides the client's deadline.

        Raises:
            AlreadyExistsError: the request_id was used for another change.
            PromosvcError: as named by the server; nothing of a refused request is changed.
        """
        request = catalogue_pb2.UpsertItemsRequest(request_id=request_id or str(uuid.uuid4()), items=items)
        answer: catalogue_pb2.UpsertItemsResponse = self._call(
            self._promo.UpsertItems, request, timeout_seconds
        )
        return answer

    def get_status(self, *, timeout_seconds: float | None = None) -> admin_service_pb2.GetStatusResponse:
        """Ask what the server runs on.

        Raises:
            PromosvcError: as named by the server.
        """
        request = admin_service_pb2.GetStatusRequest()
        answer: admin_service_pb2.GetStatusResponse = self._call(
            self._admin.GetStatus, request, timeout_seconds
        )
        return answer

    def close(self) -> None:
        """Close the channel, unless it was given."""
        if self._owns_channel:
            self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., Any], request: Any, timeout_seconds: float | None) -> Any:
        timeout = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as failed:
            raise named_error(failed) from failed
