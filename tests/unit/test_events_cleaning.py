"""The fixture of verdicts, which the online path is judged by too, run through a file import."""

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
from events_helpers import import_text, rows, write

from promosvc.columns import REASONS

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "cleaning.jsonl"
SHARED, *CASES = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]


def mapping() -> str:
    custom = ", ".join(
        f"{name} = {{ needs_item = {str(needs).lower()} }}" for name, needs in SHARED["custom_events"].items()
    )
    names = sorted({name for case in CASES for name in case.get("record", {})})
    columns = "\n".join(f'{name} = "{name}"' for name in names)
    return f"""
custom_events = {{ {custom} }}
[source]
name = "fixture"
currency = "{SHARED["currency"]}"
[cleaning]
earliest = {SHARED["earliest"]}
events_per_hour_max = {SHARED["events_per_hour_max"]}
[[events]]
[events.columns]
{columns}
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("cleaning")
    lines = [case["line"] if "line" in case else json.dumps(case["record"]) for case in CASES]
    path = write(folder / "cases.jsonl", "\n".join(lines))
    report = import_text(folder, mapping(), path, now=datetime.datetime.fromisoformat(SHARED["now"]))
    assert report.event_counts.rows_read == len(CASES)
    found: dict[int, dict[str, Any]] = {}
    refused = rows(folder, "select row_number, reason, field, value, record from quarantine")
    for number, reason, field, value, record in refused:
        found[number] = {"verdict": reason, "field": field, "value": value, "record": json.loads(record)}
    accepted = rows(folder, "select * from events order by all")
    names = [row[0] for row in rows(folder, "describe events")]
    assert len(accepted) + len(found) == len(CASES)
    found[0] = {"events": [dict(zip(names, row, strict=True)) for row in accepted]}
    return found


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES, 1)), ids=[case["about"] for case in CASES])
def test_each_row_gets_its_verdict(
    number: int, case: dict[str, Any], verdicts: dict[int, dict[str, Any]]
) -> None:
    if case["verdict"] == "ACCEPTED":
        assert number not in verdicts
        expected = dict(case["event"])
        if "event_at" in expected:
            moment = datetime.datetime.fromisoformat(expected["event_at"])
            expected["event_at"] = moment.astimezone(datetime.UTC).replace(tzinfo=None)
        assert any(expected.items() <= event.items() for event in verdicts[0]["events"]), expected
        return
    found = verdicts[number]
    assert found["verdict"] == case["verdict"]
    assert found["field"] == case.get("field", "")
    if "value" in case:
        assert found["value"] == case["value"]
    assert found["record"] == (case["record"] if "record" in case else {"line": case["line"]})


def test_every_reason_has_a_case() -> None:
    # An import makes the ids that a source does not give.
    assert {case["verdict"] for case in CASES} == REASONS.keys() - {"MISSING_EVENT_ID"} | {"ACCEPTED"}


def test_the_reasons_are_those_of_the_wire() -> None:
    proto = (ROOT / "proto" / "promosvc" / "v1" / "event.proto").read_text(encoding="utf-8")
    listed = dict(re.findall(r"REJECTION_REASON_(\w+) = (\d+);", proto))
    assert listed.pop("UNSPECIFIED") == "0"
    assert {name: int(number) for name, number in listed.items()} == REASONS
