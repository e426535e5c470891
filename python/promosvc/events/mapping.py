"""A mapping: what the files of one shop mean. `docs/mapping.md` is the reference.

`Mapping.load` reads a TOML file and refuses every key it does not know; whether the columns that it
names are really there is checked by the importer against the files, before the first row is read.
"""

from __future__ import annotations

import datetime
import fnmatch
import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from promosvc.columns import EVENT_NAMES, EVENTS_PER_HOUR_MAX, ID_BYTES_MAX, SESSION_MINUTES
from promosvc.errors import MappingError, NotFoundError
from promosvc.events import currencies
from promosvc.events.rules import (
    Condition,
    Kind,
    Rule,
    check_time_format,
    check_timezone,
    read_conditions,
    read_rule,
)
from promosvc.events.toml import Table, did_you_mean, refuse

EVENT_RULES: Final[dict[str, Kind]] = {
    "event_id": "text",
    "event_name": "text",
    "user_id": "text",
    "item_id": "text",
    "event_at": "time",
    "order_id": "text",
    "quantity": "number",
    "amount": "money",
    "unit_price": "money",
    "discount": "money",
    "coupon_discount": "money",
    "currency": "text",
    "rating": "number",
    "search_term": "text",
    "promotion_id": "text",
}
"""What `[events.columns]` may hold."""

ITEM_RULES: Final[dict[str, Kind]] = {
    "item_id": "text",
    "kind": "text",
    "title": "text",
    "category": "text",
    "brand": "text",
    "unit_price": "money",
    "currency": "text",
    "is_available": "flag",
}
"""What `[items.columns]` and, but for item_id, `[events.item]` may hold."""

USER_RULES: Final[dict[str, Kind]] = {"user_id": "text"}
"""What `[users.columns]` may hold; everything else of a user is an attribute."""

_EARLIEST: Final = datetime.datetime(1990, 1, 1)
_SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS: Final = ("csv", "jsonl", "json", "parquet")


@dataclass(frozen=True)
class FileFormat:
    """How the bytes of a file become rows."""

    format: str = ""
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    encoding: str = "utf-8"
    has_header: bool = True
    column_names: tuple[str, ...] = ()
    skip_rows: int = 0
    explode: str = ""
    explode_separator: str = ""

    def of(self, path: Path) -> str:
        """The format of one file: as declared, else by its suffix."""
        if self.format:
            return self.format
        suffixes = [suffix.lower() for suffix in path.suffixes]
        if suffixes and suffixes[-1] in (".gz", ".zst"):
            suffixes.pop()
        found = _SUFFIXES.get(suffixes[-1] if suffixes else "")
        if found is None:
            raise refuse(
                "format",
                f"{path.name} does not end in {', '.join(_SUFFIXES)};"
                f" say format = one of {', '.join(FORMATS)}",
                file=path.name,
            )
        return found


@dataclass(frozen=True)
class Join:
    """Looks one row of another file up: own column = its column, for each pair of `on`."""

    path: str
    table: str
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LookupTable:
    """A file that rows are looked up in."""

    path: str
    name: str
    files: tuple[str, ...]
    file_format: FileFormat
    null_values: tuple[str, ...]
    duplicates: str


@dataclass(frozen=True)
class Section:
    """One `[[events]]`, `[[items]]` or `[[users]]`: files of one shape and what their columns mean."""

    path: str
    family: str
    files: tuple[str, ...]
    file_format: FileFormat
    null_values: tuple[str, ...]
    decimal: str
    thousands: str
    timezone: str
    formats: tuple[str, ...]
    joins: tuple[Join, ...]
    where: tuple[Condition, ...]
    rules: dict[str, Rule]
    attributes: dict[str, Rule]
    item_rules: dict[str, Rule] = field(default_factory=dict)
    item_attributes: dict[str, Rule] = field(default_factory=dict)

    def takes(self, path: Path) -> bool:
        """Whether a file belongs to this section, by its name."""
        return _matches(path, self.files)


