"""Decides which section of the mapping reads which file, and names the whole by a fingerprint.

The fingerprint is a hash of the mapping and of the contents of all files, so that the same import is
known again whatever the files are called now.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from promosvc.errors import ImportRefusedError
from promosvc.events.mapping import LookupTable, Mapping, Section
from promosvc.events.raw import RawTable
from promosvc.events.resolve import Columns
from promosvc.events.toml import refuse

FAMILIES: Final = ("events", "items", "users")
_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Source:
    """What is read: a file, or an Arrow reader with a label and the digest of its content."""

    label: str
    path: Path | None = None
    reader: Any = None
    digest: str = ""


@dataclass
class Job:
    """One section of the mapping over one source; `raw` and `columns` are known once it is read."""

    section: Section
    source: Source
    number: int
    raw: RawTable | None = None
    columns: Columns | None = None

    @property
    def table(self) -> str:
        """The staging table of its rows."""
        return {"events": "staged", "items": "staged_items", "users": "staged_users"}[self.section.family]


@dataclass
class Plan:
    """Everything that one import will do."""

    mapping: Mapping
    jobs: list[Job] = field(default_factory=list)
    tables: dict[str, Path] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def has_events(self) -> bool:
        """Whether any file holds events."""
        return any(job.section.family == "events" for job in self.jobs)


def plan_import(mapping: Mapping, sources: dict[str, list[Source]], tables: dict[str, Path]) -> Plan:
    """Give each source to every section that takes its name; refuses a source that none takes."""
    plan = Plan(mapping)
    digests = []
    for family in FAMILIES:
        for source in sources.get(family, []):
            digest = source.digest or _digest(source.path)
            for section in _taking(mapping, family, source):
                plan.jobs.append(Job(section, source, len(plan.jobs)))
                digests.append(f"{section.path}:{digest}")
    if not plan.jobs:
        raise ImportRefusedError("no file was given to import", reason="NOTHING_TO_IMPORT")
    for name in tables:
        if name not in mapping.tables:
            raise refuse(f"tables.{name}", f"the mapping {mapping.name} has no table of this name")
    for name in sorted({join.table for job in plan.jobs for join in job.section.joins}):
        path = Path(tables[name]) if name in tables else _find_table(mapping.tables[name], plan)
        plan.tables[name] = path
        digests.append(f"tables.{name}:{_digest(path)}")
    whole = "\n".join([mapping.fingerprint, *sorted(digests)])
    plan.fingerprint = hashlib.sha256(whole.encode()).hexdigest()
    return plan


def _taking(mapping: Mapping, family: str, source: Source) -> list[Section]:
    sections: tuple[Section, ...] = getattr(mapping, family)
    taking = [section for section in sections if source.path is None or section.takes(source.path)]
    if source.path is None and len(taking) > 1:
        raise refuse(
            family, f"a frame has no file name, so that [[{family}]] may have one section, not {len(taking)}"
        )
    if not taking:
        patterns = ", ".join(pattern for section in sections for pattern in section.files)
        has = f"its patterns are {patterns}" if patterns else f"it has no [[{family}]]"
        raise refuse(family, f"no section of {mapping.name} reads {source.label}; {has}", file=source.label)
    return taking


def _find_table(table: LookupTable, plan: Plan) -> Path:
    """Look for a table's file beside the files that are imported, then beside the mapping."""
    folders = dict.fromkeys(job.source.path.parent for job in plan.jobs if job.source.path is not None)
    if plan.mapping.directory is not None:
        folders[plan.mapping.directory] = None
    for pattern in table.files:
        for folder in folders:
            found = sorted(path for path in folder.glob(pattern) if path.is_file())
            if found:
                return found[0]
    raise refuse(
        table.path,
        f"no file was given for the table {table.name!r}, and none that matches"
        f" {', '.join(table.files) or 'files = [...]'} lies beside the imported files",
        table=table.name,
    )


def _digest(path: Path | None) -> str:
    digest = hashlib.sha256()
    if path is None:
        return digest.hexdigest()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise ImportRefusedError(
            f"{path} cannot be read: {error.strerror or error}",
            reason="FILE_UNREADABLE",
            metadata={"file": str(path)},
        ) from error
    return digest.hexdigest()
