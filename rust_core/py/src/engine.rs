//! The served engine for evaluation: the decision that a server would make, for many users at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, StringArray, UInt32Array};
use promosvc_engine::decision::{Placement, RecommendRequest, SeenRule};
use promosvc_engine::engine::{EngineSettings, EvaluationOptions};
use promosvc_engine::error::Result;
use promosvc_engine::snapshot::{Snapshot, SourceWeights};
use promosvc_engine::types::{Source, TimeUs};
use pyo3::prelude::*;
use serde_json::json;

use crate::arrays::count;
use crate::arrow::{ArrowTable, read_strings, table};
use crate::errors::{to_python, wrong};

/// The served engine on one snapshot. It owns no threads, so it works in a forked child.
#[pyclass(frozen, module = "promosvc._core")]
pub(crate) struct Engine {
    engine: promosvc_engine::engine::Engine,
    snapshot: Arc<Snapshot>,
}

#[pymethods]
impl Engine {
    /// Opens and verifies the snapshot in a directory.
    #[new]
    fn new(py: Python<'_>, snapshot_dir: &str) -> PyResult<Self> {
        py.detach(|| {
            let snapshot = Arc::new(Snapshot::open(Path::new(snapshot_dir))?);
            let engine = promosvc_engine::engine::Engine::new(EngineSettings::default())?;
            engine.publish(Arc::clone(&snapshot));
            Ok(Self { engine, snapshot })
        })
        .map_err(|error| to_python(py, error))
    }

    /// Id of the snapshot.
    #[getter]
    fn snapshot_id(&self) -> &str {
        &self.snapshot.id
    }

    /// Ranked items for each user.
    #[pyo3(signature = (users, *, page_size, hide_seen, seen_event_names, sources, weights=None, category_cap=0, now_us))]
    #[allow(clippy::too_many_arguments)] // one argument for each of Python's
    fn recommend(
        &self,
        py: Python<'_>,
        users: &Bound<'_, PyAny>,
        page_size: i64,
        hide_seen: bool,
        seen_event_names: Vec<String>,
        sources: Vec<String>,
        weights: Option<BTreeMap<String, f32>>,
        category_cap: i64,
        now_us: i64,
    ) -> PyResult<ArrowTable> {
        let users = read_strings("users", "user_id", users)?;
        py.detach(|| {
            let page_size = count("page_size", page_size)?;
            let placement = Placement {
                page_size: page_size.max(1),
                category_cap: count("category_cap", category_cap)?,
                ..placement(hide_seen, seen_event_names)
            };
            let options = EvaluationOptions {
                sources: parse_sources(&sources)?,
                weights: weights.map(parse_weights).transpose()?,
                ..EvaluationOptions::default()
            };
            self.recommend_all(&users, page_size, &placement, &options, TimeUs(now_us))
        })
        .map_err(|error| to_python(py, error))
    }

    /// What each source says of each candidate of each user.
    #[pyo3(signature = (users, *, hide_seen, seen_event_names, sources, candidates=200, now_us))]
    #[allow(clippy::too_many_arguments)] // one argument for each of Python's
    fn source_scores(
        &self,
        py: Python<'_>,
        users: &Bound<'_, PyAny>,
        hide_seen: bool,
        seen_event_names: Vec<String>,
        sources: Vec<String>,
        candidates: i64,
        now_us: i64,
    ) -> PyResult<ArrowTable> {
        let users = read_strings("users", "user_id", users)?;
        py.detach(|| {
            let placement = placement(hide_seen, seen_event_names);
            let options = EvaluationOptions {
                sources: parse_sources(&sources)?,
                weights: None,
                candidates_max: count("candidates", candidates)?,
            };
            self.score_all(&users, &placement, &options, TimeUs(now_us))
        })
        .map_err(|error| to_python(py, error))
    }
}

