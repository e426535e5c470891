//! The decision log from Python: read as a table, decided again.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, StringArray, UInt32Array,
    UInt64Array,
};
use arrow_schema::{DataType, Field};
use promosvc_engine::error::Result;
use promosvc_server::{
    CANDIDATE_SOURCES, DecisionReader, DecisionRow, ReplayFolders, Which, replay, replayed_to_json,
};
use pyo3::prelude::*;

use crate::arrays::count;
use crate::arrow::{ArrowTable, table};
use crate::errors::to_python;

/// At most `limit` decisions from a position on, as a table.
#[pyfunction]
#[pyo3(signature = (directory, *, from_position=None, limit=10_000))]
pub(crate) fn read_decisions(
    py: Python<'_>,
    directory: &str,
    from_position: Option<u64>,
    limit: i64,
) -> PyResult<ArrowTable> {
    py.detach(|| {
        let reader = DecisionReader::open(Path::new(directory))?;
        let from = match from_position {
            Some(position) => position,
            None => reader.first()?,
        };
        to_table(&reader.rows(from, count("limit", limit)?)?)
    })
    .map_err(|error| to_python(py, error))
}

/// Decides again: the decision at a position, or the newest ones. JSON.
#[pyfunction]
#[pyo3(signature = (decisions_dir, events_dir, snapshots_dir, *, position=None, last=1))]
pub(crate) fn replay_decisions(
    py: Python<'_>,
    decisions_dir: &str,
    events_dir: &str,
    snapshots_dir: &str,
    position: Option<u64>,
    last: i64,
) -> PyResult<String> {
    py.detach(|| {
        let folders = ReplayFolders {
            decisions: Path::new(decisions_dir),
            events: Path::new(events_dir),
            snapshots: Path::new(snapshots_dir),
        };
        let which = match position {
            Some(position) => Which::Position(position),
            None => Which::Last(count("last", last)?),
        };
        replay(folders, which).map(|all| replayed_to_json(&all))
    })
    .map_err(|error| to_python(py, error))
}

fn to_table(rows: &[DecisionRow]) -> Result<ArrowTable> {
    let texts = |of: fn(&DecisionRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    table(vec![
        (
            "position",
            Arc::new(UInt64Array::from_iter_values(
                rows.iter().map(|row| row.position),
            )),
        ),
        (
            "decided_at_us",
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|row| row.decided_at_us),
            )),
        ),
        ("user_id", texts(|row| &row.user_id)),
        ("placement", texts(|row| &row.placement)),
        ("snapshot_id", texts(|row| &row.snapshot_id)),
        (
            "events_position",
            Arc::new(UInt64Array::from_iter_values(
                rows.iter().map(|row| row.events_position),
            )),
        ),
        (
            "used_events",
            Arc::new(UInt32Array::from_iter_values(
                rows.iter().map(|row| row.used_events),
            )),
        ),
        (
            "is_live_state_incomplete",
            Arc::new(BooleanArray::from_iter(
                rows.iter().map(|row| Some(row.is_live_state_incomplete)),
            )),
        ),
        ("item_ids", lists_of_texts(rows, |row| &row.item_ids)),
        ("scores", lists_of_floats(rows, |row| &row.scores)),
        (
            "candidate_ids",
            lists_of_texts(rows, |row| &row.candidate_ids),
        ),
        (
            "candidate_scores",
            lists_of_floats(rows, |row| &row.candidate_scores),
        ),
        ("candidate_source_scores", source_scores(rows)),
        (
            "propensity",
            Arc::new(Float32Array::from_iter_values(
                rows.iter().map(|row| row.propensity),
            )),
        ),
        (
            "sample_rate",
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|row| row.sample_rate),
            )),
        ),
        ("program_version", texts(|row| &row.program_version)),
    ])
}

fn lists_of_texts(rows: &[DecisionRow], of: fn(&DecisionRow) -> &[String]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
    for row in rows {
        for text in of(row) {
            lists.values().append_value(text);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn lists_of_floats(rows: &[DecisionRow], of: fn(&DecisionRow) -> &[f32]) -> ArrayRef {
    let mut lists = ListBuilder::new(Float32Builder::new()).with_field(element(DataType::Float32));
    for row in rows {
        lists.values().append_slice(of(row));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn source_scores(rows: &[DecisionRow]) -> ArrayRef {
    let width = CANDIDATE_SOURCES as i32;
    let of_candidate = FixedSizeListBuilder::new(Float32Builder::new(), width)
        .with_field(element(DataType::Float32));
    let list = DataType::FixedSizeList(Arc::new(element(DataType::Float32)), width);
    let mut lists = ListBuilder::new(of_candidate).with_field(element(list));
    for row in rows {
        for scores in row.candidate_source_scores.chunks(CANDIDATE_SOURCES) {
            lists.values().values().append_slice(scores);
            lists.values().append(true);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn element(data_type: DataType) -> Field {
    Field::new("element", data_type, false)
}
