"""Shipped mappings: on small files of the same shape always, on the real ones where they are."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from events_helpers import rows, write

from promosvc.events import ImportReport, Mapping, import_completejourney, import_files

REAL = Path(os.environ.get("PROMOSVC_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def run(
    folder: Path,
    name: str,
    events: list[Path],
    items: list[Path] | None = None,
    users: list[Path] | None = None,
) -> ImportReport:
    report = import_files(folder / "events.duckdb", Mapping.shipped(name), events, items or [], users or [])
    for counts in (report.event_counts, report.item_counts, report.user_counts):
        assert counts.adds_up
    return report


def real(*parts: str) -> Path:
    path = REAL.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the real data are not here: {'/'.join(parts)}")
    return path


def parquet(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def moments(*texts: str) -> pa.Array:
    return pa.array(texts).cast(pa.timestamp("us"))


def completejourney(folder: Path) -> Path:
    parquet(
        folder / "transactions.parquet",
        household_id=[1, 1, 2],
        store_id=[9, 9, 9],
        basket_id=[100, 100, 200],
        product_id=[7, 8, 7],
        quantity=[2, 0, 1],
        sales_value=[5.0, 0.0, 1.0],
        retail_disc=[0.5, 0.0, 0.0],
        coupon_disc=[1.0, 0.5, 1.5],
        coupon_match_disc=[0.25, 0.0, 0.0],
        week=[1, 1, 1],
        transaction_timestamp=moments("2017-01-01 10:00:00", "2017-01-01 10:00:00", "2017-01-02 10:00:00"),
    )
    parquet(
        folder / "coupon_redemptions.parquet",
        household_id=[1],
        coupon_upc=[55],
        campaign_id=[26],
        redemption_date=moments("2017-01-01 00:00:00"),
    )
    parquet(
        folder / "products.parquet",
        product_id=[7, 8, 9],
        manufacturer_id=[1, 2, 3],
        department=["GROCERY", "GROCERY", "MISC"],
        brand=["National", "Private", "Private"],
        product_category=["ICE", "BREAD", None],
        product_type=["ICE CUBED", None, None],
        package_size=["22 LB", None, None],
    )
    columns = (
        "age",
        "income",
        "home_ownership",
        "marital_status",
        "household_size",
        "household_comp",
        "kids_count",
    )
    parquet(folder / "demographics.parquet", household_id=[1], **{name: ["x"] for name in columns})
    return folder


def test_complete_journey(tmp_path: Path) -> None:
    report = import_completejourney(tmp_path / "events.duckdb", completejourney(tmp_path))
    assert report.event_counts.refused == {"ZERO_QUANTITY": 1}
    found = rows(
        tmp_path,
        "select event_name, user_id, item_id, order_id, quantity, amount_minor, discount_minor,"
        " coupon_discount_minor, promotion_id from events order by event_at",
    )
    assert found == [
        ("redeem_promotion", "1", None, None, None, None, None, None, "26:55"),
        ("purchase", "1", "7", "100", 2.0, 400, 50, 125, None),
        ("purchase", "2", "7", "200", 1.0, 0, 0, 150, None),
    ]
    assert rows(tmp_path, "select item_id, title, category, unit_price_minor from items order by 1") == [
        ("7", "ICE CUBED", "ICE", 100),
        ("8", "BREAD", "BREAD", None),
        ("9", "MISC", "MISC", None),
    ]


def test_online_retail(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "online_retail.parquet",
        InvoiceNo=["1", "C2", "3", "3"],
        StockCode=["85123a", "85123A", "POST", "22423"],
        Description=["HOLDER", "HOLDER", "POSTAGE", None],
        Quantity=[6, -1, 1, 2],
        InvoiceDate=moments(*["2011-07-01 09:00:00"] * 4),
        UnitPrice=[2.55, 2.55, 18.0, 1.0],
        CustomerID=pa.array([17850.0, 17850.0, 17850.0, None]),
        Country=["UK"] * 4,
    )
    report = run(tmp_path, "online-retail", [path])
    assert (report.event_counts.skipped, report.event_counts.refused) == (1, {"MISSING_USER": 1})
    found = rows(
        tmp_path,
        "select event_name, user_id, item_id, event_at::varchar, quantity, amount_minor"
        " from events order by 1",
    )
    assert found == [
        ("purchase", "17850", "85123A", "2011-07-01 08:00:00", 6.0, 1530),
        ("refund", "17850", "85123A", "2011-07-01 08:00:00", 1.0, 255),
    ]


def test_taobao(tmp_path: Path) -> None:
    text = b"1,2,3,pv,1511544070\n1,2,3,cart,1511544071\n"
    text += b"1,2,3,fav,1511544072\n1,2,3,buy,1511544073\n1,2,3,pv,1\n"
    report = run(tmp_path, "taobao-events", [write(tmp_path / "user_behavior.csv.gz", gzip.compress(text))])
    assert report.event_counts.refused == {"IMPOSSIBLE_TIME": 1}
    assert list(report.event_names) == ["add_to_cart", "add_to_wishlist", "purchase", "view_item"]
    assert rows(tmp_path, "select item_id, category from items") == [("2", "3")]


def test_movielens(tmp_path: Path) -> None:
    ratings = write(
        tmp_path / "ml-100k.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n",
    )
    films = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    films += "242\tKolya\t1996\tComedy Drama\n"
    people = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    people += "196\t49\tM\twriter\t55105\n"
    run(
        tmp_path,
        "movielens-100k",
        [ratings],
        [write(tmp_path / "ml-100k.item", films)],
        [write(tmp_path / "ml-100k.user", people)],
    )
    assert rows(tmp_path, "select event_name, user_id, item_id, rating from events") == [
        ("view_item", "196", "242", 3.0)
    ]
    assert rows(tmp_path, "select kind, title, category from items") == [("film", "Kolya", "Comedy")]


def test_courses(tmp_path: Path) -> None:
    enrolments = write(
        tmp_path / "enrolments.csv.gz", gzip.compress(b"learner,course,enrolled_unix\n7,1,1377099401\n")
    )
    courses = write(
        tmp_path / "courses.csv", "course,slug,categories,level,language\n1,learn-rust,it|code,all,english\n"
    )
    run(tmp_path, "courses", [enrolments], [courses])
    assert rows(tmp_path, "select event_name, user_id, item_id, quantity from events") == [
        ("purchase", "7", "1", 1.0)
    ]
    assert rows(tmp_path, "select kind, title, category from items") == [("course", "learn rust", "it")]


def test_every_shipped_mapping_has_a_test() -> None:
    tested = {"completejourney", "online-retail", "taobao-events", "movielens-100k", "courses"}
    assert set(Mapping.shipped_names()) == tested


def test_the_real_online_retail(tmp_path: Path) -> None:
    report = run(tmp_path, "online-retail", [real("online-retail", "online_retail.parquet")])
    assert report.event_counts.rows_read == 541_909
    assert report.users == 4_363


def test_the_real_taobao(tmp_path: Path) -> None:
    report = run(tmp_path, "taobao-events", [real("taobao-events", "user_behavior.csv.gz")])
    assert report.event_counts.rows_read == 84_476
    assert report.event_counts.refused == {"IMPOSSIBLE_TIME": 1, "MALFORMED_ROW": 1}


def test_the_real_courses(tmp_path: Path) -> None:
    report = run(
        tmp_path, "courses", [real("courses", "enrolments.csv.gz")], [real("courses", "courses.csv")]
    )
    assert (report.event_counts.accepted, report.item_counts.accepted) == (159_664, 8_196)
