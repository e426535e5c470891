"""Mappings are refused by key, value and what would be right; none is guessed."""

from pathlib import Path

import pytest
from events_helpers import PLAIN, import_text, write

from promosvc.errors import MappingError, NotFoundError
from promosvc.events import Mapping, Stage

COLUMNS = (
    '\n[events.columns]\nevent_name = { value = "purchase" }\nuser_id = "u"\nitem_id = "i"\nevent_at = "t"\n'
)
SOURCE = '[source]\nname = "shop"\ncurrency = "EUR"\n'


def whole(section: str = "", columns: str = "", source: str = SOURCE, more: str = "") -> str:
    return source + "[[events]]\n" + section + COLUMNS + columns + more


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "mapping is not TOML"),
        ("", r"source: is required"),
        ("[source]", r"source\.name: is required"),
        ('[source]\nname = "a"', r"events: is required"),
        (whole(source='[source]\nname = ""\n'), r"source\.name: '' is not 1 to 128 bytes"),
        (
            whole(source=SOURCE + 'timezone = "Berlin"\n'),
            r"source\.timezone: 'Berlin' is no time zone; .*Europe/Berlin",
        ),
        (
            whole(source='[source]\nname = "a"\ncurrency = "EURO"\n'),
            r"source\.currency: 'EURO' is no ISO 4217 code",
        ),
        (whole(source=SOURCE + "colour = 1\n"), r"source\.colour: there is no such key"),
        (
            whole(section="delimeter = ';'\n"),
            r"events\[0\]\.delimeter: there is no such key \(did you mean 'delimiter'",
        ),
        (whole(section="delimiter = '::'\n"), r"events\[0\]\.delimiter: '::' is not one character"),
        (whole(section="format = 'xlsx'\n"), r"events\[0\]\.format: 'xlsx' is not one of csv"),
        (whole(section="encoding = 'utf-9'\n"), r"events\[0\]\.encoding: 'utf-9' is no encoding"),
        (whole(section="header = false\n"), r"events\[0\]\.header: is false; say what the columns are"),
        (whole(section="skip_rows = -1\n"), r"events\[0\]\.skip_rows: -1 is outside 0 to"),
        (whole(section="where = 'x'\n"), r"events\[0\]\.where: is not a table of tests"),
        (
            whole(section="where = { x = { bigger = 1 } }\n"),
            r"events\[0\]\.where\.x: says no test; the tests are equals",
        ),
        (
            whole(section="where = { x = { above = '1' } }\n"),
            r"events\[0\]\.where\.x: above is '1'; it is a number",
        ),
        (
            whole(section="where = { x = { matches = '(' } }\n"),
            r"events\[0\]\.where\.x: '\(' is no regular expression",
        ),
        (
            whole(section="join = { table = 'orders', on = 'id' }\n"),
            r"events\[0\]\.join\.table: there is no \[tables\.orders\]",
        ),
        (
            whole(columns="quantitty = 'q'\n"),
            r"columns\.quantitty: there is no such key \(did you mean 'quantity'",
        ),
        (whole(columns="quantity = 1\n"), r"columns\.quantity: 1 is no column name; write \{ value = 1 \}"),
        (whole(columns="quantity = ''\n"), r"columns\.quantity: is empty"),
        (whole(columns="quantity = {}\n"), r"columns\.quantity: says no source"),
        (
            whole(columns="quantity = { column = 'a', value = 1 }\n"),
            r"columns\.quantity: has column and value",
        ),
        (whole(columns="quantity = { value = 'one' }\n"), r"columns\.quantity\.value: 'one' is not a number"),
        (
            whole(columns="quantity = { column = 'q', unit = 'minor' }\n"),
            r"columns\.quantity\.unit: there is no such key",
        ),
        (
            whole(columns="order_id = { column = 'q', decimal = ',' }\n"),
            r"columns\.order_id\.decimal: there is no such key",
        ),
        (
            whole(columns="order_id = { column = 'q', split = '>' }\n"),
            r"columns\.order_id: split and level go together",
        ),
        (
            whole(columns="order_id = { column = 'q', extract = '[' }\n"),
            r"order_id\.extract: '\[' is no regular",
        ),
        (whole(columns="amount = { formula = 'a +' }\n"), r"amount\.formula: 'a \+': it ends too early"),
        (whole(columns="order_id = { column = 'q', unmapped = 'x' }\n"), r"order_id\.unmapped: needs a map"),
        (whole(section="time_format = 'YYYY-MM-DD'\n"), r"time_format: 'YYYY-MM-DD' is neither one of iso"),
        (whole(section="time_format = '%Q'\n"), r"time_format: '%Q' is neither one of iso"),
        (whole(more="[cleaning]\nearliest = 'soon'\n"), r"cleaning\.earliest: 'soon' is no date"),
        (
            whole(more="[cleaning]\nzero_quantity = 'drop'\n"),
            r"cleaning\.zero_quantity: 'drop' is not one of refuse",
        ),
        (whole(more="[custom_events]\npurchase = {}\n"), r"custom_events\.purchase: .* vocabulary already"),
        (
            whole(more="[custom_events]\nx = { item = true }\n"),
            r"custom_events\.x\.item: there is no such key",
        ),
        (whole(more="[tables.'a.b']\n"), r"tables\.a\.b: 'a\.b' holds a dot"),
        (
            whole(source='[source]\nname = "a"\n', columns="amount = 'a'\n"),
            r"columns\.amount: is money without a currency",
        ),
        ("[source]\nname = 'a'\n[[events]]\n", r"events\[0\]\.columns\.event_name: is required"),
        ("[source]\nname = 'a'\n[[users]]\n", r"users\[0\]\.columns\.user_id: is required"),
    ],
)
def test_it_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        Mapping.parse(text)


