//! The engine decides exactly as its slow twin, over random snapshots and requests.

mod support;

use std::sync::Arc;

use promosvc_engine::decision::{Placement, RecommendRequest, SeenRule, Source};
use promosvc_engine::engine::{Engine, EngineSettings, EvaluationOptions};
use promosvc_engine::snapshot::{Snapshot, SourceWeights};
use promosvc_engine::types::{DurationUs, TimeUs};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::{Config, RngSeed};

use support::random::{CATEGORIES, EVENTS, KINDS, item_id, user_id};
use support::twin::{self, TwinAnswer};
use support::{DAY_US, SnapshotRows, WATERMARK_US};

/// A request that owns its strings.
#[derive(Clone, Debug)]
struct Ask {
    placement: Placement,
    options: EvaluationOptions,
    now: TimeUs,
    user_id: String,
    cart: Vec<String>,
    excluded: Vec<String>,
    categories: Vec<&'static str>,
    kinds: Vec<&'static str>,
    seen: Option<(bool, Vec<&'static str>, Option<DurationUs>)>,
    flags: [bool; 2],
    page_size: usize,
    category_cap: Option<usize>,
    include_reasons: Option<bool>,
}

impl Ask {
    fn request(&self) -> RecommendRequest<'_> {
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

fn ask() -> impl Strategy<Value = Ask> {
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
    let ids = |count| prop::collection::vec((0..33_usize).prop_map(item_id), 0..count);
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
        prop_oneof![2 => Just(Vec::new()), 1 => subsequence(CATEGORIES.to_vec(), 0..=2)],
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

fn open(rows: &SnapshotRows) -> Engine {
    let root = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::open(&rows.write(root.path())).unwrap();
    let engine = Engine::new(EngineSettings::default()).unwrap();
    engine.publish(Arc::new(snapshot));
    engine
}

fn answer(engine: &Engine, ask: &Ask) -> TwinAnswer {
    let request = ask.request();
    let found = engine
        .recommend_for_evaluation(&ask.placement, &request, ask.now, &ask.options)
        .unwrap();
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
fn bits(answer: &TwinAnswer) -> Vec<(u32, u32, Vec<u32>)> {
    let contributions = |reasons: &[promosvc_engine::decision::Reason]| {
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

fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn decides_as_its_twin(
        rows in support::random::snapshot_rows(),
        asks in prop::collection::vec(ask(), 12),
    ) {
        let engine = open(&rows);
        for ask in &asks {
            let expected = twin::recommend(&rows, &ask.placement, &ask.request(), ask.now, &ask.options);
            let found = answer(&engine, ask);
            prop_assert_eq!(&found, &expected, "{:?}", ask);
            prop_assert_eq!(bits(&found), bits(&expected));
        }
    }

    #[test]
    fn reasons_add_up_to_the_score(
        rows in support::random::snapshot_rows(),
        asks in prop::collection::vec(ask(), 6),
    ) {
        let engine = open(&rows);
        for ask in &asks {
            let ask = Ask { include_reasons: Some(true), ..ask.clone() };
            for (item, score, reasons) in answer(&engine, &ask).items {
                let sum: f64 = reasons.iter().map(|reason| f64::from(reason.contribution)).sum();
                prop_assert!((sum - f64::from(score)).abs() <= 1e-4, "item {} {} {:?}", item, score, reasons);
                prop_assert!(reasons.is_sorted_by(|a, b| a.contribution >= b.contribution));
            }
        }
    }

    #[test]
    fn without_personalization_the_history_changes_nothing(
        rows in support::random::snapshot_rows(),
        ask in ask(),
        other in select(vec!["", "user-0", "user-1", "user-2", "nobody"]),
        cart in any::<Index>(),
    ) {
        let engine = open(&rows);
        let mut off = ask.clone();
        off.flags[0] = true;
        let mut another = off.clone();
        another.user_id = other.into();
        another.cart = vec![item_id(cart.index(30))];
        prop_assert_eq!(answer(&engine, &off), answer(&engine, &another));
    }

    #[test]
    fn source_scores_are_the_parts_of_the_blend(
        rows in support::random::snapshot_rows(),
        ask in ask(),
    ) {
        let engine = open(&rows);
        // One source alone, with weight 1, ranks by its own normalised score.
        for source in Source::ALL {
            let one = EvaluationOptions { sources: vec![source], weights: Some(SourceWeights([1.0; 6])), ..EvaluationOptions::default() };
            let ask = Ask { options: one, page_size: 100, category_cap: Some(0), ..ask.clone() };
            let page = answer(&engine, &ask);
            let scored = engine
                .source_scores(&ask.placement, &ask.request(), ask.now, &ask.options)
                .unwrap();
            prop_assert_eq!(page.items.len(), scored.len());
            for (item, score, _) in page.items {
                let found = scored.iter().find(|candidate| candidate.item.0 == item).unwrap();
                prop_assert_eq!(found.scores[source as usize], score);
            }
        }
    }
}
