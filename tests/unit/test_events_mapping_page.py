"""docs/mapping.md is true: every block parses, the three shops run, every key is on the page."""

import gzip
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from events_helpers import NOW, rows, write, write_lines

from promosvc.columns import EVENT_NAMES, REASONS
from promosvc.events import ImportReport, Mapping, import_files
from promosvc.events.mapping import EVENT_RULES, ITEM_RULES

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", PAGE, re.S | re.M)
HEAD = '[source]\nname = "page"\ncurrency = "EUR"\n'


def whole(block: str) -> str:
    """Complete a fragment: a section lacks its source, bare columns lack their section too."""
    if "[source]" in block:
        return block
    return HEAD + (block if block.startswith("[") else "[[events]]\n[events.columns]\n" + block)


def shop(name: str) -> str:
    (block,) = [block for block in BLOCKS if f'name = "{name}"' in block]
    return block


def run(folder: Path, name: str, events: list[Path], items: list[Path] | None = None) -> ImportReport:
    mapping = Mapping.parse(shop(name), f"{name}.toml")
    report = import_files(folder / "events.duckdb", mapping, events, items or [], now=NOW)
    assert report.event_counts.adds_up
    assert report.item_counts.adds_up
    return report


@pytest.mark.parametrize("block", BLOCKS)
def test_each_block_is_a_mapping(block: str) -> None:
    assert Mapping.parse(whole(block)).events


def test_the_page_names_every_column_reason_and_event() -> None:
    for word in [*EVENT_RULES, *ITEM_RULES, *REASONS, *EVENT_NAMES, *Mapping.shipped_names()]:
        assert re.search(rf"\b{re.escape(word)}\b", PAGE), word


def test_the_marketplace(tmp_path: Path) -> None:
    views = write(
        tmp_path / "views_1.tsv.gz",
        gzip.compress(b"1\tv1\tnear\t1700000000\n2\tv1\tfar\t1700000060\n3\t\\N\tfar\t1700000060\n"),
    )
    orders = write(
        tmp_path / "orders.csv",
        "id;buyer;item;ordered_at;pieces;cents;state\n"
        "1;v1;near;2023-11-14T22:20:00;2;1998;paid\n2;v1;far;2023-11-20T08:00:00;1;500;returned\n",
    )
    items = write(
        tmp_path / "items.csv",
        "id,name,path,price,in_stock\nnear,Near thing,Home > Small,9.99,yes\n"
        "far,Far thing,Garden,5,no\nfar,Far,Garden,x,no\n",
    )
    report = run(tmp_path, "marketplace", [views, orders], [items])
    assert report.event_counts.refused == {"MISSING_USER": 1}
    assert report.item_counts.refused == {"INVALID_NUMBER": 1}
    found = rows(
        tmp_path,
        "select event_id, event_name, item_id, quantity, amount_minor, currency from events order by all",
    )
    assert found == [
        ("1", "purchase", "near", 2.0, 1998, "USD"),
        ("1", "view_item", "near", None, None, None),
        ("2", "refund", "far", 1.0, 500, "USD"),
        ("2", "view_item", "far", None, None, None),
    ]
    assert rows(
        tmp_path, "select item_id, title, category, unit_price_minor, is_available from items order by 1"
    ) == [
        ("far", "Far thing", "Garden", 500, False),
        ("near", "Near thing", "Home", 999, True),
    ]


def test_order_headers_and_lines(tmp_path: Path) -> None:
    orders = "Nummer;Kunde;Datum;Uhrzeit;Status\n1;K1;31.12.2023;23:59;bezahlt\n"
    orders += "1;K1;31.12.2023;23:59;bezahlt\n2;K2;15.07.2023;08:00;storniert\n"
    write(tmp_path / "bestellungen.csv", orders.encode("cp1252"))
    lines = (
        "Bestellung;Artikel;Menge;Einzelpreis\n1;Käse;2;1.234,50 €\n1;Brot;-1;2,5\n2;Wein;1;9\n3;Wurst;1;3\n"
    )
    report = run(tmp_path, "laden", [write(tmp_path / "positionen.csv", lines.encode("cp1252"))])
    assert (report.event_counts.skipped, report.event_counts.refused) == (1, {"MISSING_USER": 1})
    found = rows(
        tmp_path,
        "select event_name, user_id, item_id, event_at::varchar, amount_minor from events order by 3",
    )
    assert found == [
        ("refund", "K1", "Brot", "2023-12-31 22:59:00", 250),
        ("purchase", "K1", "Käse", "2023-12-31 22:59:00", 246900),
    ]


def test_google_analytics(tmp_path: Path) -> None:
    purchase = {
        "event_name": "purchase",
        "event_timestamp": 1_700_000_000_000_000,
        "user_id": None,
        "user_pseudo_id": "cookie",
        "ecommerce": {"transaction_id": "T1"},
        "event_params": [],
        "items": [
            {"item_id": "a", "item_name": "A", "price": 1.5, "quantity": 2},
            {"item_id": "b", "price": 3},
        ],
    }
    search = {
        "event_name": "search",
        "event_timestamp": 1_700_000_000_000_001,
        "user_id": "ann",
        "event_params": [{"key": "search_term", "value": {"string_value": "boots"}}],
    }
    report = run(tmp_path, "ga4", [write_lines(tmp_path / "events_1.jsonl", [purchase, search])])
    assert (report.event_counts.records_read, report.event_counts.rows_read) == (2, 3)
    found = rows(
        tmp_path, "select event_name, user_id, item_id, amount_minor, search_term from events order by all"
    )
    assert found == [
        ("purchase", "cookie", "a", 300, None),
        ("purchase", "cookie", "b", 300, None),
        ("search", "ann", None, None, "boots"),
    ]


def test_the_frame_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    frame = pd.DataFrame({"customer": ["ann"], "sku": ["near"], "at": [pd.Timestamp("2024-06-01 10:00")]})
    monkeypatch.chdir(tmp_path)
    exec(code, {"frame": frame})
    assert "purchase 1" in capsys.readouterr().out
    assert json.loads(rows(tmp_path, "select report from imports")[0][0])["source"] == "shop"
