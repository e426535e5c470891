"""What all tests share: Hypothesis profiles, and a snapshot of the demo's data built once."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from promosvc import config, pipeline
from promosvc.config import Config, DataConfig
from promosvc.serving import Server

# The quick profile is derandomised: the same examples on every run. `make fuzz` style runs take "deep".
settings.register_profile(
    "quick",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("deep", settings.get_profile("quick"), max_examples=2_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

MANUAL_NOW = "2018-01-01T04:01:20Z"


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with Complete Journey imported and a snapshot published."""
    folder = tmp_path_factory.mktemp("demo")
    data = config.load(flags={"data.directory": folder}, environment={}).data
    pipeline.import_completejourney(data.database)
    pipeline.build(data.database, data.snapshots)
    return folder


@pytest.fixture(scope="session")
def demo_config(demo_data: Path) -> Config:
    """A configuration on the demo's data: any free port, a clock that stands still."""
    return config.load(
        flags={
            "data.directory": demo_data,
            "server.port": 0,
            "server.workers": 1,
            "clock.start": "manual",
            "clock.manual_start": MANUAL_NOW,
        },
        environment={},
    )


@pytest.fixture(scope="session")
def own_config(demo_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Config]:
    """Makes configurations with a data folder of their own on the demo's snapshots: one folder, one recording server."""

    def make() -> Config:
        data = DataConfig(tmp_path_factory.mktemp("own"))
        (data.directory / "snapshots").symlink_to(demo_config.data.snapshots)
        # The same key everywhere: equal answers are equal to the byte.
        data.attribution_keys.write_text(f"7 {'0123456789abcdef' * 4}\n")
        data.attribution_keys.chmod(0o600)
        return replace(demo_config, data=data)

    return make


@pytest.fixture(scope="session")
def native_address(own_config: Callable[[], Config]) -> Iterator[str]:
    """A native server on the demo's snapshot."""
    server = Server(own_config(), "native")
    yield server.start()
    assert server.stop(5)


@pytest.fixture(scope="session")
def grpcio_address(own_config: Callable[[], Config]) -> Iterator[str]:
    """A grpcio server on the same snapshot with the same clock."""
    server = Server(own_config(), "grpcio")
    yield server.start()
    assert server.stop(5)
