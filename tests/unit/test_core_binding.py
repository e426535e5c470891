"""What the binding adds to the engine: named errors, frozen classes, nothing at import, checked arguments."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from promosvc import _core, errors

ROOT = Path(__file__).parents[2]


def test_every_error_kind_has_its_exception() -> None:
    kinds = dict(_core.error_kinds())
    source = (ROOT / "rust_core/engine/src/error.rs").read_text(encoding="utf-8")
    declared = re.search(r"pub enum ErrorKind \{(.*?)\n\}", source, re.DOTALL)
    assert declared is not None
    assert set(kinds) == set(re.findall(r"^    (\w+),", declared[1], re.MULTILINE))
    assert len(set(kinds.values())) == len(kinds), "two kinds share a class"
    for name in kinds.values():
        assert issubclass(getattr(errors, name), errors.PromosvcError)


def test_an_error_carries_reason_field_and_values() -> None:
    import numpy as np

    with pytest.raises(errors.InvalidArgumentError) as caught:
        _core.item_neighbours(
            np.array([0]), np.array([], dtype=np.uint32), np.array([], dtype=np.float32), 0, top_n=5000
        )
    error = caught.value
    assert (error.reason, error.field) == ("OUT_OF_RANGE", "top_n")
    assert error.metadata == {"value": "5000", "limit": "1000"}
    assert str(error) == "top_n is 5000; it must be from 1 to 1000"


def test_importing_starts_nothing_and_imports_nothing_else() -> None:
    program = (
        "import os, sys, threading\n"
        "from promosvc import _core\n"
        "assert threading.active_count() == 1\n"
        "tasks = len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1\n"
        "assert tasks == 1, tasks\n"
        "loaded = {name for name in sys.modules if name.startswith('promosvc')}\n"
        "assert loaded == {'promosvc', 'promosvc._core'}, loaded\n"
        "assert 'numpy' not in sys.modules and 'pyarrow' not in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(_core.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.mark.parametrize("cls", [_core.ArrowTable, _core.Engine, _core.Server, _core.Door])
def test_classes_cannot_be_derived_from(cls: type) -> None:
    assert inspect.isclass(cls)
    with pytest.raises(TypeError):
        type("Derived", (cls,), {})


def test_instances_are_frozen(tmp_path: Path) -> None:
    table = _core.read_users(pa.table({"user_id": ["ada"]}))
    for instance in (table, _core.Server(configuration(tmp_path)), _core.Door(configuration(tmp_path))):
        with pytest.raises(AttributeError):
            instance.something = 1


def test_a_missing_snapshot_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "20180101T000000Z-0123456789abcdef")
    with pytest.raises(errors.SnapshotError, match=r"manifest\.json"):
        _core.verify_snapshot(missing)
    with pytest.raises(errors.SnapshotError, match=r"manifest\.json"):
        _core.Engine(missing)


@pytest.mark.parametrize("make", [_core.Server, _core.Door])
def test_a_wrong_configuration_is_refused_before_anything_starts(make: type) -> None:
    for text in ("", "{", "[]", json.dumps({"server": {}, "surprise": 1})):
        with pytest.raises(errors.InvalidArgumentError):
            make(text)


def configuration(directory: Path, **server: object) -> str:
    limits: dict[str, object] = {
        "address": "127.0.0.1",
        "port": 0,
        "workers": 1,
        "insecure": False,
        "in_flight_calls_max": 16,
        "streams_per_connection_max": 16,
        "connections_max": 16,
        "idle_seconds_max": 60,
        "header_bytes_max": 16384,
        "pending_resets_max": 512,
        "handshake_seconds_max": 5,
    }
    return json.dumps(
        {
            "server": limits | server,
            "clock": {"mode": "manual", "offset_us": 0, "manual_now_us": 0},
            "snapshots": {"directory": str(directory), "poll_ms": 1000},
            "placements": {},
        }
    )


def test_a_server_starts_once_and_stops_as_often_as_asked(tmp_path: Path) -> None:
    server = _core.Server(configuration(tmp_path))
    assert server.stop(0), "nothing to stop yet"
    address = server.start()
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", address)
    with pytest.raises(errors.FailedPreconditionError, match="started before"):
        server.start()
    for grace in (-1.0, float("nan")):
        with pytest.raises(errors.InvalidArgumentError, match=r"^grace_seconds is "):
            server.stop(grace)
    assert server.stop(5)
    assert server.stop(float("inf"))


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    first = _core.Server(configuration(tmp_path))
    address = first.start()
    port = int(address.rpartition(":")[2])
    try:
        with pytest.raises(errors.PromosvcError, match=str(port)):
            _core.Server(configuration(tmp_path, port=port)).start()
    finally:
        first.stop(0)


def test_a_door_answers_in_codes_and_never_raises_for_a_client(tmp_path: Path) -> None:
    door = _core.Door(configuration(tmp_path))
    code, message, trailing, response = door.call(
        "/no.such.Service/Method", b"\xff", [("k-bin", b"\x00")], None
    )
    assert code == 12
    assert "no.such.Service" in message
    assert response == b""
    assert all(isinstance(key, str) and isinstance(value, bytes) for key, value in trailing)
    code, _, _, response = door.call("/promosvc.v1.AdminService/GetStatus", b"", [], 5.0)
    assert (code, bool(response)) == (0, True)
    late, *_ = door.call("/promosvc.v1.AdminService/GetStatus", b"", [], 0.0)
    assert late == 4
    assert door.call("/promosvc.v1.AdminService/GetStatus", b"", [], float("inf"))[0] == 0
    with pytest.raises(errors.InvalidArgumentError, match=r"^timeout_seconds is NaN"):
        door.call("/promosvc.v1.AdminService/GetStatus", b"", [], float("nan"))


def test_a_forked_child_is_refused_by_name(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from promosvc import _core, errors\n"
        "config = sys.argv[1]\n"
        "server, door = _core.Server(config), _core.Door(config)\n"
        "server.start()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    code, message, _, _ = door.call('/promosvc.v1.AdminService/GetStatus', b'', [], None)\n"
        "    assert code == 9 and 'fork' in message, (code, message)\n"
        "    try:\n"
        "        server.stop(0)\n"
        "    except errors.FailedPreconditionError as error:\n"
        "        os._exit(0 if error.reason == 'FORKED' else 2)\n"
        "    os._exit(3)\n"
        "_, status = os.waitpid(child, 0)\n"
        "assert os.waitstatus_to_exitcode(status) == 0, status\n"
        "assert server.stop(1)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(_core.__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-c", program, configuration(tmp_path)], check=True, env=environment, timeout=60
    )


def test_users_come_back_as_they_went_in() -> None:
    ids = ["ada", "", "Zoë", "x" * 300]
    answer = _core.read_users(pa.table({"user_id": ids}))
    assert len(answer) == 4
    assert pa.table(answer).to_pydict() == {"user_id": ids}
    assert pa.table(answer).num_rows == 4, "a table may be read twice"
