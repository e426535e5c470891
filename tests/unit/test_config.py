"""The configuration: what is stronger than what, and what is refused."""

from pathlib import Path

import pytest

from promosvc import config
from promosvc.config.load import BOUNDS, defaults_text
from promosvc.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    file = folder / "promosvc.toml"
    file.write_text(text)
    return file


def test_the_commented_file_is_the_defaults(tmp_path: Path) -> None:
    assert config.load(written(tmp_path, defaults_text()), environment={}) == config.load(environment={})


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "[server]\nport = 1\nworkers = 1\nconnections_max = 1\n")
    environment = {"PROMOSVC_SERVER_PORT": "2", "PROMOSVC_SERVER_WORKERS": "2"}
    loaded = config.load(file, {"server.port": 3, "server.workers": None}, environment)
    assert (loaded.server.port, loaded.server.workers, loaded.server.connections_max) == (3, 2, 1)
    assert loaded.server.pending_resets_max == 512


def test_a_placement_inherits_from_default(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [placements.default]
        page_size = 7
        [placements.cart.seen]
        window_days = 30
        """,
    )
    placements = config.load(file, environment={}).placements
    assert placements["cart"].page_size == 7
    assert placements["cart"].seen.window_days == 30
    assert placements["cart"].seen.event_names == ("purchase",)
    assert placements["default"].seen.window_days == 0
    assert placements["buy_again"].seen.hide_seen is False


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("[server]\nprot = 1", "server.prot", "did you mean port?"),
        ("[sever]\nport = 1", "sever", "did you mean server?"),
        ("[server]\nport = 70000", "server.port", "70000; it must be 0 to 65,535"),
        ('[server]\nport = "1"', "server.port", "'1'; it must be a whole number"),
        ("[server]\nport = true", "server.port", "True; it must be a whole number"),
        ("[placements.default]\npage_size = 0", "placements.default.page_size", "0; it must be 1 to 100"),
        ("[placements.x]\nsources = ['knn']", "placements.x.sources", "'knn'; known are: item_knn"),
        ("[placements.x]\nsources = [1]", "placements.x.sources", "must be a list of texts"),
        ("[placements.x.seen]\nhide = true", "placements.x.seen.hide", "did you mean hide_seen?"),
        ("[clock]\nstart = 'yesterday'", "clock.start", "'yesterday'; it must be machine, watermark, manual"),
        ("[clock]\nmanual_start = '2018-01-01T00:00:00'", "clock.manual_start", "a time such as"),
        ("server = 1", "server", "must be a table"),
        ("[server", None, "is not TOML"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, text: str, field: str | None, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.load(written(tmp_path, text), environment={})
    assert says in str(refused.value)
    if field is not None:
        assert refused.value.field == field
        assert field in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PROMOSVC_SERVER_PORT", "x", "whole number"),
        ("PROMOSVC_SERVER_INSECURE", "yes", "true or false"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(name: str, value: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        config.load(environment={name: value})
    assert refused.value.field == name


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        config.load(tmp_path / "absent.toml", environment={})


def test_every_number_has_bounds() -> None:
    loaded = config.load(environment={})
    numbers = {f"server.{key}" for key, value in vars(loaded.server).items() if type(value) is int}
    assert numbers | {"snapshots.poll_ms"} <= set(BOUNDS)
