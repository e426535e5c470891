"""Merges defaults, file, environment and flags, and refuses what is wrong by name."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from promosvc.columns import EVENT_NAMES, ID_BYTES_MAX
from promosvc.config.model import (
    SOURCES,
    AttributionConfig,
    ClockConfig,
    Config,
    DataConfig,
    DecisionsConfig,
    EventsConfig,
    PlacementConfig,
    RefresherConfig,
    SeenConfig,
    ServerConfig,
    SnapshotsConfig,
)
from promosvc.errors import ConfigError

ENVIRONMENT_PREFIX = "PROMOSVC_"

# Inclusive bounds of every number, with "section.key" as in the file.
BOUNDS: dict[str, tuple[float, float]] = {
    "server.port": (0, 65_535),
    "server.workers": (0, 1_024),
    "server.in_flight_calls_max": (1, 1_000_000),
    "server.streams_per_connection_max": (1, 65_536),
    "server.connections_max": (1, 1_000_000),
    "server.idle_seconds_max": (1, 86_400),
    "server.header_bytes_max": (1_024, 1_048_576),
    "server.pending_resets_max": (1, 1_000_000),
    "server.handshake_seconds_max": (1, 3_600),
    "server.drain_seconds_max": (0, 3_600),
    "snapshots.poll_ms": (10, 3_600_000),
    "snapshots.keep": (2, 1_000),
    # A segment holds at least a few of the largest records.
    "events.segment_max_bytes": (1 << 22, 1 << 40),
    "events.retention_hours": (0, 876_000),
    "events.checkpoint_seconds": (1, 86_400),
    "events.queue_commands_max": (1, 1_000_000),
    "events.dedupe_hours": (1, 8_760),
    "events.dedupe_max_bytes": (1 << 20, 1 << 40),
    "events.request_window_hours": (24, 8_760),
    "events.request_window_max_bytes": (1 << 20, 1 << 40),
    "events.live_state_max_bytes": (1 << 20, 1 << 40),
    "events.events_per_user_max": (1, 100_000),
    "decisions.sample_rate": (0, 1),
    "decisions.segment_max_bytes": (1 << 22, 1 << 40),
    "decisions.retention_hours": (0, 876_000),
    "decisions.queue_records_max": (1, 1_000_000),
    "refresher.period_seconds": (1, 86_400),
    "placement.page_size": (1, 100),
    "placement.category_cap": (0, 100),
    "placement.seen.window_days": (0, 36_500),
}

Table = dict[str, Any]


def defaults_text() -> str:
    """The commented file whose values are the defaults."""
    return resources.files("promosvc.config").joinpath("defaults.toml").read_text(encoding="utf-8")


def load(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Read the configuration.

    Args:
        file: a TOML file that names only what differs from the defaults.
        flags: values by "section.key" (such as "server.port"); `None` values are left out.
        environment: defaults to `os.environ`; read are `PROMOSVC_<SECTION>_<KEY>`.

    Raises:
        ConfigError: a key or value is wrong; `field` names it and the message says what is right.
    """
    table = tomllib.loads(defaults_text())
    if file is not None:
        _merge_file(table, file)
    _merge_environment(table, os.environ if environment is None else environment)
    for key, value in (flags or {}).items():
        if value is not None:
            section, name = key.split(".")
            table[section][name] = _checked(value, table[section][name], key)
    return _model(table)


def _merge_file(table: Table, file: Path) -> None:
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", field=str(file)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}", field=str(file)) from error
    default_placement = table["placements"]["default"]
    for section, content in given.items():
        _known(section, table, section)
        if not isinstance(content, dict):
            raise ConfigError(f"{section} is {content!r}; it must be a table [{section}]", field=section)
        if section != "placements":
            _merge(table[section], content, section)
            continue
        for name, placement in content.items():
            # A placement that is declared anew starts from "default", with its own [seen] merged in.
            base = table["placements"].get(name, {})
            merged: Table = {**base, "seen": dict(base.get("seen", {}))}
            _merge(merged, placement, f"placements.{name}", default_placement)
            table["placements"][name] = merged


def _merge(into: Table, given: Any, path: str, shape: Table | None = None) -> None:
    """Copy `given` into `into`, checked against `shape` (by default `into` itself)."""
    shape = into if shape is None else shape
    if not isinstance(given, dict):
        raise ConfigError(f"{path} is {given!r}; it must be a table", field=path)
    for key, value in given.items():
        here = f"{path}.{key}"
        _known(key, shape, here)
        if isinstance(shape[key], dict):
            _merge(into.setdefault(key, {}), value, here, shape[key])
        else:
            into[key] = _checked(value, shape[key], here)


def _known(key: str, shape: Table, path: str) -> None:
    if key in shape:
        return
    near = difflib.get_close_matches(key, shape, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; known are: {', '.join(shape)}"
    raise ConfigError(f"{path} is not a known key{hint}", field=path)


def _checked(value: Any, like: Any, path: str) -> Any:
    """`value`, if it is of the type of `like`."""
    if isinstance(value, Path):
        value = str(value)
    # A whole number is a number too.
    if isinstance(like, float) and type(value) is int:
        value = float(value)
    # bool is a kind of int in Python, so the types must be equal, not compatible.
    if type(value) is not type(like):
        names = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a text",
            list: "a list of texts",
        }
        raise ConfigError(f"{path} is {value!r}; it must be {names[type(like)]}", field=path)
    if isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
        raise ConfigError(f"{path} is {value!r}; it must be a list of texts", field=path)
    return value


