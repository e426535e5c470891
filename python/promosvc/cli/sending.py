"""Sends what an import accepted to the server that runs on the data folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from promosvc import pipeline
from promosvc.client import Client, event
from promosvc.v1 import catalogue_pb2, event_pb2, money_pb2

# A call is as large as a message may be; half of that leaves room for what a size does not count.
CALL_BYTES_MAX = 2 * 1024 * 1024


class ServerRecorder:
    """What an import sends to, over gRPC."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def record_events(self, source: str, events: Sequence[Mapping[str, Any]]) -> list[pipeline.Verdict]:
        """Record events of a source; one verdict for each."""
        verdicts: list[pipeline.Verdict] = []
        for messages in _calls([event(**values) for values in events]):
            answer = self._client.record_events(messages, source=source)
            verdicts += map(_verdict, answer.results)
        return verdicts

    def upsert_items(self, request_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Tell what is new about items, all or none."""
        self._client.upsert_items([_item(values) for values in items], request_id=request_id)


def _calls(messages: Sequence[event_pb2.Event]) -> list[list[event_pb2.Event]]:
    """The messages in as few calls as their bytes allow."""
    calls: list[list[event_pb2.Event]] = []
    bytes_left = 0
    for message in messages:
        size = message.ByteSize()
        if size > bytes_left:
            calls.append([])
            bytes_left = CALL_BYTES_MAX
        calls[-1].append(message)
        bytes_left -= size
    return calls


def _verdict(result: event_pb2.EventResult) -> pipeline.Verdict:
    if result.verdict == event_pb2.EVENT_VERDICT_REJECTED:
        reason = event_pb2.RejectionReason.Name(result.rejection_reason)
        return pipeline.Verdict(reason.removeprefix("REJECTION_REASON_"), result.field.partition(".")[2])
    return pipeline.Verdict(event_pb2.EventVerdict.Name(result.verdict).removeprefix("EVENT_VERDICT_"))


def _item(values: Mapping[str, Any]) -> catalogue_pb2.ItemUpdate:
    fields = dict(values)
    amount, currency = fields.pop("unit_price_minor", None), fields.pop("currency", None)
    if amount is not None:
        fields["unit_price"] = money_pb2.Money(amount_minor=amount, currency=currency)
    return catalogue_pb2.ItemUpdate(**fields)
