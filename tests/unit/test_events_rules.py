"""Values as real exports write them: each rule on a one-row file."""

from pathlib import Path
from typing import Any

import pytest
from events_helpers import event, import_text, rows, write

from promosvc.errors import MappingError

HEAD = """
[source]
name = "shop"
currency = "{currency}"
timezone = "{zone}"
[custom_events]
peek = {{}}
[[events]]
delimiter = "\\t"
{section}
[events.columns]
user_id = {user}
item_id = {item}
event_name = {name}
event_at = {time}
"""


def mapping(**given: str) -> str:
    defaults = {
        "currency": "EUR",
        "zone": "UTC",
        "section": "",
        "user": "{ value = 'ann' }",
        "item": "{ value = 'near' }",
        "name": "{ value = 'purchase' }",
        "time": "{ value = '2024-01-02T03:04:05' }",
    }
    more = given.pop("more", "")
    return HEAD.format(**(defaults | given)) + more


def run(folder: Path, text: str, cells: dict[str, str], columns: str) -> Any:
    path = write(folder / "a.csv", "\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n")
    report = import_text(folder, text, path)
    assert report.event_counts.accepted == 1, rows(folder, "select * from quarantine")
    return event(folder, columns)


@pytest.mark.parametrize(
    ("rule", "cell", "expected"),
    [
        ("'x'", " ann ", "ann"),
        ("{ column = 'x', trim = false }", " ann ", " ann "),
        ("{ column = 'x', case = 'lower' }", "Ann@Shop.EU", "ann@shop.eu"),
        ("{ column = 'x', case = 'upper' }", "ann", "ANN"),
        ("{ column = 'x', extract = 'id=([0-9]+)' }", "id=42;v=1", "42"),
        ("{ column = 'x', extract = '[0-9]+' }", "u42", "42"),
        ("{ column = 'x', split = '>', level = 2 }", "Home > Garden > Tools", "Garden"),
        ("{ column = 'x', split = '>', level = -1 }", "Home > Garden > Tools", "Tools"),
        ("{ column = 'x', replace = { '-' = ' ' } }", "a-b-c", "a b c"),
        ("{ column = 'x', pad = 5 }", "42", "00042"),
        ("{ column = 'x', prefix = 'u', suffix = '!' }", "42", "u42!"),
        ("{ column = 'x', map = { a = 'b' } }", "a", "b"),
        ("{ column = 'x', map = { a = 'b' } }", "c", "c"),
        ("{ column = 'x', map = { a = 'b' }, unmapped = 'other' }", "c", "other"),
        ("{ column = 'x', default = 'nobody' }", "", "nobody"),
        ("{ column = 'x', null_values = ['NA'], default = 'nobody' }", "NA", "nobody"),
        ("{ first_of = ['y', 'x'] }", "ann", "ann"),
        ("{ columns = ['x', 'x'], separator = ':' }", "1", "1:1"),
        ("{ formula = 'x * 2' }", "21", "42"),
        ("{ column = 'absent', optional = true, default = 'nobody' }", "", "nobody"),
        ("{ when = [{ where = { x = 'a' }, value = 'first' }], otherwise = 'second' }", "a", "first"),
        ("{ when = [{ where = { x = 'a' }, value = 'first' }], otherwise = { column = 'x' } }", "b", "b"),
        ("{ when = [{ where = { x = { above = 5 } }, column = 'x' }], otherwise = 'low' }", "7", "7"),
        ('{ value = "it\'s; drop table events --" }', "", "it's; drop table events --"),
        ("{ column = 'x', replace = { \"'\" = '\"' } }", "o'neil", 'o"neil'),
        ("'$file'", "", "a.csv"),
    ],
)
def test_texts(tmp_path: Path, rule: str, cell: str, expected: str) -> None:
    assert run(tmp_path, mapping(user=rule), {"x": cell, "y": ""}, "user_id") == expected