def _merge_environment(table: Table, environment: Mapping[str, str]) -> None:
    for section, content in table.items():
        if section == "placements":
            continue
        for key, like in content.items():
            name = f"{ENVIRONMENT_PREFIX}{section}_{key}".upper()
            if name in environment:
                content[key] = _parsed(environment[name], like, name)


def _parsed(text: str, like: Any, name: str) -> Any:
    if isinstance(like, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ConfigError(f"{name} is {text!r}; it must be true or false", field=name)
    if isinstance(like, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{name} is {text!r}; it must be a whole number", field=name) from None
    if isinstance(like, float):
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{name} is {text!r}; it must be a number", field=name) from None
    if isinstance(like, list):
        return [entry.strip() for entry in text.split(",") if entry.strip()]
    return text


def _model(table: Table) -> Config:
    for section in ("server", "snapshots", "events", "decisions", "refresher"):
        for key, value in table[section].items():
            _bounded(value, f"{section}.{key}", f"{section}.{key}")
    _check_clock(table["clock"])
    _check_events(table["events"])
    return Config(
        data=DataConfig(directory=Path(table["data"]["directory"])),
        server=ServerConfig(**table["server"]),
        clock=ClockConfig(**table["clock"]),
        snapshots=SnapshotsConfig(**table["snapshots"]),
        events=EventsConfig(**_tuples(table["events"])),
        decisions=DecisionsConfig(**table["decisions"]),
        attribution=AttributionConfig(**table["attribution"]),
        refresher=RefresherConfig(**table["refresher"]),
        placements={
            name: _placement(name, placement, table["placements"]["default"])
            # "default" first, so that a wrong value is named where it was written, not where it is inherited.
            for name, placement in sorted(
                table["placements"].items(), key=lambda entry: (entry[0] != "default", entry[0])
            )
        },
    )


def _placement(name: str, given: Table, default: Table) -> PlacementConfig:
    path = f"placements.{name}"
    if not name or len(name.encode()) > 128:
        raise ConfigError(f"{path}: a placement's name has 1 to 128 UTF-8 bytes", field=path)
    merged = {**default, **given, "seen": {**default["seen"], **given.get("seen", {})}}
    for key in ("page_size", "category_cap"):
        _bounded(merged[key], f"placement.{key}", f"{path}.{key}")
    _bounded(merged["seen"]["window_days"], "placement.seen.window_days", f"{path}.seen.window_days")
    for source in merged["sources"]:
        if source not in SOURCES:
            raise ConfigError(
                f"{path}.sources has {source!r}; known are: {', '.join(SOURCES)}", field=f"{path}.sources"
            )
    seen = merged["seen"]
    return PlacementConfig(
        page_size=merged["page_size"],
        sources=tuple(merged["sources"]),
        category_cap=merged["category_cap"],
        include_reasons=merged["include_reasons"],
        seen=SeenConfig(
            hide_seen=seen["hide_seen"],
            event_names=tuple(seen["event_names"]),
            window_days=seen["window_days"],
        ),
    )


def _bounded(value: Any, bound: str, path: str) -> None:
    low, high = BOUNDS.get(bound, (None, None))
    if low is not None and high is not None and not low <= value <= high:
        raise ConfigError(f"{path} is {value}; it must be {low:,} to {high:,}", field=path)


def _tuples(section: Table) -> Table:
    """The section with its lists made unchangeable, as the model has them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}


def _check_events(events: Table) -> None:
    parse_time(events["earliest"], "events.earliest")
    _check_name(events["source"], "events.source")
    names = [*events["custom_item_events"], *events["custom_events"]]
    for key in ("custom_item_events", "custom_events"):
        for name in events[key]:
            _check_name(name, f"events.{key}")
            if name in EVENT_NAMES or names.count(name) > 1:
                raise ConfigError(
                    f"events.{key} has {name!r}, which is declared twice or in the public vocabulary",
                    field=f"events.{key}",
                )
    # Live state numbers names in one byte, and one number says that there is none.
    most = 255 - len(EVENT_NAMES)
    if len(names) > most:
        raise ConfigError(
            f"events.custom_item_events and events.custom_events have {len(names)} names; the maximum is {most}",
            field="events.custom_events",
        )


def _check_name(name: str, path: str) -> None:
    if not 1 <= len(name.encode()) <= ID_BYTES_MAX:
        raise ConfigError(f"{path} has {name!r}; a name has 1 to {ID_BYTES_MAX} UTF-8 bytes", field=path)


def _check_clock(clock: Table) -> None:
    if clock["start"] not in ("machine", "watermark", "manual"):
        parse_time(clock["start"], "clock.start", "machine, watermark, manual, or ")
    parse_time(clock["manual_start"], "clock.manual_start")


def parse_time(text: str, field: str, others: str = "") -> datetime:
    """The time that `text` says, with its zone.

    Raises:
        ConfigError: it is not a time with a zone.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ConfigError(
            f"{field} is {text!r}; it must be {others}a time such as 2018-01-01T00:00:00Z", field=field
        )
    return time
