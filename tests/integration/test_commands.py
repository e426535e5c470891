"""The verbs as a person types them: output, exit codes, and what they refuse."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str, folder: Path | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line; check its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "promosvc.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_help_teaches() -> None:
    text = run("--help").stdout
    for verb in ("import", "build", "serve", "Exit codes"):
        assert verb in text
    for verb in (
        "demo",
        "import",
        "features",
        "build",
        "evaluate",
        "snapshot",
        "serve",
        "recommend",
        "status",
    ):
        assert len(run(verb, "--help").stdout) > 200


def test_a_shop_from_files_to_snapshot(shop_files: Path, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    files = ["--events", str(shop_files / "orders.csv"), "--items", str(shop_files / "products.csv")]
    mapping = ["--mapping", str(shop_files / "shop.toml")]
    imported = json.loads(run("import", *files, *mapping, *data, "--json").stdout)
    counts = imported["event_counts"]
    assert counts["rows_read"] == counts["accepted"] > 500
    assert imported["items"] == 24
    again = run("import", *files, *mapping, *data)
    assert "imported before" in again.stdout

    listed = run("features", "--list").stdout
    assert "user_rfm  (user" in listed
    shown = run("features", "user_rfm", *data, "--rows", "1").stdout
    assert "user_rfm: 40 rows" in shown
    assert "c00" in shown
    run("features", "user_rfm", "--out", str(tmp_path / "frames"), *data)
    assert (tmp_path / "frames" / "user_rfm.parquet").stat().st_size > 0

    first = json.loads(run("build", *data, "--until", "2024-02-01", "--json").stdout)
    second = json.loads(run("build", *data, "--json").stdout)
    assert second["snapshot_id"] != first["snapshot_id"]
    assert json.loads(run("build", *data, "--json").stdout)["snapshot_id"] == second["snapshot_id"]

    infos = json.loads(run("snapshot", "list", *data, "--json").stdout)
    assert {info["snapshot_id"]: info["is_current"] for info in infos} == {
        first["snapshot_id"]: False,
        second["snapshot_id"]: True,
    }
    assert second["snapshot_id"] in run("snapshot", "list", *data).stdout
    assert json.loads(run("snapshot", "verify", *data).stdout)
    assert first["snapshot_id"] in run("snapshot", "rollback", *data).stdout
    assert second["snapshot_id"] in run("snapshot", "publish", second["snapshot_id"], *data).stdout
    assert "no-such" in run("snapshot", "publish", "no-such", *data, code=4).stderr

    evaluated = run("evaluate", *data, "--days", "7").stdout
    assert "popular_7d" in evaluated
    assert "blend" in evaluated


def test_progress_is_json_lines_where_nobody_looks(shop_files: Path, tmp_path: Path) -> None:
    done = run(
        "import",
        *("--events", str(shop_files / "orders.csv"), "--mapping", str(shop_files / "shop.toml")),
        *("--data", str(tmp_path / "data")),
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines
    assert all({"stage", "done", "total", "elapsed_seconds"} == set(line) for line in lines)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["build"], 4, "events.duckdb"),
        (["import"], 3, "--mapping FILE"),
        (["import", "--source", "moon", "--events", "x.csv"], 4, "moon"),
        (["import", "--source", "online-retail"], 3, "nothing to import"),
        (["import", "--source", "online-retail", "--events", "absent.csv"], 4, "absent.csv"),
        (["import", "--mapping", "absent.toml", "--events", "x.csv"], 3, "absent.toml"),
        (["build", "--until", "yesterday"], 2, "yesterday"),
        (["features", "moon"], 4, "moon"),
        (["snapshot", "verify"], 4, "no published snapshot"),
        (["evaluate"], 4, "events.duckdb"),
        (["recommend", "1", "--server", "127.0.0.1:1"], 6, ""),
        (["nonsense"], 2, "nonsense"),
        (["serve", "--port", "many"], 2, "many"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    done = run(*words, folder=tmp_path, code=code)
    assert says in done.stderr


def test_a_wrong_mapping_names_the_key_and_the_columns(shop_files: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text((shop_files / "shop.toml").read_text().replace('"customer"', '"custommer"'))
    done = run(
        *("import", "--events", str(shop_files / "orders.csv"), "--mapping", str(wrong)),
        *("--data", str(tmp_path / "data")),
        code=3,
    )
    assert "custommer" in done.stderr
    assert "customer" in done.stderr


def test_the_printed_configuration_is_one_that_serve_takes(tmp_path: Path) -> None:
    (tmp_path / "promosvc.toml").write_text(run("config").stdout)
    done = run("snapshot", "list", "--config", "promosvc.toml", folder=tmp_path)
    assert "No snapshots yet" in done.stdout
