"""Sessions and the bot rule: the same whatever the order of imports, checked against a plain loop."""

import datetime
from collections import defaultdict
from pathlib import Path

import pytest
from events_helpers import PLAIN, import_text, rows, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st

MAPPING = PLAIN + 'event_id = "id"\n'
START = datetime.datetime(2024, 6, 1, 10)


def clicks(*minutes: float, user: str = "ann", first: int = 0) -> list[dict[str, str]]:
    return [
        {
            "id": f"{user}{first + number}",
            "event_name": "view_item",
            "user_id": user,
            "item_id": "near",
            "event_at": (START + datetime.timedelta(minutes=minute)).isoformat(),
        }
        for number, minute in enumerate(minutes)
    ]


def sessions(folder: Path) -> list[list[int]]:
    """Minutes of each session, in order."""
    found = defaultdict(list)
    for session, event_at in rows(folder, "select session_id, event_at from events order by event_at"):
        found[session].append(round((event_at - START).total_seconds() / 60))
    return sorted(found.values())


def test_a_pause_of_thirty_minutes_is_the_same_session_a_longer_one_is_not(tmp_path: Path) -> None:
    import_text(tmp_path, MAPPING, write_lines(tmp_path / "a.jsonl", clicks(0, 30, 61, 91.001)))
    assert sessions(tmp_path) == [[0, 30], [61], [91]]


def test_two_users_at_one_moment_have_two_sessions(tmp_path: Path) -> None:
    import_text(tmp_path, MAPPING, write_lines(tmp_path / "a.jsonl", clicks(0) + clicks(0, user="bob")))
    assert sessions(tmp_path) == [[0], [0]]


def test_a_later_import_joins_extends_and_precedes_sessions(tmp_path: Path) -> None:
    import_text(
        tmp_path, MAPPING, write_lines(tmp_path / "a.jsonl", clicks(0, 50, 200) + clicks(0, user="bob"))
    )
    assert sessions(tmp_path) == [[0], [0], [50], [200]]
    bob = rows(tmp_path, "select session_id from events where user_id = 'bob'")
    import_text(tmp_path, MAPPING, write_lines(tmp_path / "b.jsonl", clicks(25, 190, 400, first=10)))
    assert sessions(tmp_path) == [[0], [0, 25, 50], [190, 200], [400]]
    assert rows(tmp_path, "select session_id from events where user_id = 'bob'") == bob


def test_the_gap_is_the_mapping_s(tmp_path: Path) -> None:
    mapping = MAPPING + "[cleaning]\nsession_minutes = 5\n"
    import_text(tmp_path, mapping, write_lines(tmp_path / "a.jsonl", clicks(0, 5, 11)))
    assert sessions(tmp_path) == [[0, 5], [11]]


@settings(max_examples=settings.default.max_examples // 4 if settings.default else 10)
@given(st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 300)), min_size=1, max_size=30))
def test_sessions_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("sessions")
    records = [clicks(minute, user=user, first=number)[0] for number, (user, minute) in enumerate(drawn)]
    import_text(folder, MAPPING, write_lines(folder / "a.jsonl", records))
    expected: list[list[int]] = []
    for user in ("ann", "bob"):
        last = None
        for minute in sorted(minute for name, minute in drawn if name == user):
            if last is None or minute - last > 30:
                expected.append([])
            expected[-1].append(minute)
            last = minute
    assert sessions(folder) == sorted(expected)


def test_a_machine_s_hour_is_taken_out_whole_also_from_earlier_imports(tmp_path: Path) -> None:
    mapping = MAPPING + "[cleaning]\nevents_per_hour_max = 3\n"
    first = import_text(
        tmp_path, mapping, write_lines(tmp_path / "a.jsonl", clicks(0, 1, 70) + clicks(5, user="bob"))
    )
    assert first.event_counts.accepted == 4
    second = import_text(tmp_path, mapping, write_lines(tmp_path / "b.jsonl", clicks(2, 3, first=10)))
    assert (second.event_counts.refused, second.withdrawn) == ({"BOT": 2}, 2)
    third = import_text(tmp_path, mapping, write_lines(tmp_path / "c.jsonl", clicks(59, first=20)))
    assert third.event_counts.refused == {"BOT": 1}, "the hour stays closed"
    assert sessions(tmp_path) == [[5], [70]]
    found = rows(
        tmp_path,
        "select import_id, file, row_number, reason, record->>'user_id' from quarantine order by all",
    )
    assert found == [
        (2, "(an earlier import)", None, "BOT", "ann"),
        (2, "(an earlier import)", None, "BOT", "ann"),
        (2, "b.jsonl", 1, "BOT", "ann"),
        (2, "b.jsonl", 2, "BOT", "ann"),
        (3, "c.jsonl", 1, "BOT", "ann"),
    ]


def test_the_bot_rule_can_be_switched_off(tmp_path: Path) -> None:
    mapping = MAPPING + "[cleaning]\nevents_per_hour_max = 0\n"
    records = clicks(*([0.001] * 1_200))
    report = import_text(tmp_path, mapping, write_lines(tmp_path / "a.jsonl", records))
    assert report.event_counts.accepted == 1_200
    assert import_text(tmp_path / "b", MAPPING, tmp_path / "a.jsonl").event_counts.refused == {"BOT": 1_200}
