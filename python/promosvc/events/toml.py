"""Reads a table of a mapping key by key, so that no key is ever ignored.

Every complaint carries the key's path ("events[0].columns.user_id"), the value, and what would be
right. `close()` refuses the keys that nobody asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from promosvc.errors import MappingError


def refuse(path: str, message: str, **values: object) -> MappingError:
    """Make the error for one key; the caller raises it."""
    return MappingError(message, field=path, metadata={name: str(value) for name, value in values.items()})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known names look like `name`, or nothing."""
    known = list(known)
    lowered = {word.lower(): word for word in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(repr(lowered[word]) for word in close)}?)" if close else ""


class Table:
    """One TOML table and its path; each getter takes its key out."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise refuse(path, f"{data!r} is not a table", value=data)
        self.path = path
        self._data: dict[str, Any] = dict(data)
        self._asked: list[str] = []

    def at(self, key: str) -> str:
        """The path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def keys(self) -> list[str]:
        """The keys that nobody asked for yet."""
        return list(self._data)

    def take(self, key: str, default: Any = None) -> Any:
        """Any value."""
        self._asked.append(key)
        return self._data.pop(key, default)

    def has(self, key: str) -> bool:
        """Whether the key is there and not taken yet."""
        return key in self._data

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        """A string."""
        value = self.take(key)
        if value is None:
            if required:
                raise refuse(self.at(key), "is required")
            return default
        if not isinstance(value, str):
            raise refuse(self.at(key), f"{value!r} is not a text", value=value)
        return value

    def character(self, key: str) -> str | None:
        """A string of one character, or none."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) != 1:
            raise refuse(self.at(key), f"{value!r} is not one character", value=value)
        return value

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        """One of a few words."""
        choices = list(choices)
        value = self.text(key, default)
        if value not in choices and value != default:
            raise refuse(
                self.at(key),
                f"{value!r} is not one of {', '.join(choices)}{did_you_mean(value, choices)}",
                value=value,
            )
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise refuse(self.at(key), f"{value!r} is neither true nor false", value=value)
        return value

    def integer(self, key: str, default: int, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.take(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise refuse(self.at(key), f"{value!r} is not a whole number", value=value)
        if not least <= value <= most:
            raise refuse(
                self.at(key),
                f"{value} is outside {least} to {most}",
                value=value,
            )
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A string or a list of strings, or none."""
        value = self.take(key)
        if value is None:
            return None
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise refuse(self.at(key), f"{value!r} is neither a text nor a list of texts", value=value)
        return tuple(values)

    def table(self, key: str) -> Table | None:
        """A table within, or none."""
        value = self.take(key)
        return None if value is None else Table(value, self.at(key))

    def tables(self, key: str) -> list[Table]:
        """A table within or a list of tables; empty if absent."""
        value = self.take(key)
        if value is None:
            return []
        if isinstance(value, dict):
            return [Table(value, self.at(key))]
        if not isinstance(value, list):
            raise refuse(self.at(key), f"{value!r} is not a list of tables", value=value)
        return [Table(each, f"{self.at(key)}[{index}]") for index, each in enumerate(value)]

    def close(self) -> None:
        """Refuse what nobody asked for."""
        for key in self._data:
            known = sorted(set(self._asked))
            hint = did_you_mean(key, known) or f"; the keys here are {', '.join(known)}"
            raise refuse(
                self.at(key),
                f"there is no such key{hint}",
                value=key,
            )
