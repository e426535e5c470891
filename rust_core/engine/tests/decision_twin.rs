//! The engine decides exactly as its slow twin, over random snapshots and requests.

mod support;

use std::sync::Arc;

use promosvc_engine::decision::Source;
use promosvc_engine::engine::{Engine, EngineSettings, EvaluationOptions};
use promosvc_engine::snapshot::{Snapshot, SourceWeights};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed};

use support::SnapshotRows;
use support::asks::{Ask, answer, ask, bits};
use support::random::item_id;
use support::twin::{self, World};

fn open(rows: &SnapshotRows) -> Engine {
    let root = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::open(&rows.write(root.path())).unwrap();
    let engine = Engine::new(EngineSettings::default()).unwrap();
    engine.publish(Arc::new(snapshot));
    engine
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
        let (engine, world) = (open(&rows), World::of_snapshot(&rows));
        for ask in &asks {
            let expected = twin::recommend(&world, &ask.placement, &ask.request(), ask.now, &ask.options);
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
