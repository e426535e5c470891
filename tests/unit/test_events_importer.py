"""All or nothing, once and only once: what an import promises as a whole."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from events_helpers import NOW, PLAIN, everything, import_text, rows, write, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from promosvc.errors import DatabaseBusyError, DatabaseError, MappingError
from promosvc.events import Mapping, Stage, import_files, read_report, read_reports

WITH_IDS = PLAIN + 'event_id = "id"\n[events.item]\ntitle = { column = "title", optional = true }\n'
PACKAGE = Path(__file__).parents[2] / "python"


def click(number: int, minute: int, user: str = "ann", **more: str) -> dict[str, str]:
    moment = datetime.datetime(2024, 6, 1, 10) + datetime.timedelta(minutes=minute)
    row = {"id": str(number), "event_name": "view_item", "user_id": user, "item_id": f"i{number % 3}"}
    return row | {"event_at": moment.isoformat()} | more


def test_the_same_files_again_change_nothing_and_give_the_old_report(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [click(1, 0), click(2, 5), click(3, 0, user="")])
    first = import_text(tmp_path, WITH_IDS, path)
    before = everything(tmp_path)
    again = import_text(tmp_path, WITH_IDS, path.rename(tmp_path / "renamed.jsonl"))
    assert again.was_imported_before
    assert not first.was_imported_before
    assert again.event_counts == first.event_counts
    assert again.import_id == first.import_id
    assert everything(tmp_path) == before
    assert len(rows(tmp_path, "from quarantine")) == 1
    assert "imported before" in again.text()
    assert read_reports(tmp_path / "events.duckdb") == [first]
    assert read_report(tmp_path / "events.duckdb") == first


def test_an_event_id_counts_once_over_imports_and_sections(tmp_path: Path) -> None:
    import_text(
        tmp_path, WITH_IDS, write_lines(tmp_path / "a.jsonl", [click(1, 0), click(2, 5), click(2, 5)])
    )
    report = import_text(tmp_path, WITH_IDS, write_lines(tmp_path / "b.jsonl", [click(2, 5), click(3, 6)]))
    assert (report.event_counts.accepted, report.event_counts.duplicates) == (1, 1)
    assert report.conflicting_ids == 0
    assert rows(tmp_path, "select event_id from events order by 1") == [("1",), ("2",), ("3",)]


def test_an_id_that_comes_back_with_something_else_is_told(tmp_path: Path) -> None:
    import_text(tmp_path, WITH_IDS, write_lines(tmp_path / "a.jsonl", [click(1, 0)]))
    report = import_text(tmp_path, WITH_IDS, write_lines(tmp_path / "b.jsonl", [click(1, 7)]))
    assert (report.event_counts.duplicates, report.conflicting_ids) == (1, 1)
    assert "warning" in report.text()


def test_two_tables_that_both_count_from_one_do_not_collide(tmp_path: Path) -> None:
    records = [click(1, 0), click(1, 0) | {"event_name": "purchase"}]
    report = import_text(tmp_path, WITH_IDS, write_lines(tmp_path / "a.jsonl", records))
    assert report.event_counts.accepted == 2


def test_equal_lines_of_one_file_are_two_events_of_two_files_one(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.jsonl", [click(1, 0), click(1, 0)])
    second = write_lines(tmp_path / "b.jsonl", [click(1, 0), click(1, 0), click(1, 0)])
    report = import_text(tmp_path, PLAIN, first, second)
    assert (report.event_counts.accepted, report.event_counts.duplicates) == (3, 2)
    assert [
        row[0].rpartition(":")[2] for row in rows(tmp_path, "select event_id from events order by 1")
    ] == ["1", "2", "3"]


def test_a_wrong_mapping_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    good = write_lines(tmp_path / "a.jsonl", [click(1, 0)])
    path = write(tmp_path / "a.csv", "event_name,userid,item_id,event_at\nview_item,ann,near,2024-06-01\n")
    with pytest.raises(MappingError) as caught:
        import_text(tmp_path, PLAIN, good, path)
    assert str(caught.value) == (
        "events[0].columns.user_id: there is no column 'user_id' in a.csv (did you mean 'userid'?)"
        "; its columns are event_name, userid, item_id, event_at"
    )
    assert not (tmp_path / "events.duckdb").exists()
    import_text(tmp_path, PLAIN, good)
    before = everything(tmp_path)
    with pytest.raises(MappingError):
        import_text(tmp_path, PLAIN, path)
    assert everything(tmp_path) == before


def test_a_regular_expression_that_the_database_does_not_know_is_a_mapping_error(tmp_path: Path) -> None:
    mapping = PLAIN.replace('"user_id"\n', "{ column = 'user_id', extract = '(?<=x)a' }\n")
    with pytest.raises(MappingError, match="extract"):
        import_text(tmp_path, mapping, write_lines(tmp_path / "a.jsonl", [click(1, 0)]))


def test_a_file_that_no_section_takes_is_refused(tmp_path: Path) -> None:
    mapping = PLAIN.replace("[[events]]\n", '[[events]]\nfiles = ["orders*.jsonl"]\n')
    with pytest.raises(
        MappingError, match=r"no section of mapping reads a\.jsonl; its patterns are orders\*\.jsonl"
    ):
        import_text(tmp_path, mapping, write_lines(tmp_path / "a.jsonl", [click(1, 0)]))


def test_progress_tells_each_stage_and_ends_with_all_rows(tmp_path: Path) -> None:
    stages: list[Stage] = []
    import_text(
        tmp_path, PLAIN, write_lines(tmp_path / "a.jsonl", [click(1, 0), click(2, 0)]), progress=stages.append
    )
    assert list(dict.fromkeys(stage.name for stage in stages)) == [
        "read",
        "clean",
        "deduplicate",
        "sessions",
        "write",
    ]
    assert stages[-1] == Stage("write", 2, 2)


def test_the_report_says_everything_as_json(tmp_path: Path) -> None:
    records = [click(1, 0), click(2, 31), click(3, 0, user="")]
    report = import_text(tmp_path, PLAIN, write_lines(tmp_path / "a.jsonl", records))
    data = json.loads(report.to_json())
    assert data["event_counts"]["refused"] == {"MISSING_USER": 1}
    assert data["files"][0]["file"] == "a.jsonl"
    assert (report.users, report.items, report.sessions) == (1, 2, 2)
    assert (report.first_event_at, report.last_event_at) == ("2024-06-01 10:00:00", "2024-06-01 10:31:00")
    assert "MISSING_USER" in report.text()


@contextlib.contextmanager
def holder(folder: Path, code: str) -> Iterator[int]:
    """A process that runs `code` and says "ready" once it got as far as it should; killed at the end."""
    script = textwrap.dedent(code)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("stage", ["clean", "sessions", "write"])
def test_an_import_that_is_killed_leaves_nothing(tmp_path: Path, stage: str) -> None:
    import_text(tmp_path, WITH_IDS, write_lines(tmp_path / "a.jsonl", [click(1, 0)]))
    before = everything(tmp_path)
    write_lines(tmp_path / "b.jsonl", [click(number, number) for number in range(2, 50)])
    (tmp_path / "map.toml").write_text(WITH_IDS)
    with holder(
        tmp_path,
        f"""
        import sys, time
        from pathlib import Path
        from promosvc.events import Mapping, import_files
        folder = Path(sys.argv[1])
        def stop(stage):
            if stage.name == {stage!r} and (stage.rows_done or stage.name != "write" or stage.rows_total):
                print("ready", flush=True)
                time.sleep(600)
        mapping = Mapping.load(folder / "map.toml")
        import_files(folder / "events.duckdb", mapping, [folder / "b.jsonl"], progress=stop)
        """,
    ):
        pass
    assert everything(tmp_path) == before
    report = import_text(tmp_path, WITH_IDS, tmp_path / "b.jsonl")
    assert report.event_counts.accepted == 48


def test_a_second_writer_waits_and_then_names_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.jsonl", [click(1, 0)])
    monkeypatch.setattr("promosvc.events.database.WAIT_SECONDS", 0.2)
    with holder(
        tmp_path,
        """
        import sys, time, duckdb
        connection = duckdb.connect(sys.argv[1] + "/events.duckdb")
        print("ready", flush=True)
        time.sleep(600)
        """,
    ) as pid:
        with pytest.raises(DatabaseBusyError, match=f"process {pid}") as caught:
            import_text(tmp_path, PLAIN, path)
        assert caught.value.metadata["pid"] == str(pid)
    assert import_text(tmp_path, PLAIN, path).event_counts.accepted == 1


def test_a_reader_gets_a_named_error_for_what_is_no_event_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="does not exist"):
        read_reports(tmp_path / "none.duckdb")
    with pytest.raises(DatabaseError, match="cannot be opened"):
        read_reports(write(tmp_path / "text.duckdb", "no database"))
    with duckdb.connect(str(tmp_path / "other.duckdb")) as connection:
        connection.execute("create table cats (name varchar)")
    for use in (
        read_reports,
        lambda path: import_files(path, Mapping.parse(PLAIN), [tmp_path / "a.jsonl"], now=NOW),
    ):
        write_lines(tmp_path / "a.jsonl", [click(1, 0)])
        with pytest.raises(DatabaseError, match="no event database: it has no table 'events'"):
            use(tmp_path / "other.duckdb")


CELLS = {
    "event_name": st.sampled_from(["view_item", "purchase", "search", "teleport", ""]),
    "user_id": st.sampled_from(["ann", "bob", "", "x" * 200]),
    "item_id": st.sampled_from(["near", "far", ""]),
    "event_at": st.sampled_from(
        ["2024-06-01T10:00:00", "2024-06-01T10:29:00", "2024-06-01T11:00:00", "2031-01-01", "?"]
    ),
    "quantity": st.sampled_from(["1", "-1", "0", "two", ""]),
}
ANY_ROW = st.fixed_dictionaries(CELLS)
ANY_PROPER_ROW = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["ann", "bob"]),
        "item_id": st.sampled_from(["near", "far"]),
        "minute": st.integers(0, 180),
        "title": st.sampled_from(["old", "new"]),
    }
)


# An import takes tenths of a second, so that these properties get fewer examples than others.
EXAMPLES = settings.default.max_examples // 4 if settings.default else 10


@settings(max_examples=EXAMPLES)
@given(st.lists(st.one_of(ANY_ROW, st.just("no record")), max_size=30), st.booleans())
def test_counts_always_add_up_and_a_second_time_is_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, str] | str], skip: bool
) -> None:
    folder = tmp_path_factory.mktemp("property")
    mapping = PLAIN + 'quantity = { column = "quantity", optional = true }\n'
    if skip:
        mapping = mapping.replace("[[events]]\n", "[[events]]\nwhere = { user_id = { not = 'bob' } }\n")
    if not any(isinstance(line, dict) for line in lines):
        lines = [
            *lines,
            {"event_name": "search", "user_id": "ann", "item_id": "", "event_at": "?", "quantity": ""},
        ]
    text = "".join((json.dumps(line) if isinstance(line, dict) else line) + "\n" for line in lines)
    report = import_text(folder, mapping, write(folder / "a.jsonl", text))
    assert report.event_counts.rows_read == len(lines)
    assert report.event_counts.accepted == len(rows(folder, "from events"))
    assert sum(report.event_counts.refused.values()) == len(rows(folder, "from quarantine"))
    before = everything(folder)
    again = import_text(folder, mapping, folder / "a.jsonl")
    assert again.was_imported_before
    assert everything(folder) == before


@settings(max_examples=EXAMPLES)
@given(st.lists(ANY_PROPER_ROW, min_size=1, max_size=40), st.data())
def test_a_file_in_two_parts_gives_the_same_events_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, object]], data: st.DataObject
) -> None:
    records = [
        click(number, int(str(row["minute"])), user=str(row["user_id"]), title=str(row["title"]))
        for number, row in enumerate(drawn)
    ]
    is_first = data.draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records)))
    mapping = WITH_IDS + "[cleaning]\nevents_per_hour_max = 12\n"
    whole = tmp_path_factory.mktemp("whole")
    parts = tmp_path_factory.mktemp("parts")
    import_text(whole, mapping, write_lines(whole / "a.jsonl", records))
    for name, wanted in (("a", True), ("b", False)):
        part = [record for record, first in zip(records, is_first, strict=True) if first == wanted]
        if part:
            import_text(parts, mapping, write_lines(parts / f"{name}.jsonl", part))
    assert everything(parts)["events"] == everything(whole)["events"]
