"""What an evaluation found, as data and as a table."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from promosvc.evaluation.bootstrap import Difference
from promosvc.evaluation.metrics import METRICS

PROTOCOLS = {
    "repeats": "repeats allowed: any item chosen in the test period is right",
    "unseen": "unseen only: what the user chose before is hidden, and only new choices are right",
}


@dataclass(frozen=True)
class EvaluationRow:
    """One source, or the blend, under one protocol."""

    protocol: str
    """`repeats` or `unseen`."""
    source: str
    """`blend`, the name of a source, or `chance`: what random targets would give the blend's lists."""
    users: int
    """Users with a target."""
    figures: dict[str, float]
    """Means over users of nDCG@10, recall@10, hit rate@10, MAP@10, MRR; and coverage@10."""
    ndcg_over_popular_7d: Difference | None
    """nDCG@10 minus that of popular_7d, same users; nothing for popular_7d and chance."""
    ndcg_blend_over: Difference | None
    """The blend's nDCG@10 minus this row's, same users; nothing for the blend and chance."""


@dataclass(frozen=True)
class EvaluationReport:
    """An evaluation of the served engine."""

    snapshot_id: str
    cut_at_us: int
    """Everything before it was learned from."""
    until_us: int
    """What happened from the cut up to here is the test."""
    target_events: tuple[str, ...]
    """The events that make an item right."""
    users: int
    """Users with a target event in the test period."""
    known_users: int
    """Those that the snapshot knows."""
    items: int
    """Items of the catalogue; all of them are ranked."""
    weights: dict[str, dict[str, float]]
    """The blend's weights, learned before the cut."""
    rows: tuple[EvaluationRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        document = asdict(self)
        document["cut_at"] = _time(self.cut_at_us)
        document["until"] = _time(self.until_us)
        document["rows"] = [asdict(row) for row in self.rows]
        return document

    def row(self, protocol: str, source: str) -> EvaluationRow:
        """The row of a source under a protocol; KeyError if there is none."""
        for row in self.rows:
            if (row.protocol, row.source) == (protocol, source):
                return row
        raise KeyError((protocol, source))

    def table(self) -> str:
        """The report for people."""
        lines = [
            f"snapshot {self.snapshot_id}, learned before {_time(self.cut_at_us)}",
            f"test: {', '.join(self.target_events) or 'no event'} from then to {_time(self.until_us)}; "
            f"{self.users:,} users ({self.known_users:,} known), {self.items:,} items, all ranked",
        ]
        for protocol, about in PROTOCOLS.items():
            rows = [row for row in self.rows if row.protocol == protocol]
            if not rows:
                continue
            lines += ["", f"{about} ({rows[0].users:,} users)", _head()]
            lines += [_line(row) for row in rows]
            lines.append(self._verdict(rows))
        return "\n".join(lines)

    def _verdict(self, rows: list[EvaluationRow]) -> str:
        others = [row for row in rows if row.ndcg_blend_over is not None]
        beaten: list[str] = []
        tied: list[str] = []
        lost: list[str] = []
        for row in others:
            difference = row.ndcg_blend_over
            assert difference is not None
            (beaten if difference.low > 0 else lost if difference.high < 0 else tied).append(row.source)
        parts = [f"blend clearly better than: {', '.join(beaten) or 'none'}"]
        if tied:
            parts.append(f"not clearly different from: {', '.join(tied)}")
        if lost:
            parts.append(f"clearly worse than: {', '.join(lost)}")
        return "; ".join(parts)


def _head() -> str:
    names = [*(f"{name}@10" if name != "mrr" else name for name in METRICS), "coverage@10"]
    columns = "".join(f"{name:>13}" for name in names)
    return f"{'source':<12}{columns}   nDCG@10 over popular_7d (95 %)"


def _line(row: EvaluationRow) -> str:
    columns = "".join(f"{row.figures[name]:>13.4f}" for name in (*METRICS, "coverage"))
    difference = row.ndcg_over_popular_7d
    text = (
        ""
        if difference is None
        else (f"   {difference.mean:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})")
    )
    return f"{row.source:<12}{columns}{text}"


def _time(at_us: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
