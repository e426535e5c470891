"""The examples in docstrings and in the binding's stub run, and print what they say."""

import ast
import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

from promosvc import _core

PACKAGE = Path(__file__).parents[2] / "python" / "promosvc"
MODULES = sorted(
    ".".join(("promosvc", *file.relative_to(PACKAGE).with_suffix("").parts))
    for file in PACKAGE.rglob("*.py")
    if ">>>" in file.read_text(encoding="utf-8")
)


def test_there_are_examples() -> None:
    assert len(MODULES) >= 3


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_examples_of_the_stub_run() -> None:
    stub = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))
    documented = (ast.FunctionDef, ast.ClassDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(stub) if isinstance(node, documented)]
    # A stub's examples see what its reader sees: the names of the module, and NumPy.
    names = {**vars(_core), "np": np}
    examples = [doctest.DocTestParser().get_doctest(text, names, "_core.pyi", None, 0) for text in texts]
    assert sum(len(example.examples) for example in examples) >= 5
    runner = doctest.DocTestRunner()
    assert sum(runner.run(example).failed for example in examples) == 0
