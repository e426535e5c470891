//! Decisions that can be checked by hand.

mod support;

use std::sync::Arc;
use std::thread;

use promosvc_engine::decision::{
    Basis, DegradedReason, RecommendRequest, Recommendation, ShortfallReason, Source,
};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::ErrorKind;
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::{DurationUs, TimeUs};
use serde_json::json;
use support::shop::{engine_of, placement, rows};
use support::{DAY_US, SnapshotRows, WATERMARK_US};

const NOW: TimeUs = TimeUs(WATERMARK_US);

fn ask(request: RecommendRequest) -> Recommendation {
    engine_of(&rows())
        .recommend("default", &request, NOW)
        .unwrap()
}

fn ids(answer: &Recommendation) -> Vec<&str> {
    answer
        .items
        .iter()
        .map(|ranked| answer.snapshot.item_id(ranked.item))
        .collect()
}

fn ann() -> RecommendRequest<'static> {
    RecommendRequest {
        user_id: "ann",
        ..RecommendRequest::default()
    }
}

#[test]
fn near_comes_before_far() {
    let answer = ask(RecommendRequest {
        page_size: 3,
        ..ann()
    });
    // item_knn: near .8·w, far .2·w + .2·.5, w the decay of one day; user_knn: far; popular: hit, near.
    assert_eq!(ids(&answer), ["near", "far", "hit"]);
    assert_eq!(
        (answer.degraded, answer.shortfall, answer.page_size),
        (None, None, 3)
    );
    let near = &answer.items[0];
    assert!(
        (near.score - (0.5 + 0.1 / 3.0)).abs() < 1e-6,
        "{}",
        near.score
    );
    let because = near.reasons[0];
    let old = answer.snapshot.items.find("old").unwrap();
    assert_eq!(
        because.basis,
        Basis::BecauseOfItem {
            item: old,
            similarity: 0.8,
            is_in_cart: false
        }
    );
    assert_eq!(because.contribution, 0.5);
    assert_eq!(
        near.reasons[1].basis,
        Basis::PopularItem { window_days: 30 }
    );
    let far = &answer.items[1];
    assert_eq!(far.reasons[0].basis, Basis::SimilarUsers { user_count: 1 });
    assert_eq!(answer.unit_price(near.item).unwrap().amount_minor, 199);
}

#[test]
fn what_was_bought_is_hidden_and_what_was_seen_only_if_asked() {
    let all = RecommendRequest {
        page_size: 100,
        include_unavailable: true,
        ..ann()
    };
    assert!(!ids(&ask(all.clone())).contains(&"old"));
    assert!(ids(&ask(all.clone())).contains(&"looked"));
    let both = Some((true, vec!["purchase", "view_item"], None));
    let hidden = ask(RecommendRequest {
        seen: both,
        ..all.clone()
    });
    assert!(!ids(&hidden).contains(&"old") && !ids(&hidden).contains(&"looked"));
    // An event exactly as old as the window no longer hides.
    let window = Some((true, vec![], Some(DurationUs::from_days(1))));
    assert!(
        ids(&ask(RecommendRequest {
            seen: window,
            ..all.clone()
        }))
        .contains(&"old")
    );
    let longer = Some((true, vec![], Some(DurationUs(DAY_US + 1))));
    assert!(
        !ids(&ask(RecommendRequest {
            seen: longer,
            ..all
        }))
        .contains(&"old")
    );
}

#[test]
fn a_repeat_is_offered_when_seen_items_are_shown() {
    let answer = ask(RecommendRequest {
        seen: Some((false, vec![], None)),
        ..ann()
    });
    assert_eq!(ids(&answer)[0], "old");
    let last_event_at = TimeUs(WATERMARK_US - DAY_US);
    assert_eq!(
        answer.items[0].reasons[0].basis,
        Basis::ChosenBefore {
            event_count: 2,
            last_event_at
        }
    );
}

#[test]
fn a_cart_speaks_first_and_never_comes_back() {
    let cart = RecommendRequest {
        cart_item_ids: vec!["old", "nothing", "old"],
        ..RecommendRequest::default()
    };
    let answer = ask(RecommendRequest {
        page_size: 100,
        ..cart
    });
    assert_eq!(ids(&answer), ["near", "hit", "far", "alone", "looked"]);
    assert_eq!(answer.degraded, None);
    let Basis::BecauseOfItem { is_in_cart, .. } = answer.items[0].reasons[0].basis else {
        panic!("{:?}", answer.items[0].reasons)
    };
    assert!(is_in_cart);
}

#[test]
fn unknown_users_get_what_is_popular_and_are_told_so() {
    for (user_id, degraded) in [
        ("", DegradedReason::UnknownUser),
        ("nobody", DegradedReason::UnknownUser),
        ("new", DegradedReason::NoHistory),
    ] {
        let answer = ask(RecommendRequest {
            user_id,
            ..RecommendRequest::default()
        });
        assert_eq!(ids(&answer), ["hit", "old"], "{user_id:?}");
        assert_eq!(answer.degraded, Some(degraded), "{user_id:?}");
    }
}

#[test]
fn without_personalization_nobody_is_degraded_and_nothing_is_hidden() {
    let off = |user_id| RecommendRequest {
        user_id,
        personalization_off: true,
        cart_item_ids: vec!["hit"],
        ..RecommendRequest::default()
    };
    let answer = ask(off("ann"));
    assert_eq!(ids(&answer), ["hit", "old"]);
    assert_eq!(answer.degraded, None);
    let excluded = ask(RecommendRequest {
        exclude_item_ids: vec!["hit"],
        ..off("ann")
    });
    assert_eq!(ids(&excluded), ["old", "near"]);
}