@pytest.mark.parametrize(
    ("section", "columns", "message"),
    [
        (
            "",
            "order_id = 'o'\n",
            r"events\[0\]\.columns\.order_id: there is no column 'o' in a\.csv; its columns are u, i, t",
        ),
        ("", "amount = { formula = 'uu * 2' }\n", r"events\[0\]\.columns\.amount: there is no column 'uu'"),
        (
            "where = { U = 1 }\n",
            "",
            r"events\[0\]\.where\.U: there is no column 'U' in a\.csv \(did you mean 'u'",
        ),
        ("attributes = ['z']\n", "", r"events\[0\]\.attributes\.z: there is no column 'z'"),
        (
            "",
            "order_id = 'purchase'\n",
            r"order_id: there is no column 'purchase' .* write \{ value = 'purchase' \}",
        ),
        ("explode = 'z'\n", "", r"events\[0\]\.explode: there is no column 'z'"),
        ("column_names = ['u', 'i']\n", "", r"events\[0\]\.column_names: names 2 columns, .* has 3"),
    ],
)
def test_a_column_that_is_not_there_is_refused_by_name(
    tmp_path: Path, section: str, columns: str, message: str
) -> None:
    path = write(tmp_path / "a.csv", "u,i,t\nann,near,2024-06-01\n")
    with pytest.raises(MappingError, match=message):
        import_text(tmp_path, whole(section, columns), path)


def test_a_wrong_column_is_found_before_any_row_is_read(tmp_path: Path) -> None:
    heard: list[Stage] = []
    path = write(tmp_path / "a.csv", "u,i,t\nann,near,2024-06-01\n")
    with pytest.raises(MappingError):
        import_text(tmp_path, whole(columns="order_id = 'o'\n"), path, progress=heard.append)
    assert heard == []


def test_a_lookup_must_find_one_row(tmp_path: Path) -> None:
    mapping = whole(
        "join = { table = 'orders', on = 'u' }\n",
        "order_id = 'orders.o'\n",
        more="[tables.orders]\nfiles = ['o.csv']\n",
    )
    path = write(tmp_path / "a.csv", "u,i,t\nann,near,2024-06-01\n")
    with pytest.raises(MappingError, match=r"tables\.orders: no file was given for the table 'orders'"):
        import_text(tmp_path, mapping, path)
    write(tmp_path / "o.csv", "u,o\nann,1\nann,2\nbob,3\n")
    with pytest.raises(MappingError, match=r"tables\.orders: o\.csv has 2 different rows with u = ann"):
        import_text(tmp_path, mapping, path)
    for rule in ("first", "last"):
        folder = tmp_path / rule
        folder.mkdir()
        report = import_text(folder, mapping + f"duplicates = '{rule}'\n", path)
        assert report.event_counts.accepted == 1
    with pytest.raises(MappingError, match=r"tables\.other: the mapping .* has no table of this name"):
        import_text(tmp_path, mapping, path, tables={"other": path})


def test_a_file_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"none\.toml"):
        Mapping.load(tmp_path / "none.toml")
    with pytest.raises(
        NotFoundError, match=r"no mapping 'online_retail' is shipped \(did you mean 'online-retail'"
    ):
        Mapping.shipped("online_retail")
    assert Mapping.load(write(tmp_path / "a.toml", PLAIN)).directory == tmp_path
