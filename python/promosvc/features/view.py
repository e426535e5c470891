"""What a feature view is, read from the header of its SQL file.

    -- view: user_rfm
    -- entity: user                             user, item or user_category
    -- ttl_days: 30
    -- about: One line for people.
    -- feature: recency_days number = days since the newest purchase
    -- feature: top_weekday category = ...

After the header comes one query with the columns `entity_id` (and `category` for `user_category`),
`event_at`, and the features in the header's order.
"""

import re
from dataclasses import dataclass

from promosvc.errors import InvalidArgumentError

ENTITIES = ("user", "item", "user_category")
TYPES = ("number", "category")
SECONDS_PER_DAY = 86_400

_LINE = re.compile(r"-- (\w+): (.*)")
_FEATURE = re.compile(r"([a-z][a-z0-9_]*) (\w+) = (.+)")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Feature:
    """One column of a view."""

    name: str
    type: str
    """`number` or `category`."""
    about: str
    """Meaning and unit, for people."""


@dataclass(frozen=True)
class FeatureView:
    """One SQL file: what its rows are about, how long they hold, what they tell."""

    name: str
    entity: str
    """`user`, `item` or `user_category`."""
    ttl_seconds: int
    """A row older than this is expired when it is read."""
    about: str
    features: tuple[Feature, ...]
    sql: str
    """The whole file; `$as_of` is its only parameter."""

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns that name a row; together unique and never null."""
        return ("entity_id", "category") if self.entity == "user_category" else ("entity_id",)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the result, in order."""
        return (*self.key_columns, "event_at", *(feature.name for feature in self.features))


def parse_view(text: str, file: str) -> FeatureView:
    """Read a view from the text of its SQL file.

    Args:
        text: the whole file.
        file: its name, for messages; must be the view's name and ".sql".

    Raises:
        InvalidArgumentError: the header is incomplete or wrong; `field` names the line's key.
    """
    single: dict[str, str] = {}
    features: list[Feature] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        key, value = _header_line(line, file)
        if key == "feature":
            features.append(_feature(value, file))
        elif key not in ("view", "entity", "ttl_days", "about") or key in single:
            raise _wrong(file, key, line, "each of view, entity, ttl_days and about once")
        else:
            single[key] = value
    for key in ("view", "entity", "ttl_days", "about"):
        if key not in single:
            raise _wrong(file, key, "missing", "a header line for it")
    name = single["view"]
    if not _NAME.fullmatch(name) or f"{name}.sql" != file:
        raise _wrong(file, "view", name, "the file's name without .sql, in lower case")
    if single["entity"] not in ENTITIES:
        raise _wrong(file, "entity", single["entity"], f"one of {', '.join(ENTITIES)}")
    if not single["ttl_days"].isdigit() or not 1 <= int(single["ttl_days"]) <= 36_500:
        raise _wrong(file, "ttl_days", single["ttl_days"], "a whole number of days from 1 to 36500")
    names = [feature.name for feature in features]
    if not names or len(set(names)) != len(names):
        raise _wrong(file, "feature", ", ".join(names), "at least one feature, each name once")
    return FeatureView(
        name=name,
        entity=single["entity"],
        ttl_seconds=int(single["ttl_days"]) * SECONDS_PER_DAY,
        about=single["about"],
        features=tuple(features),
        sql=text,
    )


def _header_line(line: str, file: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _wrong(file, "header", line, "lines of the form `-- key: value`")
    return match[1], match[2].strip()


def _feature(value: str, file: str) -> Feature:
    match = _FEATURE.fullmatch(value)
    if match is None or match[2] not in TYPES:
        raise _wrong(file, "feature", value, "`name number = meaning` or `name category = meaning`")
    return Feature(match[1], match[2], match[3])


def _wrong(file: str, key: str, value: str, right: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{file}: header line {key} is {value!r}; right is {right}",
        reason="FEATURE_VIEW_HEADER",
        field=key,
        metadata={"file": file, "value": value},
    )
