//! The facade: one engine, one published snapshot, three questions (recommend, features, and for evaluation
//! the sources' own scores).
//!
//! The order of a decision (`recommend`): plan (defaults) · visitor (history, cart, what is blocked) ·
//! sources, each filtered early · blend · page with category cap · widen, when the page is short · filter
//! once more · reasons. A decision is a pure function of (snapshot, request, now); sums of f32 run in one
//! order, ties go by item, and no hash map is walked: the same arguments give the same bytes.
//!
//! Cost, measured by `examples/recommend_bench` on one core of a shared 2.6 GHz machine, lists coming from
//! memory: 95 us for 100 history items x 100 neighbours and 80 similar users x 100 items out of 68,000; of
//! these a third adds up similar items, a quarter finds the best, an eighth adds up similar users, a tenth
//! each clears the boards and scores the candidates. Without a history 6 us. The additions dominate: 300
//! history items x 145 neighbours cost 170 us. A lock is held for as long as it takes to clone an `Arc`.
//!
//! The trade-off: what depends on the snapshot alone is derived when it is published (`prepared`), which
//! takes memory (about 20 bytes for each history entry and 20 for each item) and half a second for a
//! large snapshot, so that a request only adds and compares.

mod evaluation;
mod plan;
mod prepared;
mod recommend;
mod scratch;
mod settings;
mod sources;
mod visitor;

pub use evaluation::{EvaluationOptions, ScoredCandidate};
pub use settings::EngineSettings;

use std::sync::{Arc, PoisonError, RwLock};

use crate::decision::{FeatureAnswer, FeatureRequest, Placement, RecommendRequest, Recommendation};
use crate::error::{Error, ErrorKind, Result};
use crate::features;
use crate::snapshot::Snapshot;
use crate::types::TimeUs;

use plan::Plan;
use prepared::Prepared;
use scratch::with_scratch;

/// Decides, on the snapshot published last. `Send` and `Sync`: one engine serves all threads.
pub struct Engine {
    settings: EngineSettings,
    published: RwLock<Option<Arc<Prepared>>>,
}

impl Engine {
    /// An engine without a snapshot.
    ///
    /// # Errors
    /// `InvalidArgument` names the placement and setting that is out of range.
    pub fn new(settings: EngineSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            published: RwLock::new(None),
        })
    }

    /// Makes all later decisions on this snapshot; decisions under way keep theirs.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        // Made before the lock is taken: readers never wait for it.
        let prepared = Some(Arc::new(Prepared::new(snapshot)));
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *published, prepared);
        drop(published);
        // Freed, if no decision holds it, after the lock.
        drop(before);
    }

    /// The snapshot that decisions are made on now.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        Some(Arc::clone(&self.prepared().ok()?.snapshot))
    }

    fn prepared(&self) -> Result<Arc<Prepared>> {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        published.clone().ok_or_else(no_snapshot)
    }

    /// Names of the placements, sorted.
    pub fn placement_names(&self) -> impl Iterator<Item = &str> {
        self.settings.placements.keys().map(String::as_str)
    }

    /// Ranks items for one user at one placement.
    ///
    /// # Errors
    /// `NotFound` with reason `PLACEMENT_NOT_FOUND`; `InvalidArgument` for a page that is too large;
    /// `Unavailable` with reason `NO_SNAPSHOT` before the first snapshot.
    pub fn recommend(
        &self,
        placement: &str,
        request: &RecommendRequest,
        now: TimeUs,
    ) -> Result<Recommendation> {
        let Some(found) = self.settings.placements.get(placement) else {
            return Err(Error {
                field: "placement".into(),
                ..Error::new(
                    ErrorKind::NotFound,
                    "PLACEMENT_NOT_FOUND",
                    format!("{placement:?} is not a configured placement"),
                )
            }
            .with("placement", placement));
        };
        self.recommend_for_evaluation(found, request, now, &EvaluationOptions::default())
    }

    /// Ranks items as `recommend` does, with a placement of the caller's and some sources only.
    ///
    /// # Errors
    /// As `recommend`.
    pub fn recommend_for_evaluation(
        &self,
        placement: &Placement,
        request: &RecommendRequest,
        now: TimeUs,
        options: &EvaluationOptions,
    ) -> Result<Recommendation> {
        let plan = Plan::new(placement, request, options)?;
        let prepared = self.prepared()?;
        Ok(with_scratch(|scratch| {
            recommend::recommend(&prepared, &plan, request, now, scratch)
        }))
    }

    /// The normalised scores of every source for the union of the sources' best candidates, by item.
    /// What a blend's weights are learned from.
    ///
    /// # Errors
    /// As `recommend`.
    pub fn source_scores(
        &self,
        placement: &Placement,
        request: &RecommendRequest,
        now: TimeUs,
        options: &EvaluationOptions,
    ) -> Result<Vec<ScoredCandidate>> {
        let plan = Plan::new(placement, request, options)?;
        let prepared = self.prepared()?;
        Ok(with_scratch(|scratch| {
            recommend::source_scores(&prepared, &plan, request, now, scratch)
        }))
    }

    /// Reads features of some entities.
    ///
    /// # Errors
    /// `NotFound` with reason `FEATURE_VIEW_NOT_FOUND`; `Unavailable` with reason `NO_SNAPSHOT`.
    pub fn get_features(&self, request: &FeatureRequest, now: TimeUs) -> Result<FeatureAnswer> {
        let FeatureRequest {
            entity_kind,
            entity_keys,
            views,
        } = request;
        let snapshot = Arc::clone(&self.prepared()?.snapshot);
        let all = &snapshot.features.views;
        let is_of_kind = |&view: &usize| all[view].spec.entity == *entity_kind;
        let wanted: Vec<usize> = if views.is_empty() {
            (0..all.len()).filter(is_of_kind).collect()
        } else {
            let position = |(at, name): (usize, &&str)| {
                let found = snapshot.features.find(name).filter(is_of_kind);
                found.ok_or_else(|| view_not_found(at, name, *entity_kind))
            };
            views
                .iter()
                .enumerate()
                .map(position)
                .collect::<Result<_>>()?
        };
        let frame = |view| features::read(view, &all[view], entity_keys, now);
        let frames = wanted.into_iter().map(frame).collect();
        Ok(FeatureAnswer {
            snapshot,
            read_at: now,
            frames,
        })
    }
}

fn no_snapshot() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "NO_SNAPSHOT",
        "no snapshot has been published yet",
    )
}

fn view_not_found(at: usize, name: &str, kind: crate::types::EntityKind) -> Error {
    Error {
        field: format!("views[{at}]"),
        ..Error::new(
            ErrorKind::NotFound,
            "FEATURE_VIEW_NOT_FOUND",
            format!("{name:?} is not a feature view of entity kind {kind:?}"),
        )
    }
    .with("view", name)
}
