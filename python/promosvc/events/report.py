"""What an import did: counts that add up to the rows read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

_SAMPLES_MAX: Final = 3


@dataclass(frozen=True)
class Counts:
    """Rows of one family in one file (or of all files): what became of each.

    `rows_read` = `accepted` + `duplicates` + `skipped` + the sum of `refused`. `records_read` differs
    from `rows_read` only where a list in a record was exploded into several rows.
    """

    records_read: int = 0
    rows_read: int = 0
    accepted: int = 0
    duplicates: int = 0
    skipped: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def plus(self, other: Counts) -> Counts:
        """Add two counts."""
        reasons = sorted(self.refused.keys() | other.refused.keys())
        return Counts(
            self.records_read + other.records_read,
            self.rows_read + other.rows_read,
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.skipped + other.skipped,
            {reason: self.refused.get(reason, 0) + other.refused.get(reason, 0) for reason in reasons},
        )

    @property
    def adds_up(self) -> bool:
        """Whether no row disappeared."""
        return self.rows_read == self.accepted + self.duplicates + self.skipped + sum(self.refused.values())


@dataclass(frozen=True)
class FileCounts:
    """What became of one file in one section of the mapping."""

    file: str
    family: str
    section: str
    counts: Counts


@dataclass(frozen=True)
class ImportReport:
    """What one import did.

    `withdrawn` counts events of earlier imports that this one showed to be a machine's; they moved to
    the quarantine. `conflicting_ids` counts duplicates whose event of the same id says something else.
    """

    import_id: int
    source: str
    mapping: str
    fingerprint: str
    was_imported_before: bool
    started_at: str
    finished_at: str
    seconds: float
    files: tuple[FileCounts, ...]
    event_counts: Counts
    item_counts: Counts
    user_counts: Counts
    event_names: dict[str, int]
    users: int
    items: int
    sessions: int
    first_event_at: str | None
    last_event_at: str | None
    withdrawn: int
    conflicting_ids: int
    samples: tuple[dict[str, str], ...]
    cut_texts: int = 0
    """Texts that were longer than a running server takes, and were cut to that."""

    @property
    def rows_per_second(self) -> float:
        """Rows of all families read per second of the import."""
        rows = self.event_counts.rows_read + self.item_counts.rows_read + self.user_counts.rows_read
        return rows / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The report as one line of JSON."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> ImportReport:
        """Read what `to_dict` wrote."""
        data = dict(data)
        for key in ("event_counts", "item_counts", "user_counts"):
            data[key] = Counts(**data[key])
        data["files"] = tuple(
            FileCounts(each["file"], each["family"], each["section"], Counts(**each["counts"]))
            for each in data["files"]
        )
        data["samples"] = tuple(data["samples"])
        return ImportReport(**data)

    def text(self) -> str:
        """The report for people, several lines."""
        lines = [f"Import {self.import_id} of {self.source!r} with {self.mapping}"]
        if self.was_imported_before:
            lines[0] += f": imported before, at {self.finished_at}; nothing changed"
        for family, counts in (
            ("events", self.event_counts),
            ("items", self.item_counts),
            ("users", self.user_counts),
        ):
            if counts.rows_read or family == "events":
                lines += _family(family, counts)
        if self.event_names:
            names = ", ".join(f"{name} {count:,}" for name, count in self.event_names.items())
            lines.append(f"  by name: {names}")
        if self.first_event_at:
            lines.append(f"  {self.users:,} users, {self.items:,} items, {self.sessions:,} sessions")
            lines.append(f"  from {self.first_event_at} to {self.last_event_at} UTC")
        if self.withdrawn:
            lines.append(
                f"  withdrawn: {self.withdrawn:,} events of earlier imports are a machine's, with these"
            )
        if self.conflicting_ids:
            lines.append(
                f"  warning: {self.conflicting_ids:,} duplicates have the id of an event that says otherwise;"
                " if event_id does not name one line, use another column or leave it out"
            )
        if self.cut_texts:
            lines.append(
                f"  warning: {self.cut_texts:,} texts were longer than the server takes, and were cut"
            )
        for sample in self.samples:
            lines.append(
                f"  e.g. {sample['reason']}: {sample['file']} row {sample['row_number']},"
                f" {sample['field'] or 'the row'} = {sample['value'] or '(nothing)'}"
            )
            if sample["reason"] == "MALFORMED_ROW" and "\n" in sample["value"]:
                lines.append(
                    "    it spans lines: is a quote not closed? quote = '' reads quotes as any character"
                )
        lines.append(f"  {self.seconds:.2f} s, {self.rows_per_second:,.0f} rows/s")
        return "\n".join(lines)


def _family(family: str, counts: Counts) -> list[str]:
    read = f"  {family}: {counts.rows_read:,} rows read"
    if counts.records_read != counts.rows_read:
        read += f" (in {counts.records_read:,} records)"
    lines = [read]
    for name, count in (
        ("accepted", counts.accepted),
        ("duplicates", counts.duplicates),
        ("skipped by where", counts.skipped),
    ):
        if count or name == "accepted":
            lines.append(f"    {name:<24}{count:>14,}")
    for reason, count in sorted(counts.refused.items(), key=lambda pair: (-pair[1], pair[0])):
        lines.append(f"    {reason:<24}{count:>14,}")
    return lines
