//! The facade: one engine, one published snapshot under one live state, three questions (recommend, features, and for
//! evaluation the sources' own scores).
//!
//! The order of a decision (`recommend`): plan (defaults) · visitor (history and live events, cart, what is blocked) ·
//! sources, each filtered early · blend · page with category cap · widen, when the page is short · filter
//! once more · reasons. A decision is a pure function of (snapshot, the user's live events, catalogue, request, now);
//! sums of f32 run in one order, ties go by item, and no hash map is walked: the same arguments give the same bytes.
//!
//! Cost, measured by `examples/recommend_bench` on one core of a shared 2.6 GHz machine, lists coming from
//! memory: 95 us for 100 history items x 100 neighbours and 80 similar users x 100 items out of 68,000; of
//! these a third adds up similar items, a quarter finds the best, an eighth adds up similar users, a tenth
//! each clears the boards and scores the candidates. Without a history 6 us. The additions dominate: 300
//! history items x 145 neighbours cost 170 us. A user without live events pays one look-up for live state, one with
//! 50 about 8 us. A lock is held for as long as it takes to clone an `Arc` (`published`).
//!
//! The trade-off: what depends on the snapshot alone is derived when it is published (`prepared`), which
//! takes memory (about 24 bytes for each history entry and 20 for each item) and half a second for a
//! large snapshot, so that a request only adds and compares.

mod evaluation;
mod moment;
mod plan;
mod prepared;
mod published;
mod recommend;
mod scratch;
mod settings;
mod sources;
mod trace;
mod translation;
mod visitor;

pub use evaluation::{EvaluationOptions, ScoredCandidate};
pub use settings::EngineSettings;

use std::sync::Arc;

use crate::decision::{
    DecisionTrace, FeatureAnswer, FeatureRequest, Placement, RecommendRequest, Recommendation,
};
use crate::error::{Error, ErrorKind, Result};
use crate::features;
use crate::history::{Effect, LiveSettings, LiveState};
use crate::snapshot::Snapshot;
use crate::types::TimeUs;

use moment::Moment;
use plan::Plan;
use published::{Published, View};
use scratch::with_scratch;

/// Decides, on the snapshot published last and the live state. `Send` and `Sync`: one engine serves all threads.
pub struct Engine {
    settings: EngineSettings,
    live: Arc<LiveState>,
    published: Published,
}

impl Engine {
    /// An engine without a snapshot, on a live state that stays empty.
    ///
    /// # Errors
    /// `InvalidArgument` names the placement and setting that is out of range.
    pub fn new(settings: EngineSettings) -> Result<Self> {
        let live = LiveState::new(LiveSettings::default())?;
        Self::with_live(settings, Arc::new(live))
    }

    /// An engine without a snapshot, on a live state. Checkpoints are imported into the state before a snapshot is
    /// published; from then on all records go through `apply`.
    ///
    /// # Errors
    /// `InvalidArgument` names the placement and setting that is out of range.
    pub fn with_live(settings: EngineSettings, live: Arc<LiveState>) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            live,
            published: Published::default(),
        })
    }

    /// The live state that decisions are made on.
    pub fn live(&self) -> &Arc<LiveState> {
        &self.live
    }

    /// Folds the entries of one record, the first of which stands at `position`; all later decisions know them, and
    /// none knows some of its items and not the others. Called by a single thread, as `LiveState::apply` is.
    pub fn apply(&self, position: u64, effects: &[Effect<'_>]) {
        self.published.apply(position, effects, &self.live);
    }

    /// Makes all later decisions on this snapshot; decisions under way keep theirs. May run beside `apply`.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.publish_without(snapshot, Vec::new());
    }

    /// As `publish`, for a snapshot that holds some live events by another way than the log: it was made from a file
    /// import that brought them too. `doubled` are their log positions; decisions on this snapshot leave them out.
    pub fn publish_without(&self, snapshot: Arc<Snapshot>, mut doubled: Vec<u64>) {
        doubled.sort_unstable();
        self.published.publish(snapshot, doubled, &self.live);
    }

    /// The snapshot that decisions are made on now.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        Some(Arc::clone(&self.view().ok()?.prepared.snapshot))
    }

    fn view(&self) -> Result<Arc<View>> {
        self.published.view().ok_or_else(no_snapshot)
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
        let placement = self.placement(placement)?;
        let options = EvaluationOptions::default();
        self.decide(placement, request, now, &options, false, None)
    }

    /// Ranks items as `recommend` does and tells what the decision was made from.
    ///
    /// # Errors
    /// As `recommend`.
    pub fn recommend_traced(
        &self,
        placement: &str,
        request: &RecommendRequest,
        now: TimeUs,
    ) -> Result<(Recommendation, DecisionTrace)> {
        self.replay(self.placement(placement)?, request, now, false)
    }

    /// Decides again as a traced decision did, whose live events and catalogue facts were applied to this engine and
    /// whose snapshot is published. `is_live_state_incomplete` is that of the trace.
    ///
    /// # Errors
    /// As `recommend`.
    pub fn replay(
        &self,
        placement: &Placement,
        request: &RecommendRequest,
        now: TimeUs,
        is_live_state_incomplete: bool,
    ) -> Result<(Recommendation, DecisionTrace)> {
        let mut trace = DecisionTrace::default();
        let answer = self.decide(
            placement,
            request,
            now,
            &EvaluationOptions::default(),
            is_live_state_incomplete,
            Some(&mut trace),
        )?;
        Ok((answer, trace))
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
        self.decide(placement, request, now, options, false, None)
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
        let view = self.view()?;
        let moment = self.moment(&view, now);
        Ok(with_scratch(|scratch| {
            recommend::source_scores(moment, &plan, request, scratch)
        }))
    }

    fn decide(
        &self,
        placement: &Placement,
        request: &RecommendRequest,
        now: TimeUs,
        options: &EvaluationOptions,
        is_replay_incomplete: bool,
        trace: Option<&mut DecisionTrace>,
    ) -> Result<Recommendation> {
        let plan = Plan::new(placement, request, options)?;
        let view = self.view()?;
        let moment = Moment {
            is_replay_incomplete,
            ..self.moment(&view, now)
        };
        Ok(with_scratch(|scratch| {
            recommend::recommend(moment, &plan, request, scratch, trace)
        }))
    }

    fn moment<'a>(&'a self, view: &'a View, now: TimeUs) -> Moment<'a> {
        Moment {
            view,
            live: &self.live,
            now,
            is_replay_incomplete: false,
        }
    }

    fn placement(&self, name: &str) -> Result<&Placement> {
        self.settings.placements.get(name).ok_or_else(|| {
            Error {
                field: "placement".into(),
                ..Error::new(
                    ErrorKind::NotFound,
                    "PLACEMENT_NOT_FOUND",
                    format!("{name:?} is not a configured placement"),
                )
            }
            .with("placement", name)
        })
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
        let snapshot = Arc::clone(&self.view()?.prepared.snapshot);
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