@dataclass(frozen=True)
class Mapping:
    """What the files of one source mean."""

    name: str
    source: str
    timezone: str
    currency: str
    item_kind: str
    custom_events: dict[str, bool]
    earliest: datetime.datetime
    latest: datetime.datetime | None
    session_minutes: int
    events_per_hour_max: int
    zero_quantity: str
    events: tuple[Section, ...]
    items: tuple[Section, ...]
    users: tuple[Section, ...]
    tables: dict[str, LookupTable]
    fingerprint: str
    directory: Path | None = None

    @property
    def event_names(self) -> dict[str, bool]:
        """All event names allowed, with whether they need an item."""
        return EVENT_NAMES | self.custom_events

    @staticmethod
    def load(path: Path | str) -> Mapping:
        """Read a mapping file. Raises `MappingError` naming file, key and value."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MappingError(f"{path}: {error}", metadata={"file": str(path)}) from None
        return Mapping.parse(text, path.name, path.parent)

    @staticmethod
    def parse(text: str, name: str = "mapping", directory: Path | None = None) -> Mapping:
        """Read a mapping from its text."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"{name} is not TOML: {error}", metadata={"file": name}) from None
        return Mapping.from_dict(data, name, directory)

    @staticmethod
    def from_dict(data: dict[str, Any], name: str = "mapping", directory: Path | None = None) -> Mapping:
        """Read a mapping from the tables of its TOML."""
        return _read(data, name, directory)

    @staticmethod
    def shipped(name: str) -> Mapping:
        """Read a mapping that comes with promosvc. Raises `NotFoundError` listing them all."""
        names = Mapping.shipped_names()
        if name not in names:
            raise NotFoundError(
                f"no mapping {name!r} is shipped{did_you_mean(name, names)}; there are {', '.join(names)}",
                field="mapping",
                metadata={"value": name},
            )
        file = resources.files("promosvc.events") / "mappings" / f"{name}.toml"
        return Mapping.parse(file.read_text(encoding="utf-8"), f"{name}.toml")

    @staticmethod
    def shipped_names() -> list[str]:
        """Names of the mappings that come with promosvc, sorted."""
        folder = resources.files("promosvc.events") / "mappings"
        return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    name = path.name.lower()
    return not patterns or any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns)


def _read(data: dict[str, Any], name: str, directory: Path | None) -> Mapping:
    root = Table(data, "")
    source = root.table("source")
    if source is None:
        raise refuse("source", 'is required: [source] with name = "..." says whose files these are')
    source_name = source.text("name", required=True)
    if not 1 <= len(source_name.encode()) <= ID_BYTES_MAX:
        raise refuse("source.name", f"{source_name!r} is not 1 to {ID_BYTES_MAX} bytes long")
    timezone = source.text("timezone", "UTC")
    check_timezone(timezone, "source.timezone")
    currency = source.text("currency").upper()
    if currency and not currencies.is_currency(currency):
        raise refuse(
            "source.currency", f"{currency!r} is no ISO 4217 code; write three letters such as 'EUR'"
        )
    item_kind = source.text("item_kind", "product")
    source.close()
    cleaning = root.table("cleaning") or Table({}, "cleaning")
    earliest = _moment(cleaning, "earliest") or _EARLIEST
    latest = _moment(cleaning, "latest")
    session_minutes = cleaning.integer("session_minutes", SESSION_MINUTES, least=1, most=60 * 24 * 365)
    per_hour = cleaning.integer("events_per_hour_max", EVENTS_PER_HOUR_MAX, least=0, most=10**9)
    zero_quantity = cleaning.choice("zero_quantity", ("refuse", "skip", "one"), "refuse")
    cleaning.close()
    tables = {}
    declared = root.table("tables")
    for key in declared.keys() if declared else []:
        table = declared.table(key) if declared else None
        if table is not None:
            tables[key] = _lookup_table(table, key)
    families = {
        family: tuple(_section(table, family, timezone, tables) for table in root.tables(family))
        for family in ("events", "items", "users")
    }
    if not any(families.values()):
        raise refuse("events", "is required: at least one of [[events]], [[items]], [[users]]")
    mapping = Mapping(
        name=name,
        source=source_name,
        timezone=timezone,
        currency=currency,
        item_kind=item_kind,
        custom_events=_custom_events(root),
        earliest=earliest,
        latest=latest,
        session_minutes=session_minutes,
        events_per_hour_max=per_hour,
        zero_quantity=zero_quantity,
        events=families["events"],
        items=families["items"],
        users=families["users"],
        tables=tables,
        fingerprint=hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest(),
        directory=directory,
    )
    root.close()
    _check_money(mapping)
    return mapping


def _custom_events(root: Table) -> dict[str, bool]:
    custom: dict[str, bool] = {}
    declared = root.table("custom_events")
    for event_name in declared.keys() if declared else []:
        table = declared.table(event_name) if declared else None
        if table is None:
            continue
        if event_name in EVENT_NAMES:
            raise refuse(table.path, f"{event_name!r} is of the public vocabulary already")
        if not 1 <= len(event_name.encode()) <= ID_BYTES_MAX:
            raise refuse(table.path, f"{event_name!r} is not 1 to {ID_BYTES_MAX} bytes long")
        custom[event_name] = table.flag("needs_item", False)
        table.close()
    return custom


def _moment(table: Table, key: str) -> datetime.datetime | None:
    value = table.take(key)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise refuse(
                table.at(key), f"{value!r} is no date; write 2020-01-31 or 2020-01-31T12:00:00Z"
            ) from None
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    raise refuse(table.at(key), f"{value!r} is no date; write 2020-01-31 or 2020-01-31T12:00:00Z")


