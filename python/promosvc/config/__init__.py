"""The configuration: one commented file whose values are the defaults.

Flags are stronger than the environment, the environment than a file, a file than the defaults.
`load` merges the four, checks every value, and returns frozen dataclasses.
"""

from promosvc.config.load import load
from promosvc.config.model import (
    ClockConfig,
    Config,
    DataConfig,
    PlacementConfig,
    SeenConfig,
    ServerConfig,
    SnapshotsConfig,
)

__all__ = [
    "ClockConfig",
    "Config",
    "DataConfig",
    "PlacementConfig",
    "SeenConfig",
    "ServerConfig",
    "SnapshotsConfig",
    "load",
]
