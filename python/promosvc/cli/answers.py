"""How answers look to a person at a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from promosvc.v1 import recommend_pb2


def recommendation_table(answer: recommend_pb2.RecommendResponse, title: str) -> Table:
    """A table of the items with their reasons."""
    table = Table(title=title, title_justify="left", caption=_caption(answer), caption_justify="left")
    table.add_column("#", justify="right")
    table.add_column("item")
    table.add_column("what it is")
    table.add_column("score", justify="right")
    table.add_column("because")
    for item in answer.items:
        name = item.title or item.category
        kind = f"{name} ({item.category})" if item.category and item.category != name else name
        table.add_row(str(item.rank), item.item_id, kind, f"{item.score:.3f}", _because(item.reasons))
    return table


def print_recommendation(answer: recommend_pb2.RecommendResponse, title: str) -> None:
    """Print the table to standard output."""
    Console().print(recommendation_table(answer, title))


def _because(reasons: Iterable[recommend_pb2.Reason]) -> str:
    # What is summed up tells least, however large it is: it comes last.
    told = sorted(reasons, key=lambda reason: reason.WhichOneof("basis") == "other_history")
    return "\n".join(f"{reason.contribution:.3f} {_basis(reason)}" for reason in told[:3])


def _basis(reason: recommend_pb2.Reason) -> str:
    match reason.WhichOneof("basis"):
        case "because_of_item":
            basis = reason.because_of_item
            place = "in the cart" if basis.is_in_cart else "in the history"
            return f"similar to {basis.title or basis.item_id}, {place}"
        case "similar_users":
            count = reason.similar_users.user_count
            return f"chosen by {count} similar user{'' if count == 1 else 's'}"
        case "popular_item":
            days = reason.popular_item.window_days
            return f"popular in the last {'day' if days == 1 else f'{days} days'}"
        case "chosen_before":
            basis_before = reason.chosen_before
            times = "once" if basis_before.event_count == 1 else f"{basis_before.event_count} times"
            return f"chosen {times}, last on {basis_before.last_event_at.ToDatetime():%Y-%m-%d}"
        case "other_history":
            count = reason.other_history.item_count
            return f"{count} more item{'' if count == 1 else 's'} of the history"
        case _:
            return "unnamed"


def _caption(answer: recommend_pb2.RecommendResponse) -> str:
    parts = [f"snapshot {answer.snapshot_id}", f"decided at {answer.decided_at.ToDatetime():%Y-%m-%d %H:%M}"]
    if answer.degraded_reason:
        parts.append(_enum(recommend_pb2.DegradedReason.Name(answer.degraded_reason), "DEGRADED_REASON_"))
    if answer.shortfall_reason:
        name = recommend_pb2.ShortfallReason.Name(answer.shortfall_reason)
        parts.append(f"{len(answer.items)} of {answer.page_size}: {_enum(name, 'SHORTFALL_REASON_')}")
    return " · ".join(parts)


def _enum(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
