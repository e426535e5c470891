"""Behavioural features: one SQL file for each view, computed in DuckDB as of a time.

`sql/<view>.sql` holds a view whole: a header comment (entity, time to live, features) and one query.
The header is what everybody reads, and `compute` refuses a query whose columns are not the header's, so
that the two cannot drift apart.

As of a time is half-open: a view looks at events with `event_at < as_of` and at nothing else. A row's
`event_at` is the time from which its values are true: the newest event that they rest on, or, for values
that change as the clock moves (windows of days), the last instant that they look at, `as_of` minus one
microsecond.

The catalogue (`items`) has no times; views take only an item's category from it.
"""

from promosvc.features.encode import EncodedView, encode
from promosvc.features.histories import (
    CUSTOM_EVENT_WEIGHT,
    EVENT_WEIGHTS,
    EventName,
    Histories,
    entry_weights,
    event_weights,
    extended_weights,
    load_choices,
    load_event_ids,
    load_event_names,
    load_histories,
    load_items,
    load_users,
    vocabulary_weights,
)
from promosvc.features.store import compute, feature_views, select_views, utc_naive
from promosvc.features.view import Feature, FeatureView, parse_view

__all__ = [
    "CUSTOM_EVENT_WEIGHT",
    "EVENT_WEIGHTS",
    "EncodedView",
    "EventName",
    "Feature",
    "FeatureView",
    "Histories",
    "compute",
    "encode",
    "entry_weights",
    "event_weights",
    "extended_weights",
    "feature_views",
    "load_choices",
    "load_event_ids",
    "load_event_names",
    "load_histories",
    "load_items",
    "load_users",
    "parse_view",
    "select_views",
    "utc_naive",
    "vocabulary_weights",
]
