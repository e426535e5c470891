"""Items and users: declared, seen in events, corrected, refused."""

import json
from pathlib import Path

from events_helpers import NOW, rows, write, write_lines

from promosvc.events import ImportReport, Mapping, import_files

MAPPING = """
[source]
name = "shop"
currency = "EUR"
item_kind = "product"
[[events]]
[events.columns]
event_name = "event_name"
user_id = "user_id"
item_id = "item_id"
event_at = "event_at"
[events.item]
title = { column = "title", optional = true }
unit_price = { column = "price", optional = true }
[[items]]
[items.columns]
item_id = "id"
kind = "kind"
title = "title"
category = "category"
unit_price = "price"
currency = "currency"
is_available = "stock"
[items.attributes]
colour = "colour"
[[users]]
[users.columns]
user_id = "id"
[users.attributes]
city = "city"
"""
ITEM_HEAD = "id,kind,title,category,price,currency,stock,colour\n"


def run(folder: Path, **files: list[Path]) -> ImportReport:
    report = import_files(folder / "events.duckdb", Mapping.parse(MAPPING), now=NOW, **files)
    for counts in (report.event_counts, report.item_counts, report.user_counts):
        assert counts.adds_up
    return report


def events(path: Path, *given: tuple[str, str, str, str]) -> Path:
    return write_lines(
        path,
        [
            {
                "event_name": "view_item",
                "user_id": "ann",
                "item_id": item,
                "event_at": at,
                "title": title,
                "price": price,
            }
            for item, at, title, price in given
        ],
    )


def items(folder: Path) -> list[tuple[object, ...]]:
    return rows(
        folder, "select item_id, kind, title, unit_price_minor, currency, is_available from items order by 1"
    )


def test_declared_items_and_users(tmp_path: Path) -> None:
    item_file = write(
        tmp_path / "items.csv",
        ITEM_HEAD
        + "near,,Near,toys,9.99,,yes,red\nfar,post,Far,,5,USD,0,\nnear,,Nearer,toys,10,,true,blue\n"
        + ",,No id,,,,,\nodd,,Odd,,x,,,\nbad,,Bad,,-1,,,\nflag,,Flag,,,,maybe,\ncur,,Cur,,1,ZZZ,,\n"
        + "x" * 129
        + ",,,,,,,\n",
    )
    user_file = write(tmp_path / "users.csv", "id,city\nann,Berlin\nbob,\n,Paris\n")
    report = run(tmp_path, items=[item_file], users=[user_file])
    assert (report.item_counts.accepted, report.item_counts.duplicates) == (2, 1)
    assert report.item_counts.refused == {
        "MISSING_ITEM": 1,
        "INVALID_NUMBER": 1,
        "NEGATIVE_PRICE": 1,
        "MALFORMED_ROW": 1,
        "INVALID_CURRENCY": 1,
        "ID_TOO_LONG": 1,
    }
    assert report.user_counts.refused == {"MISSING_USER": 1}
    assert items(tmp_path) == [
        ("far", "post", "Far", 500, "USD", False),
        ("near", "product", "Nearer", 1000, "EUR", True),
    ]
    assert rows(tmp_path, "select user_id, attributes from users order by 1") == [
        ("ann", '{"city":"Berlin"}'),
        ("bob", None),
    ]
    assert rows(
        tmp_path, "select reason, field, value from quarantine where file = 'items.csv' and row_number = 7"
    ) == [("MALFORMED_ROW", "is_available", "maybe")]
    (attributes,) = rows(tmp_path, "select attributes from items where item_id = 'near'")[0]
    assert json.loads(attributes) == {"colour": "blue"}


def test_items_only_seen_take_the_newest_word(tmp_path: Path) -> None:
    run(
        tmp_path,
        events=[
            events(
                tmp_path / "a.jsonl", ("near", "2024-06-02", "New", "2"), ("near", "2024-06-01", "Old", "1")
            )
        ],
    )
    assert items(tmp_path) == [("near", "product", "New", 200, "EUR", True)]
    run(tmp_path, events=[events(tmp_path / "b.jsonl", ("near", "2024-05-01", "Older", "7"))])
    assert items(tmp_path) == [("near", "product", "New", 200, "EUR", True)]
    run(tmp_path, events=[events(tmp_path / "c.jsonl", ("near", "2024-06-03", "", "3"))])
    assert items(tmp_path) == [("near", "product", "New", 300, "EUR", True)]


def test_events_fill_but_never_overwrite_what_a_file_declares(tmp_path: Path) -> None:
    catalogue = write(tmp_path / "items.csv", ITEM_HEAD + "near,,Declared,toys,,,,\n")
    seen = events(
        tmp_path / "a.jsonl", ("near", "2024-06-02", "Seen", "2"), ("far", "2024-06-02", "Far", "4")
    )
    run(tmp_path, events=[seen], items=[catalogue])
    assert items(tmp_path) == [
        ("far", "product", "Far", 400, "EUR", True),
        ("near", "product", "Declared", 200, "EUR", True),
    ]
    run(tmp_path, items=[write(tmp_path / "more.csv", ITEM_HEAD + "far,,Declared too,,5,,,\n")])
    assert items(tmp_path)[0] == ("far", "product", "Declared too", 500, "EUR", True)


def test_users_of_events_are_users(tmp_path: Path) -> None:
    run(tmp_path, events=[events(tmp_path / "a.jsonl", ("near", "2024-06-02", "", ""))])
    assert rows(tmp_path, "select user_id, source from users") == [("ann", "shop")]
    run(tmp_path, users=[write(tmp_path / "users.csv", "id,city\nann,Berlin\n")])
    assert rows(tmp_path, "select user_id, attributes from users") == [("ann", '{"city":"Berlin"}')]
