"""Arithmetic of mappings: what it computes, and that nothing but arithmetic gets through."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promosvc.events.formula import parse

VALUES = {"a": "2.0", "b": "3.0", "zero": "0.0", "none": "null"}


def evaluate(text: str) -> float | None:
    sql = parse(text).sql(lambda name: f"{VALUES[name]}::double")
    ((value,),) = duckdb.execute(f"select {sql}").fetchall()
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", 8.0),
        ("(a + b) * 2", 10.0),
        ("a - b - 1", -2.0),
        ("12 / a / b", 2.0),
        ("-a * -b", 6.0),
        ("max(a, b, 1) - min(a, b)", 1.0),
        ("round(2.5) + abs(-1)", 4.0),
        ("1e2 + .5", 100.5),
        ("a + none", None),
        ("max(a, none)", None),
        ("a / zero", float("inf")),
    ],
)
def test_it_computes(text: str, expected: float | None) -> None:
    assert evaluate(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a +", "a b", "(a", "a)", "f(a)", "max()", "abs(a, b)", "a; drop table x", "'a'", "a[1]", "a = b"],
)
def test_it_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_columns_are_found_in_order_also_in_backticks() -> None:
    assert parse("`Unit Price` * qty + `Unit Price` + x.y").columns == ("Unit Price", "qty", "x.y")


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        parse("(" * 5_000 + "1" + ")" * 5_000)
    with pytest.raises(ValueError, match="nested deeper"):
        parse("-" * 5_000 + "1")


@given(st.text(alphabet="ab+-*/(), .1`';x", max_size=30))
def test_any_text_parses_to_arithmetic_or_is_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except ValueError:
        return
    sql = parsed.sql(lambda name: "1.0::double")
    assert "'" not in sql
    assert ";" not in sql
    duckdb.execute(f"select {sql}").fetchall()