#[test]
fn a_short_page_is_said_and_never_padded() {
    let bread = RecommendRequest {
        categories: vec!["bread"],
        page_size: 5,
        ..ann()
    };
    let answer = ask(bread.clone());
    assert_eq!(ids(&answer), ["near", "far"]);
    assert_eq!(answer.shortfall, Some(ShortfallReason::FewerEligible));
    let with_gone = ask(RecommendRequest {
        include_unavailable: true,
        ..bread.clone()
    });
    assert_eq!(ids(&with_gone), ["near", "gone", "far"]);
    let capped = ask(RecommendRequest {
        category_cap: Some(1),
        ..bread
    });
    assert_eq!(ids(&capped), ["near"]);
    assert_eq!(capped.shortfall, Some(ShortfallReason::CategoryCap));
    let nothing = ask(RecommendRequest {
        kinds: vec!["post"],
        ..ann()
    });
    assert!(nothing.items.is_empty());
    assert_eq!(nothing.shortfall, Some(ShortfallReason::NothingEligible));
}

#[test]
fn items_that_no_source_knows_fill_a_page_last() {
    let answer = ask(RecommendRequest {
        kinds: vec!["product"],
        page_size: 5,
        ..ann()
    });
    assert_eq!(ids(&answer), ["near", "far", "hit", "alone"]);
    assert_eq!(
        (answer.items[3].score, answer.items[3].reasons.len()),
        (0.0, 0)
    );
}

#[test]
fn an_empty_catalogue_gives_an_empty_page() {
    let answer = engine_of(&SnapshotRows::empty(Vec::new(), &["ann"]));
    let answer = answer.recommend("default", &ann(), NOW).unwrap();
    assert!(answer.items.is_empty());
    assert_eq!(answer.shortfall, Some(ShortfallReason::NothingEligible));
    assert_eq!(answer.degraded, Some(DegradedReason::NoHistory));
}

#[test]
fn what_cannot_be_answered_is_named() {
    let engine = Engine::new(EngineSettings {
        placements: [("default".to_owned(), placement())].into(),
    })
    .unwrap();
    let error = |placement: &str, request: RecommendRequest| {
        engine.recommend(placement, &request, NOW).err().unwrap()
    };
    let none = error("default", ann());
    assert_eq!(
        (none.kind, none.reason),
        (ErrorKind::Unavailable, "NO_SNAPSHOT")
    );
    let unknown = error("front", ann());
    assert_eq!(
        (unknown.kind, unknown.reason),
        (ErrorKind::NotFound, "PLACEMENT_NOT_FOUND")
    );
    assert_eq!(unknown.field, "placement");
    let large = error(
        "default",
        RecommendRequest {
            page_size: 500,
            ..ann()
        },
    );
    assert_eq!(
        (large.kind, large.reason),
        (ErrorKind::InvalidArgument, "PAGE_SIZE_TOO_LARGE")
    );
    assert_eq!(large.message, "page_size is 500; the maximum is 100");
}

#[test]
fn wrong_placements_are_refused_by_name() {
    for (change, field) in [
        (json!({"page_size": 0}), "placements.front.page_size"),
        (json!({"page_size": 101}), "placements.front.page_size"),
        (
            json!({"category_cap": 101}),
            "placements.front.category_cap",
        ),
        (
            json!({"sources": ["repeat", "repeat"]}),
            "placements.front.sources",
        ),
    ] {
        let mut placement = json!({
            "page_size": 20, "sources": [], "category_cap": 0, "include_reasons": true,
            "seen": {"hide_seen": true, "event_names": ["purchase"], "window_days": 7},
        });
        placement
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let settings: EngineSettings =
            serde_json::from_value(json!({"placements": {"front": placement}})).unwrap();
        let error = Engine::new(settings).err().unwrap();
        assert_eq!(
            (error.kind, error.field.as_str()),
            (ErrorKind::InvalidArgument, field),
            "{error}"
        );
    }
    let unknown = json!({"placements": {}, "extra": 1});
    assert!(serde_json::from_value::<EngineSettings>(unknown).is_err());
}

#[test]
fn a_decision_ends_on_the_snapshot_it_began_with() {
    let (first, mut second) = (rows(), rows());
    second.items.truncate(3);
    second.item_neighbours = vec![Vec::new(); 3];
    second.history = vec![Vec::new(); 3];
    second.popular = [vec![(0, 1.0)], vec![(0, 1.0)], vec![(0, 1.0)]];
    let engine = engine_of(&first);
    let snapshots: Vec<Arc<Snapshot>> = [engine_of(&first), engine_of(&second)]
        .iter()
        .map(|engine| engine.snapshot().unwrap())
        .collect();
    let expected = [vec!["near", "far"], vec!["alone", "far"]];
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let answer = engine.recommend("default", &ann(), NOW).unwrap();
                    let is_first = answer.snapshot.items.len() == 7;
                    assert_eq!(ids(&answer), expected[usize::from(!is_first)]);
                }
            });
        }
        for turn in 0..200 {
            engine.publish(Arc::clone(&snapshots[turn % 2]));
        }
    });
}

#[test]
fn one_source_alone_gives_its_own_items_only() {
    let engine = engine_of(&rows());
    let options = promosvc_engine::engine::EvaluationOptions {
        sources: vec![Source::UserKnn],
        ..Default::default()
    };
    let answer = engine
        .recommend_for_evaluation(&placement(), &ann(), NOW, &options)
        .unwrap();
    assert_eq!(ids(&answer), ["far"]);
    let stranger = RecommendRequest::default();
    let answer = engine
        .recommend_for_evaluation(&placement(), &stranger, NOW, &options)
        .unwrap();
    assert!(answer.items.is_empty());
}
