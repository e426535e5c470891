"""Reading files: every shape of bytes that a shop may send, and what of it is no record."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from events_helpers import PLAIN, event, import_text, rows, write, write_lines

from promosvc.errors import ImportRefusedError, MappingError

HEAD = "event_name,user_id,item_id,event_at"
LINE = "purchase,ann,near,2024-06-01T10:00:00"
RECORD = {"event_name": "purchase", "user_id": "ann", "item_id": "near", "event_at": "2024-06-01T10:00:00"}


def plain(section: str) -> str:
    return PLAIN.replace("[[events]]\n", f"[[events]]\n{section}\n")


@pytest.mark.parametrize(
    ("section", "name", "content"),
    [
        ("", "a.csv", f"{HEAD}\n{LINE}\n"),
        ("", "a.csv", f"{HEAD}\n{LINE}"),
        ("", "a.csv", f"{HEAD}\r\n{LINE}\r\n"),
        ("", "a.csv", b"\xef\xbb\xbf" + f"{HEAD}\n{LINE}\n".encode()),
        ("", "a.csv", f"{HEAD}\n{LINE}\n".replace(",", ";")),
        ("", "a.tsv", f"{HEAD}\n{LINE}\n".replace(",", "\t")),
        ("", "a.txt", f"{HEAD}\n{LINE}\n".replace(",", "|")),
        ("", "a.csv.gz", gzip.compress(f"{HEAD}\n{LINE}\n".encode())),
        (
            "",
            "a.csv",
            f'"event_name","user_id","item_id","event_at"\n"{LINE.replace(",", chr(34) + "," + chr(34))}"\n',
        ),
        ("encoding = 'utf-16'", "a.csv", f"{HEAD}\n{LINE}\n".encode("utf-16")),
        ("skip_rows = 2", "a.csv", f"Export of 1 June\n\n{HEAD}\n{LINE}\n"),
        ('quote = "\'"', "a.csv", f"{HEAD}\n'purchase','ann','near',2024-06-01T10:00:00\n"),
        (f"column_names = {json.dumps(HEAD.split(','))}", "a.csv", f"{LINE}\n"),
        (f"column_names = {json.dumps(HEAD.split(','))}\nheader = true", "a.csv", f"a,b,c,d\n{LINE}\n"),
        ("", "a.jsonl", json.dumps(RECORD) + "\n\n"),
        ("", "a.ndjson.gz", gzip.compress(json.dumps(RECORD).encode())),
        ("", "a.json", json.dumps([RECORD], indent=2)),
        ("format = 'jsonl'", "a.log", json.dumps(RECORD)),
    ],
)
def test_a_shape_of_file_is_read(tmp_path: Path, section: str, name: str, content: str | bytes) -> None:
    report = import_text(tmp_path, plain(section), write(tmp_path / name, content))
    assert report.event_counts.accepted == 1
    assert report.event_counts.rows_read == 1
    assert event(tmp_path, "event_name, user_id, item_id, event_at::varchar") == (
        "purchase",
        "ann",
        "near",
        "2024-06-01 10:00:00",
    )


def test_parquet_keeps_its_types_and_ids_lose_the_float(tmp_path: Path) -> None:
    table = pa.table(
        {
            "event_name": ["purchase", "purchase"],
            "user_id": pa.array([17850.0, None], pa.float64()),
            "item_id": pa.array([7, 8], pa.int32()),
            "event_at": pa.array([1_717_236_000_000_000] * 2, pa.timestamp("us")),
        }
    )
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    report = import_text(tmp_path, PLAIN, tmp_path / "a.parquet")
    assert report.event_counts.refused == {"MISSING_USER": 1}
    assert event(tmp_path, "user_id, item_id, event_at::varchar") == ("17850", "7", "2024-06-01 10:00:00")


def test_malformed_lines_are_kept_with_their_numbers(tmp_path: Path) -> None:
    lines = [HEAD, LINE, "too,few", LINE, "one,too,many,cells,here", '"open quote', LINE]
    path = write(tmp_path / "a.csv", "\n".join(lines[:5]) + "\npurchase,,near,2024-06-01\n")
    report = import_text(tmp_path, PLAIN, path)
    assert report.event_counts.rows_read == 5
    assert report.event_counts.accepted == 2
    found = rows(tmp_path, "select row_number, reason, record from quarantine order by 1")
    assert [(number, reason) for number, reason, _ in found] == [
        (2, "MALFORMED_ROW"),
        (4, "MALFORMED_ROW"),
        (5, "MISSING_USER"),
    ]
    assert json.loads(found[0][2]) == {"line": "too,few"}


def test_bytes_of_another_encoding_are_malformed_never_question_marks(tmp_path: Path) -> None:
    bad = "purchase,J\xf6rg,near,2024-06-01T10:00:00".encode("latin-1")
    path = write(tmp_path / "a.csv", f"{HEAD}\n{LINE}\n".encode() + bad + b"\n")
    report = import_text(tmp_path, PLAIN, path)
    assert report.event_counts.refused == {"MALFORMED_ROW": 1}
    assert report.event_counts.accepted == 1
    latin = import_text(tmp_path, plain("encoding = 'latin-1'"), path)
    assert latin.event_counts.accepted == 1
    assert rows(tmp_path, "select user_id from events order by 1") == [("Jörg",), ("ann",)]


def test_a_byte_that_the_encoding_does_not_know_is_a_malformed_row(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", f"{HEAD}\n{LINE}\n".encode() + b"purchase,\x81,near,2024-06-01T10:00:00\n"
    )
    report = import_text(tmp_path, plain("encoding = 'cp1252'"), path)
    assert (report.event_counts.accepted, report.event_counts.refused) == (1, {"MALFORMED_ROW": 1})


def test_a_cell_may_hold_line_breaks_delimiters_and_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f'{HEAD}\npurchase,ann,"a ""b""\n,c",2024-06-01T10:00:00\n')
    import_text(tmp_path, PLAIN, path)
    assert event(tmp_path, "item_id") == 'a "b"\n,c'


def test_a_quote_that_is_never_closed_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f'{HEAD}\n{LINE}\npurchase,"ann,near,2024-06-01\n{LINE}\n')
    report = import_text(tmp_path, PLAIN, path)
    assert (report.event_counts.accepted, report.event_counts.refused) == (1, {"MALFORMED_ROW": 1})
    assert "is a quote not closed?" in report.text()
    assert import_text(tmp_path, plain("quote = ''"), path).event_counts.rows_read == 3


def test_row_numbers_hold_over_many_malformed_rows(tmp_path: Path) -> None:
    lines = [HEAD] + ["x" if number % 3 == 0 else LINE.replace("ann", "") for number in range(1, 3_001)]
    report = import_text(tmp_path, PLAIN, write(tmp_path / "a.csv", "\n".join(lines) + "\n"))
    assert report.event_counts.refused == {"MALFORMED_ROW": 1_000, "MISSING_USER": 2_000}
    found = rows(tmp_path, "select row_number, reason from quarantine order by 1")
    assert [number for number, _ in found] == list(range(1, 3_001))
    assert all((reason == "MALFORMED_ROW") == (number % 3 == 0) for number, reason in found)


def test_blank_lines_are_no_records(tmp_path: Path) -> None:
    bad = {**RECORD, "user_id": ""}
    lines = [json.dumps(RECORD), "", "{", json.dumps(bad), "17", json.dumps(bad)]
    report = import_text(tmp_path, PLAIN, write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert report.event_counts.rows_read == 5
    assert rows(tmp_path, "select row_number, reason from quarantine order by 1") == [
        (2, "MALFORMED_ROW"),
        (3, "MISSING_USER"),
        (4, "MALFORMED_ROW"),
        (5, "MISSING_USER"),
    ]


def test_column_names_that_differ_in_case_only_and_repeat(tmp_path: Path) -> None:
    head = "event_name,USER_ID,user_id,item_id,event_at,event_at,"
    path = write(tmp_path / "a.csv", f"{head}\npurchase,wrong,right,near,2024-06-01,2020-01-01,x\n")
    import_text(tmp_path, PLAIN, path)
    assert event(tmp_path, "user_id, event_at::varchar") == ("right", "2024-06-01 00:00:00")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_an_empty_file_is_no_rows(tmp_path: Path, name: str) -> None:
    if name == "a.csv":
        with pytest.raises(MappingError, match=r"there is no column 'user_id' in a\.csv"):
            import_text(tmp_path, PLAIN, write(tmp_path / name, ""))
        report = import_text(tmp_path, PLAIN, write(tmp_path / name, HEAD + "\n"))
    else:
        report = import_text(tmp_path, PLAIN, write(tmp_path / name, "" if name == "a.jsonl" else "[]"))
    assert report.event_counts.rows_read == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"PAR1 no"),
        ("a.csv.gz", b"no gzip"),
        ("a.csv.gz", gzip.compress(b"x" * 5000)[:-20]),
        ("a.json", b"{"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    with pytest.raises(ImportRefusedError, match=name):
        import_text(tmp_path, PLAIN, write(tmp_path / name, content))
    assert not (tmp_path / "events.duckdb").exists()


def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match=r"b\.csv"):
        import_text(tmp_path, PLAIN, tmp_path / "b.csv")
    with pytest.raises(MappingError, match=r"events\[0\]\.format: a\.xlsx .* say format = one of csv"):
        import_text(tmp_path, PLAIN, write(tmp_path / "a.xlsx", "x"))
    with pytest.raises(ImportRefusedError, match="no file"):
        import_text(tmp_path, PLAIN)


def test_nested_values_lists_and_keys(tmp_path: Path) -> None:
    mapping = plain('explode = "items"').replace('user_id = "user_id"', 'user_id = "user.ids[0]"')
    mapping = mapping.replace('item_id = "item_id"', 'item_id = "items.sku"\nquantity = "items.n"')
    mapping += 'search_term = "params[key=term].value.text"\n'
    record = {
        "event_name": "purchase",
        "user": {"ids": ["ann", "old"]},
        "event_at": "2024-06-01T10:00:00",
        "items": [{"sku": "near", "n": 2}, {"sku": "far"}, {}],
        "params": [{"key": "page", "value": {"text": "p"}}, {"key": "term", "value": {"text": "boots"}}],
    }
    bare = {"event_name": "search", "user": {"ids": ["ann"]}, "event_at": "2024-06-01T11:00:00", "items": []}
    report = import_text(tmp_path, mapping, write_lines(tmp_path / "a.jsonl", [record, bare]))
    assert (report.event_counts.records_read, report.event_counts.rows_read) == (2, 4)
    assert report.event_counts.refused == {"MISSING_ITEM": 1}
    found = rows(
        tmp_path, "select event_name, user_id, item_id, quantity, search_term from events order by all"
    )
    assert found == [
        ("purchase", "ann", "far", None, "boots"),
        ("purchase", "ann", "near", 2.0, "boots"),
        ("search", "ann", None, None, None),
    ]
    pa.parquet.write_table(pa.Table.from_pylist([record, bare]), tmp_path / "a.parquet")
    typed = import_text(tmp_path, mapping, tmp_path / "a.parquet")
    assert typed.event_counts.duplicates == 3, "Parquet says the same as JSON"
    assert typed.event_counts.refused == {"MISSING_ITEM": 1}


def test_a_cell_of_separated_items_is_exploded(tmp_path: Path) -> None:
    mapping = plain('explode = "item_id"\nexplode_separator = "+"')
    path = write(
        tmp_path / "a.csv", f"{HEAD}\npurchase,ann,near + far,2024-06-01\npurchase,ann,,2024-06-01\n"
    )
    report = import_text(tmp_path, mapping, path)
    assert report.event_counts.rows_read == 3
    assert report.event_counts.refused == {"MISSING_ITEM": 1}
    assert rows(tmp_path, "select item_id from events order by 1") == [("far",), ("near",)]