def _file_format(table: Table) -> FileFormat:
    encoding = table.text("encoding", "utf-8")
    try:
        "".encode(encoding)
    except LookupError:
        raise refuse(table.at("encoding"), f"{encoding!r} is no encoding that Python knows") from None
    delimiter = table.character("delimiter")
    quote = table.text("quote", '"')
    if len(quote) > 1:
        raise refuse(table.at("quote"), f"{quote!r} is not one character (or empty for none)")
    column_names = table.texts("column_names") or ()
    if len(set(column_names)) != len(column_names):
        raise refuse(table.at("column_names"), "holds a name twice")
    file_format = FileFormat(
        format=table.choice("format", FORMATS, ""),
        delimiter=delimiter,
        quote=quote,
        escape=table.character("escape"),
        encoding=encoding,
        has_header=table.flag("header", not column_names),
        column_names=column_names,
        skip_rows=table.integer("skip_rows", 0, least=0, most=1_000_000),
        explode=table.text("explode"),
        explode_separator=table.text("explode_separator"),
    )
    if not file_format.has_header and not column_names:
        raise refuse(table.at("header"), "is false; say what the columns are with column_names = [...]")
    return file_format


def _lookup_table(table: Table, name: str) -> LookupTable:
    if "." in name or name.startswith("$"):
        raise refuse(table.path, f"{name!r} holds a dot or begins with $; choose a plain name")
    lookup = LookupTable(
        path=table.path,
        name=name,
        files=table.texts("files") or (),
        file_format=_file_format(table),
        null_values=_null_values(table),
        duplicates=table.choice("duplicates", ("refuse", "first", "last"), "refuse"),
    )
    table.close()
    return lookup


def _null_values(table: Table) -> tuple[str, ...]:
    given = table.texts("null_values")
    return ("",) if given is None else given


def _section(table: Table, family: str, timezone: str, tables: dict[str, LookupTable]) -> Section:
    rules = {"events": EVENT_RULES, "items": ITEM_RULES, "users": USER_RULES}[family]
    where = table.take("where")
    formats = table.texts("time_format") or ()
    for each in formats:
        check_time_format(each, table.at("time_format"))
    zone = table.text("timezone", timezone)
    check_timezone(zone, table.at("timezone"))
    item = table.table("item") if family == "events" else None
    section = Section(
        path=table.path,
        family=family,
        files=table.texts("files") or (),
        file_format=_file_format(table),
        null_values=_null_values(table),
        decimal=table.character("decimal") or ".",
        thousands=table.character("thousands") or "",
        timezone=zone,
        formats=formats,
        joins=tuple(_join(each, tables) for each in table.tables("join")),
        where=read_conditions(where, table.at("where")) if where is not None else (),
        rules=_rules(table.table("columns") or Table({}, table.at("columns")), rules),
        attributes=_attributes(table),
        item_attributes=_attributes(item) if item else {},
        item_rules=_rules(item, {k: v for k, v in ITEM_RULES.items() if k != "item_id"}) if item else {},
    )
    table.close()
    required = {
        "events": ("event_name", "user_id", "event_at"),
        "items": ("item_id",),
        "users": ("user_id",),
    }[family]
    for key in required:
        if key not in section.rules:
            raise refuse(f"{table.path}.columns.{key}", "is required")
    return section


def _rules(table: Table, kinds: dict[str, Kind]) -> dict[str, Rule]:
    rules = {
        key: read_rule(table.take(key), table.at(key), kind) for key, kind in kinds.items() if table.has(key)
    }
    for key in kinds:
        table.take(key)
    table.close()
    return rules


def _attributes(table: Table) -> dict[str, Rule]:
    path = table.at("attributes")
    given = table.take("attributes", {})
    if isinstance(given, list):
        given = {column: column for column in given if isinstance(column, str)}
    if not isinstance(given, dict):
        raise refuse(path, "is neither a list of columns nor a table of name = rule")
    return {key: read_rule(rule, f"{path}.{key}", "text") for key, rule in given.items()}


def _join(table: Table, tables: dict[str, LookupTable]) -> Join:
    name = table.text("table", required=True)
    if name not in tables:
        raise refuse(
            table.at("table"),
            f"there is no [tables.{name}]{did_you_mean(name, tables)}",
            value=name,
        )
    on = table.take("on")
    if isinstance(on, str):
        on = {on: on}
    if not isinstance(on, dict) or not on or not all(isinstance(theirs, str) for theirs in on.values()):
        raise refuse(table.at("on"), "is not a table of own column = the other file's column")
    table.close()
    return Join(table.path, name, tuple(on.items()))


def _check_money(mapping: Mapping) -> None:
    """Money without a currency cannot be written in minor units."""
    for section in (*mapping.events, *mapping.items):
        for rules in (section.rules, section.item_rules):
            for rule in rules.values():
                if (
                    rule.kind != "money"
                    or mapping.currency
                    or "currency" in rules
                    or "currency" in section.rules
                ):
                    continue
                raise refuse(
                    rule.path,
                    "is money without a currency; give [source] currency = 'EUR', say, or columns.currency",
                )
