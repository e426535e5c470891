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
    """How the server finds a new snapshot."""

    poll_ms: int


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
    placements: dict[str, PlacementConfig]

    def placements_document(self) -> dict[str, Any]:
        """The placements as plain lists and dicts, as the engine reads them."""
        return {
            name: {**asdict(placement), "sources": list(placement.sources), "seen": _seen(placement.seen)}
            for name, placement in self.placements.items()
        }


def _seen(seen: SeenConfig) -> dict[str, Any]:
    return {**asdict(seen), "event_names": list(seen.event_names)}
