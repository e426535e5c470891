//! What a decision was made from, for the decision log.

use super::moment::Moment;
use super::sources::Sources;
use crate::decision::{DecisionTrace, TracedCandidate, UsedEvent};
use crate::history::LiveEvent;
use crate::ranking::Scales;
use crate::types::{ItemIdx, RankKey};

/// Everything but the candidates.
pub(super) fn trace(moment: Moment<'_>, sources: &Sources<'_>) -> DecisionTrace {
    let Moment {
        view,
        live,
        now: _,
        is_replay_incomplete: _,
    } = moment;
    let used = |event: &LiveEvent| UsedEvent {
        position: event.position,
        event_name: live
            .event_names()
            .get(usize::from(event.name))
            .cloned()
            .unwrap_or_default(),
        item_id: event
            .item
            .and_then(|item| live.item_id(item))
            .map_or_else(String::new, |item_id| (*item_id).to_owned()),
        event_at: event.event_at,
    };
    DecisionTrace {
        events_position: view.events_position,
        used_events: sources.visitor.live_events.iter().map(used).collect(),
        is_live_state_incomplete: sources.visitor.is_incomplete,
        catalogue_hash: view.catalogue.facts_hash(),
        candidates: Vec::new(),
    }
}

/// What sources said about some items, best first, each once.
pub(super) fn traced_candidates(
    items: impl Iterator<Item = u32>,
    scales: &Scales,
    sources: &Sources<'_>,
) -> Vec<TracedCandidate> {
    let key_of = |item| RankKey::new(scales.score(|source| sources.score(source, item)), item);
    let mut keys: Vec<RankKey> = items.map(key_of).collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.dedup();
    let traced = |key: RankKey| TracedCandidate {
        item_id: sources.catalogue.item_id(ItemIdx(key.item())).to_owned(),
        score: key.score(),
        source_scores: sources.normalised_scores(scales, key.item()),
    };
    keys.into_iter().map(traced).collect()
}