impl Engine {
    fn recommend_all(
        &self,
        users: &[String],
        page_size: usize,
        placement: &Placement,
        options: &EvaluationOptions,
        now: TimeUs,
    ) -> Result<ArrowTable> {
        let (mut user_rows, mut ranks) = (Vec::new(), Vec::new());
        let (mut item_ids, mut scores) = (Vec::new(), Vec::new());
        for (user_row, user_id) in users.iter().enumerate() {
            let request = RecommendRequest {
                user_id,
                page_size,
                ..RecommendRequest::default()
            };
            let answer = self
                .engine
                .recommend_for_evaluation(placement, &request, now, options)?;
            for (rank, ranked) in (1_u32..).zip(&answer.items) {
                user_rows.push(user_row as u32);
                ranks.push(rank);
                item_ids.push(self.snapshot.item_id(ranked.item));
                scores.push(ranked.score);
            }
        }
        table(vec![
            ("user_row", Arc::new(UInt32Array::from(user_rows))),
            ("rank", Arc::new(UInt32Array::from(ranks))),
            ("item_id", Arc::new(StringArray::from(item_ids))),
            ("score", Arc::new(Float32Array::from(scores))),
        ])
    }

    fn score_all(
        &self,
        users: &[String],
        placement: &Placement,
        options: &EvaluationOptions,
        now: TimeUs,
    ) -> Result<ArrowTable> {
        let (mut user_rows, mut item_ids) = (Vec::new(), Vec::new());
        let mut scores = [const { Vec::new() }; Source::ALL.len()];
        for (user_row, user_id) in users.iter().enumerate() {
            let request = RecommendRequest {
                user_id,
                ..RecommendRequest::default()
            };
            let candidates = self
                .engine
                .source_scores(placement, &request, now, options)?;
            for candidate in candidates {
                user_rows.push(user_row as u32);
                item_ids.push(self.snapshot.item_id(candidate.item));
                for (column, score) in scores.iter_mut().zip(candidate.scores) {
                    column.push(score);
                }
            }
        }
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("user_row", Arc::new(UInt32Array::from(user_rows))),
            ("item_id", Arc::new(StringArray::from(item_ids))),
        ];
        for (source, column) in Source::ALL.into_iter().zip(scores) {
            columns.push((source.name(), Arc::new(Float32Array::from(column))));
        }
        table(columns)
    }
}

/// Opens and verifies a snapshot; what its manifest says, as JSON.
#[pyfunction]
pub(crate) fn verify_snapshot(py: Python<'_>, path: &str) -> PyResult<String> {
    py.detach(|| Snapshot::open(Path::new(path)).map(|snapshot| summary(&snapshot)))
        .map_err(|error| to_python(py, error))
}

fn summary(snapshot: &Snapshot) -> String {
    let manifest = &snapshot.manifest;
    let files: BTreeMap<_, _> = manifest
        .files
        .iter()
        .map(|(name, file)| (name, json!({"bytes": file.bytes, "rows": file.rows})))
        .collect();
    let models: Vec<_> = manifest
        .models
        .iter()
        .map(|model| {
            json!({"name": model.name, "version": model.version, "parameters": model.parameters})
        })
        .collect();
    let views: Vec<_> = manifest
        .feature_views
        .iter()
        .map(|view| &view.name)
        .collect();
    json!({
        "snapshot_id": snapshot.id,
        "format_version": manifest.format_version,
        "watermark_at_us": manifest.watermark_at.0,
        "events_position": manifest.events_position,
        "seed": manifest.seed,
        "library_versions": manifest.library_versions,
        "item_count": snapshot.items.len(),
        "user_count": snapshot.users.len(),
        "history_events": manifest.history_events,
        "models": models,
        "feature_views": views,
        "files": files,
    })
    .to_string()
}

fn placement(hide_seen: bool, seen_event_names: Vec<String>) -> Placement {
    Placement {
        page_size: 1,
        sources: Vec::new(),
        seen: SeenRule {
            hide_seen,
            event_names: seen_event_names,
            window: None,
        },
        category_cap: 0,
        include_reasons: false,
    }
}

fn parse_source(field: &str, name: &str) -> Result<Source> {
    Source::ALL
        .into_iter()
        .find(|source| source.name() == name)
        .ok_or_else(|| {
            let known = Source::ALL.map(Source::name).join(", ");
            wrong(
                field,
                "UNKNOWN_SOURCE",
                format!("names {name:?}; known are {known}"),
            )
            .with("value", name)
        })
}

fn parse_sources(names: &[String]) -> Result<Vec<Source>> {
    names
        .iter()
        .map(|name| parse_source("sources", name))
        .collect()
}

/// A source that is not named weighs nothing.
fn parse_weights(named: BTreeMap<String, f32>) -> Result<SourceWeights> {
    let mut weights = SourceWeights::default();
    for (name, weight) in named {
        weights.0[parse_source("weights", &name)? as usize] = weight;
    }
    Ok(weights)
}
