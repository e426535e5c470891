"""Turns names and values of a mapping into SQL text.

A mapping is written by a stranger, so nothing of it reaches SQL but through these two functions.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """Quote a column or table name."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | float | bool | None) -> str:
    """Quote a value. A NUL has no place in SQL text, so it is spliced in by code."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else "(" + " || chr(0) || ".join(parts) + ")"


def literals(values: list[str] | tuple[str, ...]) -> str:
    """Quote a list of values for `in (...)`."""
    return ", ".join(literal(value) for value in values)
