//! Random requests, and answers that can be compared bit by bit.

use promosvc_engine::decision::{
    Placement, Reason, RecommendRequest, Recommendation, SeenRule, Source,
};
use promosvc_engine::engine::{Engine, EvaluationOptions};
use promosvc_engine::snapshot::SourceWeights;
use promosvc_engine::types::{DurationUs, TimeUs};
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::random::{CATEGORIES, EVENTS, KINDS, item_id, user_id};
use super::twin::TwinAnswer;
use super::{DAY_US, WATERMARK_US};

/// A request that owns its strings.
#[derive(Clone, Debug)]
pub struct Ask {
    pub placement: Placement,
    pub options: EvaluationOptions,
    pub now: TimeUs,
    pub user_id: String,
    pub cart: Vec<String>,
    pub excluded: Vec<String>,
    pub categories: Vec<&'static str>,
    pub kinds: Vec<&'static str>,
    pub seen: Option<(bool, Vec<&'static str>, Option<DurationUs>)>,
    pub flags: [bool; 2],
    pub page_size: usize,
    pub category_cap: Option<usize>,
    pub include_reasons: Option<bool>,
}

impl Ask {
    pub fn request(&self) -> RecommendRequest<'_> {
        RecommendRequest {
            user_id: &self.user_id,
            cart_item_ids: self.cart.iter().map(String::as_str).collect(),
            personalization_off: self.flags[0],
            page_size: self.page_size,
            categories: self.categories.clone(),
            kinds: self.kinds.clone(),
            include_unavailable: self.flags[1],
            seen: self.seen.clone(),
            exclude_item_ids: self.excluded.iter().map(String::as_str).collect(),
            category_cap: self.category_cap,
            include_reasons: self.include_reasons,
        }
    }
}

/// A random request of a random placement.
pub fn ask() -> impl Strategy<Value = Ask> {
    let window = || prop::option::of((1..8_i64).prop_map(|halves| DurationUs(halves * DAY_US / 2)));
    let names = || subsequence(EVENTS.to_vec(), 0..=EVENTS.len());
    let placement = (
        1..12_usize,
        sources(),
        any::<bool>(),
        names(),
        window(),
        0..4_usize,
        any::<bool>(),
    )
        .prop_map(
            |(page_size, sources, hide_seen, names, window, category_cap, include_reasons)| {
                let event_names = names.into_iter().map(str::to_owned).collect();
                let seen = SeenRule {
                    hide_seen,
                    event_names,
                    window,
                };
                Placement {
                    page_size,
                    sources,
                    seen,
                    category_cap,
                    include_reasons,
                }
            },
        );
    let weight = || prop_oneof![Just(0.0_f32), 0.0..1.0_f32];
    let weights =
        [weight(), weight(), weight(), weight(), weight(), weight()].prop_map(SourceWeights);
    let options = (
        prop_oneof![3 => Just(Vec::new()), 1 => sources()],
        prop_oneof![3 => Just(None), 1 => weights.prop_map(Some)],
        prop_oneof![Just(200), 1..6_usize],
    )
        .prop_map(|(sources, weights, candidates_max)| EvaluationOptions {
            sources,
            weights,
            candidates_max,
        });
    let ids = |count| prop::collection::vec((0..36_usize).prop_map(item_id), 0..count);
    let who = (0..9_usize).prop_map(|row| {
        if row == 8 {
            String::new()
        } else {
            user_id(row)
        }
    });
    (
        (
            placement,
            options,
            (-4..30_i64).prop_map(|halves| TimeUs(WATERMARK_US + halves * DAY_US / 2)),
        ),
        (who, ids(5), ids(8)),
        prop_oneof![2 => Just(Vec::new()), 1 => subsequence([&CATEGORIES[..], &["cheese"]].concat(), 0..=2)],
        prop_oneof![2 => Just(Vec::new()), 1 => subsequence(KINDS.to_vec(), 0..=1)],
        prop::option::of((any::<bool>(), names(), window())),
        [prop::bool::weighted(0.15), prop::bool::weighted(0.2)],
        (
            0..12_usize,
            prop::option::of(0..4_usize),
            prop::option::of(any::<bool>()),
        ),
    )
        .prop_map(|(base, ids, categories, kinds, seen, flags, page)| Ask {
            placement: base.0,
            options: base.1,
            now: base.2,
            user_id: ids.0,
            cart: ids.1,
            excluded: ids.2,
            categories,
            kinds,
            seen,
            flags,
            page_size: page.0,
            category_cap: page.1,
            include_reasons: page.2,
        })
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    subsequence(Source::ALL.to_vec(), 0..=6)
}

/// What the engine answers, in the twin's words.
pub fn answer(engine: &Engine, ask: &Ask) -> TwinAnswer {
    let request = ask.request();
    let found = engine
        .recommend_for_evaluation(&ask.placement, &request, ask.now, &ask.options)
        .unwrap();
    as_twin(found)
}

/// An answer in the twin's words.
pub fn as_twin(found: Recommendation) -> TwinAnswer {
    TwinAnswer {
        items: found
            .items
            .into_iter()
            .map(|item| (item.item.0, item.score, item.reasons))
            .collect(),
        page_size: found.page_size,
        degraded: found.degraded,
        shortfall: found.shortfall,
    }
}

/// Bit for bit: scores are compared by their bits, so that -0 or another NaN would show.
pub fn bits(answer: &TwinAnswer) -> Vec<(u32, u32, Vec<u32>)> {
    let contributions = |reasons: &[Reason]| {
        reasons
            .iter()
            .map(|reason| reason.contribution.to_bits())
            .collect()
    };
    answer
        .items
        .iter()
        .map(|(item, score, reasons)| (*item, score.to_bits(), contributions(reasons)))
        .collect()
}
