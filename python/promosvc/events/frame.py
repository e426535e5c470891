"""Imports data frames of pandas, polars or Arrow: the same mapping, rules and report as for files."""

from __future__ import annotations

import datetime
from collections.abc import Mapping as Dictionary
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promosvc.events.importer import Progress, run
from promosvc.events.mapping import Mapping
from promosvc.events.plan import FAMILIES, Source
from promosvc.events.report import ImportReport
from promosvc.events.sending import Recorder
from promosvc.events.toml import refuse

if TYPE_CHECKING:
    from promosvc.frames import ArrowStreamExportable


def import_frame(
    database: Path | str,
    frame: ArrowStreamExportable,
    mapping: Mapping | Dictionary[str, Any],
    *,
    family: str = "events",
    source: str = "frame",
    currency: str = "",
    label: str = "frame",
    progress: Progress | None = None,
    now: datetime.datetime | None = None,
    send: Recorder | None = None,
) -> ImportReport:
    """Import one frame of events, items or users (`family`).

    `mapping` is a `Mapping` with one section of the family, or just its `columns` as in a mapping file:
    `{"user_id": "customer", "event_name": {"value": "purchase"}, ...}`, for which `source` and
    `currency` stand beside. `label` names the frame in quarantine and report.
    """
    # pyarrow takes a tenth of a second to load, which an import of files need not pay.
    from promosvc import frames

    if family not in FAMILIES:
        raise refuse("family", f"{family!r} is not one of {', '.join(FAMILIES)}", value=family)
    if not isinstance(mapping, Mapping):
        section = {"columns": dict(mapping)}
        mapping = Mapping.from_dict(
            {"source": {"name": source, "currency": currency}, family: [section]}, label
        )
    table = frames.to_arrow(frame)
    whole = Source(label, reader=table, digest=frames.digest(table))
    return run(database, mapping, {family: [whole]}, {}, progress, now, send)