@pytest.mark.parametrize(
    ("section", "rule", "cell", "expected"),
    [
        ("", "'x'", "12.34", 1234),
        ("", "'x'", "1e2", 10000),
        ("", "'x'", "+5", 500),
        ("", "'x'", "2.675", 268),
        ("", "'x'", "0.005", 1),
        ("decimal = ','", "'x'", "12,34", 1234),
        ("decimal = ','\nthousands = '.'", "'x'", "1.234,50", 123450),
        ("decimal = ','\nthousands = ' '", "'x'", "1 234,50", 123450),
        ("thousands = ','", "'x'", "1,234,567.89", 123456789),
        ("thousands = ','", "'x'", "12,34,567.5", 123456750),
        ("", "{ column = 'x', strip = ['$'] }", "$12.34", 1234),
        ("", "{ column = 'x', strip = ['EUR', ' '] }", "12.34 EUR", 1234),
        ("", "{ column = 'x', decimal = ',' }", "12,34", 1234),
        ("", "{ column = 'x', unit = 'minor' }", "1234", 1234),
        ("", "{ column = 'x', absolute = true }", "-12.34", 1234),
        ("", "{ column = 'x', absolute = true }", "(12.34)", 1234),
        ("", "{ column = 'x', absolute = true }", "12.34-", 1234),
        ("", "{ formula = 'x - 2' }", "12.34", 1034),
        ("", "{ column = 'x', extract = '([0-9]+[.][0-9]+)' }", "ca. 12.34 Euro", 1234),
        ("", "{ column = 'x', default = 0 }", "", 0),
        ("", "{ value = 5 }", "", 500),
    ],
)
def test_money(tmp_path: Path, section: str, rule: str, cell: str, expected: int) -> None:
    text = mapping(section=section, more=f"amount = {rule}\n")
    assert run(tmp_path, text, {"x": cell, "y": ""}, "amount_minor") == expected


@pytest.mark.parametrize(
    ("section", "rule", "cell"),
    [
        ("thousands = ','", "'x'", "1,5"),
        ("thousands = ','", "'x'", "12,3456"),
        ("decimal = ','", "'x'", "1.234"),
        ("", "'x'", "1,234"),
        ("", "'x'", "12 EUR"),
        ("", "{ formula = 'x * 2' }", "many"),
        ("", "{ formula = 'x / 0' }", "1"),
    ],
)
def test_a_number_that_may_mean_two_things_is_refused(
    tmp_path: Path, section: str, rule: str, cell: str
) -> None:
    path = write(tmp_path / "a.csv", f"x\ty\n{cell}\t\n")
    report = import_text(tmp_path, mapping(section=section, more=f"amount = {rule}\n"), path)
    assert report.event_counts.refused == {"INVALID_NUMBER": 1}
    ((field, value),) = rows(tmp_path, "select field, value from quarantine")
    assert field == "amount"
    assert cell in value


@pytest.mark.parametrize(
    ("zone", "rule", "cell", "expected"),
    [
        ("UTC", "'x'", "2024-03-01", "2024-03-01 00:00:00"),
        ("UTC", "'x'", "2024-03-01 10:20", "2024-03-01 10:20:00"),
        ("UTC", "'x'", "2024-03-01T10:20:30.5Z", "2024-03-01 10:20:30.5"),
        ("UTC", "'x'", "2024-03-01T10:20:30-0500", "2024-03-01 15:20:30"),
        ("Europe/Berlin", "'x'", "2024-03-01 10:20:30", "2024-03-01 09:20:30"),
        ("Europe/Berlin", "'x'", "2024-06-01 10:20:30", "2024-06-01 08:20:30"),
        ("Europe/Berlin", "'x'", "2024-06-01T10:20:30Z", "2024-06-01 10:20:30"),
        ("Europe/Berlin", "'x'", "2024-06-01", "2024-05-31 22:00:00"),
        ("UTC", "{ column = 'x', format = '%d.%m.%Y %H:%M' }", "01.03.2024 10:20", "2024-03-01 10:20:00"),
        ("UTC", "{ column = 'x', format = '%m/%d/%Y %I:%M %p' }", "3/1/2024 1:20 PM", "2024-03-01 13:20:00"),
        ("UTC", "{ column = 'x', format = ['%Y%m%d', 'iso'] }", "2024-03-01", "2024-03-01 00:00:00"),
        (
            "UTC",
            "{ column = 'x', format = '%d/%b/%Y:%H:%M:%S %z' }",
            "01/Mar/2024:10:20:30 +0100",
            "2024-03-01 09:20:30",
        ),
        ("UTC", "{ column = 'x', format = '%d %B %Y' }", "1 March 2024", "2024-03-01 00:00:00"),
        ("Europe/Berlin", "{ column = 'x', format = 'epoch_s' }", "1709288430", "2024-03-01 10:20:30"),
        ("UTC", "{ column = 'x', format = 'epoch_s' }", "1709288430.25", "2024-03-01 10:20:30.25"),
        ("UTC", "{ column = 'x', format = 'epoch_ms' }", "1709288430123", "2024-03-01 10:20:30.123"),
        ("UTC", "{ column = 'x', format = 'epoch_us' }", "1709288430123456", "2024-03-01 10:20:30.123456"),
        ("UTC", "{ column = 'x', format = 'excel' }", "45352.5", "2024-03-01 12:00:00"),
        ("UTC", "{ columns = ['x', 'y'], format = '%d.%m.%Y %H:%M' }", "01.03.2024", "2024-03-01 07:30:00"),
        ("UTC", "{ column = 'x', timezone = 'Asia/Tokyo' }", "2024-03-01 09:00:00", "2024-03-01 00:00:00"),
    ],
)
def test_times(tmp_path: Path, zone: str, rule: str, cell: str, expected: str) -> None:
    text = mapping(zone=zone, time=rule)
    assert run(tmp_path, text, {"x": cell, "y": "07:30"}, "event_at::varchar") == expected


