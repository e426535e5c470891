//! A decision as a record of the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use promosvc_engine::decision::{DecisionTrace, Recommendation};
use prost::Message;

use crate::convert::encode_recommendation;
use crate::wire::promosvc::log::v1 as wire;

/// The method whose decisions are kept.
const RECOMMEND: &str = "/promosvc.v1.PromoService/Recommend";
/// Candidates of a decision that are kept, best first: ten pages, which is as far as anybody re-ranks, and 9 kB where
/// all would be 50.
pub(super) const CANDIDATES_MAX: usize = 200;

/// A decision on its way to the log.
pub(super) struct Decided {
    pub(super) request: Vec<u8>,
    pub(super) placement: String,
    pub(super) placement_json: Arc<str>,
    pub(super) answer: Recommendation,
    pub(super) trace: DecisionTrace,
    pub(super) sample_rate: f64,
}

impl Decided {
    /// About how much memory it takes while it waits.
    pub(super) fn bytes(&self) -> u64 {
        let trace = &self.trace;
        (size_of::<Self>()
            + self.request.len()
            + trace.used_events.len() * 96
            + trace.candidates.len() * 96
            + self.answer.items.len() * 256) as u64
    }

    /// The encoded record.
    pub(super) fn encode(self) -> Vec<u8> {
        let Self {
            request,
            placement,
            placement_json,
            answer,
            trace,
            sample_rate,
        } = self;
        let DecisionTrace {
            events_position,
            used_events,
            is_live_state_incomplete,
            catalogue_hash,
            candidates,
        } = trace;
        let mut encoded = Vec::with_capacity(4096);
        encode_recommendation(&placement, &answer, None, &mut encoded);
        let models = &answer.snapshot.manifest.models;
        let versions: BTreeMap<_, _> = models
            .iter()
            .map(|model| (model.name.clone(), model.version.clone()))
            .collect();
        wire::DecisionRecord {
            method: RECOMMEND.to_owned(),
            request,
            snapshot_id: answer.snapshot.id.clone(),
            events_position: i64::try_from(events_position).unwrap_or(i64::MAX),
            now_us: answer.decided_at.0,
            seed: 0,
            user_events: used_events
                .into_iter()
                .map(|event| wire::UsedEvent {
                    position: i64::try_from(event.position).unwrap_or(i64::MAX),
                    event_name: event.event_name,
                    item_id: event.item_id,
                    event_at_us: event.event_at.0,
                })
                .collect(),
            is_live_state_incomplete,
            catalogue_hash: catalogue_hash.map_or_else(Vec::new, |hash| hash.to_vec()),
            placement_json: placement_json.as_ref().to_owned(),
            candidates: candidates
                .into_iter()
                .take(CANDIDATES_MAX)
                .map(|candidate| wire::CandidateScores {
                    item_id: candidate.item_id,
                    score: candidate.score,
                    source_scores: candidate.source_scores.to_vec(),
                })
                .collect(),
            model_versions: versions,
            answer: encoded,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            propensity: 1.0,
            sample_rate,
        }
        .encode_to_vec()
    }
}
