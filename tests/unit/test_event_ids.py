"""Imported events are known again when they are recorded: the snapshot's keys are the server's."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_fixture import events_table, facts_table, recorded
from shop_fixture import add_events, connect, day, event, purchase

from promosvc import _core, pipeline
from promosvc.events import merge_recorded
from promosvc.features import event_weights, extended_weights, load_event_ids, vocabulary_weights


def keys(connection: object, since: float, until: float) -> list[bytes]:
    found = load_event_ids(connection, day(since), day(until))  # type: ignore[arg-type] # a fixture's connection
    return [int(high).to_bytes(8, "big") + int(low).to_bytes(8, "big") for high, low in found.tolist()]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5))
def test_keys_made_in_sql_are_those_of_the_server(names: list[tuple[str, str, str]]) -> None:
    connection = connect()
    add_events(
        connection,
        [event(name, "u", "i", 1, source=source, event_id=id_) for source, name, id_ in names],
    )
    expected = {_core.event_key(source, name, id_) for source, name, id_ in names}
    assert keys(connection, 0, 2) == sorted(expected)


def test_only_imported_events_of_the_window_are_named(tmp_path: Path) -> None:
    connection = connect(tmp_path / "shop.duckdb")
    add_events(connection, [purchase("ann", "near", at, event_id=f"at{at}") for at in (1, 3, 10)])
    merge_recorded(connection, events_table(recorded(0, "purchase", "ann", "near", 9)), facts_table(), 0, 1)
    connection.close()
    report = pipeline.build(tmp_path / "shop.duckdb", tmp_path)
    assert report.events_position == 1
    file = tmp_path / report.snapshot_id / "event_ids.arrow"
    rows = pa.ipc.open_file(file.read_bytes()).get_batch(0).to_pylist()
    found = {row["high"].to_bytes(8, "big") + row["low"].to_bytes(8, "big") for row in rows}
    # The watermark is day 10, the window begins at day 3, and what the log brought the server knows itself.
    assert found == {_core.event_key("test", "purchase", f"at{at}") for at in (3, 10)}


def test_the_scale_of_weights_is_the_data_s() -> None:
    views = vocabulary_weights(["view_item", "like"])
    assert (views["like"], views["view_item"], views["purchase"]) == (1, 0.4, 2)
    assert views["view_item"] == event_weights(["view_item", "like"])["view_item"]
    assert vocabulary_weights([])["purchase"] == 1
    assert vocabulary_weights(["refund"])["purchase"] == 1
    assert vocabulary_weights(["purchase"]) == vocabulary_weights([])
    carried = extended_weights(views, ["view_item", "like", "enroll"])
    assert carried == pytest.approx({**views, "enroll": 1})
    assert extended_weights(views, ["view_item"]) == views
