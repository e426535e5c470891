"""Arithmetic in a mapping: `unit_price * quantity * (1 - discount_pct / 100)`.

A mapping holds no SQL. What it may compute is this grammar and nothing else:

    sum     = product (("+" | "-") product)*
    product = unary (("*" | "/") unary)*
    unary   = "-" unary | atom
    atom    = number | column | function "(" sum ("," sum)* ")" | "(" sum ")"
    column  = a word of letters, digits, "_" and "." | any name between backticks

Functions are `min`, `max`, `abs` and `round` (half away from zero). A missing column makes the whole
result missing; a division by zero is not a number and so INVALID_NUMBER.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<word>[^\W\d][\w.]*)|`(?P<quoted>[^`]+)`|(?P<sign>[-+*/(),]))"
)
_FUNCTIONS: Final = {"min": "least", "max": "greatest", "abs": "abs", "round": "round"}
_DEPTH_MAX: Final = 50


@dataclass(frozen=True)
class Formula:
    """A parsed formula: its text, and the columns it reads in order of appearance."""

    text: str
    columns: tuple[str, ...]
    _steps: tuple[str | tuple[str], ...]

    def sql(self, number_of: Callable[[str], str]) -> str:
        """Write the formula as SQL; `number_of` gives the SQL of one column as a double."""
        return "".join(step if isinstance(step, str) else number_of(step[0]) for step in self._steps)


def parse(text: str) -> Formula:
    """Parse a formula; raises `ValueError` that says where it stops making sense."""
    reader = _Reader(text)
    steps = reader.sum(0)
    if reader.token is not None:
        raise ValueError(f"{reader.token!r} is not expected there")
    columns = dict.fromkeys(step[0] for step in steps if not isinstance(step, str))
    return Formula(text, tuple(columns), tuple(steps))


_Steps = list[str | tuple[str]]


class _Reader:
    """Reads one token ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    @property
    def token(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _take(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise ValueError("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _is_sign(self, signs: str) -> bool:
        return (
            self._at < len(self._tokens)
            and self._tokens[self._at][0] == "sign"
            and self._tokens[self._at][1] in signs
        )

    def sum(self, depth: int) -> _Steps:
        if depth > _DEPTH_MAX:
            raise ValueError(f"it is nested deeper than {_DEPTH_MAX}")
        steps = self._product(depth)
        while self._is_sign("+-"):
            sign = self._take()[1]
            steps = ["(", *steps, f" {sign} ", *self._product(depth), ")"]
        return steps

    def _product(self, depth: int) -> _Steps:
        steps = self._unary(depth)
        while self._is_sign("*/"):
            sign = self._take()[1]
            steps = ["(", *steps, f" {sign} ", *self._unary(depth), ")"]
        return steps

    def _unary(self, depth: int) -> _Steps:
        if self._is_sign("-"):
            self._take()
            if depth > _DEPTH_MAX:
                raise ValueError(f"it is nested deeper than {_DEPTH_MAX}")
            return ["(-", *self._unary(depth + 1), ")"]
        return self._atom(depth)

    def _atom(self, depth: int) -> _Steps:
        kind, token = self._take()
        if kind == "number":
            return [f"{float(token)!r}::double"]
        if kind == "quoted":
            return [(token,)]
        if kind == "word":
            if not self._is_sign("("):
                return [(token,)]
            if token not in _FUNCTIONS:
                raise ValueError(f"there is no function {token!r}; there are {', '.join(_FUNCTIONS)}")
            return self._call(token, depth)
        if token == "(":
            steps = self.sum(depth + 1)
            self._close()
            return ["(", *steps, ")"]
        raise ValueError(f"{token!r} is not expected there")

    def _call(self, name: str, depth: int) -> _Steps:
        self._take()
        arguments = [self.sum(depth + 1)]
        while self._is_sign(","):
            self._take()
            arguments.append(self.sum(depth + 1))
        self._close()
        if name in ("abs", "round") and len(arguments) != 1:
            raise ValueError(f"{name} takes one value, not {len(arguments)}")
        steps: _Steps = [f"{_FUNCTIONS[name]}("]
        for index, argument in enumerate(arguments):
            steps += [", "] * (index > 0) + argument
        steps.append(")")
        # least() and greatest() skip nulls; here a missing column makes the result missing.
        columns = list(dict.fromkeys(step for step in steps if not isinstance(step, str)))
        if len(arguments) == 1 or not columns:
            return steps
        guard: _Steps = []
        for column in columns:
            guard += [column, " is not null and "]
        return ["(case when ", *guard, "true then ", *steps, " end)"]

    def _close(self) -> None:
        if not self._is_sign(")"):
            raise ValueError("a closing parenthesis is missing")
        self._take()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{text[at:].strip()[:1]!r} is not understood")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    if not tokens:
        raise ValueError("it is empty")
    return tokens