def test_an_epoch_in_the_wrong_unit_is_impossible_not_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x\ty\n1709288430123456\t\n-1e300\t\n")
    report = import_text(tmp_path, mapping(time="{ column = 'x', format = 'epoch_s' }"), path)
    assert report.event_counts.refused == {"IMPOSSIBLE_TIME": 2}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("{ x = 'a' }", "a"),
        ("{ x = ['a', 'b'] }", "ab"),
        ("{ x = { not = 'a' } }", "bc5"),
        ("{ x = { not_in = ['a', 'b'] } }", "c5"),
        ("{ x = { matches = '^[ab]$' } }", "ab"),
        ("{ x = { above = 4 } }", "5"),
        ("{ x = { at_most = 5, at_least = 5 } }", "5"),
        ("{ x = { below = 5 } }", ""),
        ("{ x = 5 }", "5"),
        ("{ y = { missing = true } }", "abc"),
        ("{ y = { missing = false }, x = '5' }", "5"),
    ],
)
def test_where_skips_and_counts(tmp_path: Path, where: str, kept: str) -> None:
    path = write(tmp_path / "a.csv", "x\ty\na\t\nb\t\nc\t\n5\tz\n")
    report = import_text(tmp_path, mapping(section=f"where = {where}", item="'x'"), path)
    assert (report.event_counts.accepted, report.event_counts.skipped) == (len(kept), 4 - len(kept))
    assert {row[0] for row in rows(tmp_path, "select item_id from events")} == set(kept)


@pytest.mark.parametrize(("rule", "refused"), [("refuse", 1), ("skip", 0), ("one", 0)])
def test_the_rule_for_zero_quantity(tmp_path: Path, rule: str, refused: int) -> None:
    text = mapping(more="quantity = 'x'\n") + f"[cleaning]\nzero_quantity = '{rule}'\n"
    report = import_text(tmp_path, text, write(tmp_path / "a.csv", "x\ty\n0\t\n"))
    assert sum(report.event_counts.refused.values()) == refused
    assert report.event_counts.skipped == (rule == "skip")
    assert rows(tmp_path, "select quantity from events") == ([(1.0,)] if rule == "one" else [])


def test_discounts_by_line_and_by_unit_and_attributes(tmp_path: Path) -> None:
    more = (
        "quantity = 'q'\nunit_price = 'p'\ndiscount = { column = 'd', per = 'unit' }\ncoupon_discount = 'c'\n"
    )
    more += "[events.attributes]\nstore = 's'\n'the \"page\"' = 'r'\n"
    cells = {"q": "3", "p": "2.50", "d": "0.10", "c": "1", "s": 'a"b', "r": ""}
    found = run(
        tmp_path, mapping(more=more), cells, "amount_minor, discount_minor, coupon_discount_minor, attributes"
    )
    assert found == (750, 30, 100, '{"store":"a\\"b"}')


def test_a_number_column_as_a_time_asks_for_its_format(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1_709_288_430]}), tmp_path / "a.parquet")
    with pytest.raises(
        MappingError, match=r"events\[0\]\.columns\.event_at: column 'x' of a\.parquet is BIGINT"
    ):
        import_text(tmp_path, mapping(time="'x'"), tmp_path / "a.parquet")
    report = import_text(
        tmp_path, mapping(time="{ column = 'x', format = 'epoch_s' }"), tmp_path / "a.parquet"
    )
    assert report.event_counts.accepted == 1
