"""What a checked configuration holds. `defaults.toml` explains each value."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SOURCES = ("item_knn", "user_knn", "repeat", "popular_1d", "popular_7d", "popular_30d")


@dataclass(frozen=True)
class DataConfig:
    """Where promosvc writes."""

    directory: Path

    @property
    def database(self) -> Path:
        """The DuckDB file with the events."""
        return self.directory / "events.duckdb"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.directory / "snapshots"

    @property
    def event_log(self) -> Path:
        """The folder of the event log."""
        return self.directory / "events"

    @property
    def decision_log(self) -> Path:
        """The folder of the decision log."""
        return self.directory / "decisions"

    @property
    def attribution_keys(self) -> Path:
        """The file of the keys that sign attribution tokens."""
        return self.directory / "attribution.keys"


@dataclass(frozen=True)
class ServerConfig:
    """The door and its limits."""

    address: str
    port: int
    workers: int
    insecure: bool
    in_flight_calls_max: int
    streams_per_connection_max: int
    connections_max: int
    idle_seconds_max: int
    header_bytes_max: int
    pending_resets_max: int
    handshake_seconds_max: int
    drain_seconds_max: int


@dataclass(frozen=True)
class ClockConfig:
    """What "now" is."""

    start: str
    manual_start: str


@dataclass(frozen=True)
class SnapshotsConfig:
    """How the server finds a new snapshot, and how many are kept."""

    poll_ms: int
    keep: int


@dataclass(frozen=True)
class EventsConfig:
    """What the server records, and what it remembers of it."""

    enabled: bool
    source: str
    custom_item_events: tuple[str, ...]
    custom_events: tuple[str, ...]
    earliest: str
    segment_max_bytes: int
    retention_hours: int
    checkpoint_seconds: int
    queue_commands_max: int
    dedupe_hours: int
    dedupe_max_bytes: int
    request_window_hours: int
    request_window_max_bytes: int
    live_state_max_bytes: int
    events_per_user_max: int


@dataclass(frozen=True)
class DecisionsConfig:
    """What is written down of decisions."""

    enabled: bool
    sample_rate: float
    segment_max_bytes: int
    retention_hours: int
    queue_records_max: int


@dataclass(frozen=True)
class AttributionConfig:
    """Whether answers carry signed tokens."""

    enabled: bool


@dataclass(frozen=True)
class RefresherConfig:
    """The process that publishes fresh snapshots while the server runs."""

    enabled: bool
    period_seconds: int


@dataclass(frozen=True)
class SeenConfig:
    """Which items of the user's own history are hidden."""

    hide_seen: bool
    event_names: tuple[str, ...]
    window_days: int


@dataclass(frozen=True)
class PlacementConfig:
    """How one named place of the shop shows items."""

    page_size: int
    sources: tuple[str, ...]
    category_cap: int
    include_reasons: bool
    seen: SeenConfig


@dataclass(frozen=True)
class Config:
    """Everything."""

    data: DataConfig
    server: ServerConfig
    clock: ClockConfig
    snapshots: SnapshotsConfig
    events: EventsConfig
    decisions: DecisionsConfig
    attribution: AttributionConfig
    refresher: RefresherConfig
    placements: dict[str, PlacementConfig]

    def placements_document(self) -> dict[str, Any]:
        """The placements as plain lists and dicts, as the engine reads them."""
        return {
            name: {**asdict(placement), "sources": list(placement.sources), "seen": _seen(placement.seen)}
            for name, placement in self.placements.items()
        }


def _seen(seen: SeenConfig) -> dict[str, Any]:
    return {**asdict(seen), "event_names": list(seen.event_names)}
