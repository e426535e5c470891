"""Every error kind of the engine has its own Python class."""

import re
from pathlib import Path

import pytest

from promosvc import errors

ENGINE_ERRORS = Path(__file__).parents[2] / "rust_core" / "engine" / "src" / "error.rs"


def test_each_engine_kind_has_one_class() -> None:
    listed = re.search(r"pub const ALL: \[ErrorKind; \d+\] = \[(.*?)\];", ENGINE_ERRORS.read_text(), re.S)
    assert listed is not None
    kinds = re.findall(r"ErrorKind::(\w+)", listed.group(1))
    assert sorted(errors.KIND_ERRORS) == sorted(kinds)
    assert len(set(errors.KIND_ERRORS.values())) == len(kinds)


@pytest.mark.parametrize("kind", errors.KIND_ERRORS.values())
def test_an_error_carries_reason_field_and_values(kind: type[errors.PromosvcError]) -> None:
    error = kind("page_size is 500; the maximum is 100", field="page_size", metadata={"value": "500"})
    assert isinstance(error, errors.PromosvcError)
    assert str(error) == "page_size is 500; the maximum is 100"
    assert error.field == "page_size"
    assert error.reason == kind.default_reason
    assert error.metadata == {"value": "500"}
