//! What live events and catalogue facts do to decisions, checked by hand.

mod support;

use std::sync::Arc;

use promosvc_engine::decision::{
    Basis, DegradedReason, RecommendRequest, Recommendation, ShortfallReason,
};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::history::{Effect, ItemFact, LiveSettings, LiveState, RecordedEvent};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::{DurationUs, TimeUs};
use support::shop::{placement, rows};
use support::{DAY_US, HistoryRow, ItemRow, SnapshotRows, WATERMARK_US};

const NOW: TimeUs = TimeUs(WATERMARK_US + DAY_US);
const BUY: &str = "purchase";
const VIEW: &str = "view_item";

fn live_engine(settings: LiveSettings) -> Engine {
    let live = LiveState::new(LiveSettings {
        event_names: vec!["search".into(), VIEW.into(), BUY.into()],
        ..settings
    });
    let placements = [("default".to_owned(), placement())].into();
    Engine::with_live(EngineSettings { placements }, Arc::new(live.unwrap())).unwrap()
}

fn publish(engine: &Engine, rows: &SnapshotRows) {
    let root = tempfile::tempdir().unwrap();
    engine.publish(Arc::new(Snapshot::open(&rows.write(root.path())).unwrap()));
}

/// An engine on the shop, whose snapshot holds the event log before position 10.
fn shop() -> Engine {
    let engine = live_engine(LiveSettings::default());
    publish(&engine, &shop_rows());
    engine
}

fn shop_rows() -> SnapshotRows {
    SnapshotRows {
        events_position: 10,
        ..rows()
    }
}

fn event<'a>(user_id: &'a str, event_name: &'a str, item_id: &'a str) -> Effect<'a> {
    Effect::Event(RecordedEvent {
        source: "live",
        event_id: "any",
        event_name,
        user_id,
        item_id,
        event_at: NOW,
    })
}

fn fact(item_id: &str) -> ItemFact<'_> {
    ItemFact {
        item_id,
        ..ItemFact::default()
    }
}

fn ask(user_id: &str) -> RecommendRequest<'_> {
    RecommendRequest {
        user_id,
        page_size: 100,
        ..RecommendRequest::default()
    }
}

fn answer(engine: &Engine, request: &RecommendRequest) -> Recommendation {
    engine.recommend("default", request, NOW).unwrap()
}

fn ids(answer: &Recommendation) -> Vec<&str> {
    let id = |ranked: &promosvc_engine::decision::RankedItem| answer.item_id(ranked.item);
    answer.items.iter().map(id).collect()
}

#[test]
fn a_purchase_is_hidden_and_speaks_for_similar_items_at_once() {
    let engine = shop();
    // A stranger gets what is popular: `gone` cannot be had.
    let before = answer(&engine, &ask("eve"));
    assert_eq!(ids(&before)[..3], ["hit", "old", "near"]);
    assert_eq!(before.degraded, Some(DegradedReason::UnknownUser));
    engine.apply(10, &[event("eve", BUY, "old")]);
    let after = answer(&engine, &ask("eve"));
    assert_eq!(ids(&after)[..3], ["near", "hit", "far"]);
    assert!(!ids(&after).contains(&"old"));
    assert_eq!(after.degraded, None);
    let because = after.items[0].reasons[0].basis;
    let Basis::BecauseOfItem {
        item, similarity, ..
    } = because
    else {
        panic!("{because:?}");
    };
    assert_eq!((after.item_id(item), similarity), ("old", 0.8));
}

#[test]
fn what_the_snapshot_holds_does_not_count_twice() {
    let engine = shop();
    let show_seen = RecommendRequest {
        seen: Some((false, vec![], None)),
        ..ask("ann")
    };
    let choice = |engine: &Engine| {
        let answer = answer(engine, &show_seen);
        let old = answer
            .items
            .iter()
            .find(|ranked| answer.item_id(ranked.item) == "old")
            .unwrap();
        let chosen = |basis: &Basis| match *basis {
            Basis::ChosenBefore {
                event_count,
                last_event_at,
            } => Some((event_count, last_event_at)),
            _ => None,
        };
        let mut bases = old.reasons.iter().map(|reason| &reason.basis);
        bases.find_map(chosen).unwrap()
    };
    let yesterday = TimeUs(WATERMARK_US - DAY_US);
    assert_eq!(choice(&engine), (2, yesterday));
    // Positions below 10 are in the snapshot.
    engine.apply(9, &[event("ann", BUY, "old"), event("ann", BUY, "old")]);
    assert_eq!(choice(&engine), (3, NOW));
    // A view weighs less than a purchase: it moves the time and not the count.
    engine.apply(11, &[event("ann", VIEW, "old")]);
    assert_eq!(choice(&engine), (3, NOW));
    // The next snapshot holds these three, and only the one after it comes on top.
    let mut next = shop_rows();
    next.events_position = 12;
    next.watermark_at_us += 1;
    engine.apply(12, &[event("ann", BUY, "old")]);
    publish(&engine, &next);
    assert_eq!(choice(&engine), (3, NOW));
    // Rolled back, all of them are live again.
    publish(&engine, &shop_rows());
    assert_eq!(choice(&engine), (4, NOW));
}

#[test]
fn live_events_are_seen_by_name_and_window() {
    let engine = shop();
    engine.apply(10, &[event("new", VIEW, "near"), event("new", BUY, "hit")]);
    let default = answer(&engine, &ask("new"));
    assert!(ids(&default).contains(&"near") && !ids(&default).contains(&"hit"));
    let with = |names, window| {
        let seen = Some((true, names, window));
        let request = RecommendRequest { seen, ..ask("new") };
        let answer = answer(&engine, &request);
        let is_answered = |item_id| ids(&answer).contains(&item_id);
        (is_answered("near"), is_answered("hit"))
    };
    assert_eq!(with(vec![VIEW], None), (false, true));
    assert_eq!(with(vec![VIEW, BUY], None), (false, false));
    assert_eq!(with(vec!["search"], None), (true, true));
    // An event of this moment is younger than the shortest window.
    assert_eq!(with(vec![BUY], Some(DurationUs(1))), (true, false));
    assert_eq!(with(vec![BUY], Some(DurationUs(0))), (true, true));
}

#[test]
fn somebody_whose_live_events_say_nothing_is_known_all_the_same() {
    let engine = shop();
    // No fact tells of `pen`: it can be neither answered nor compared with.
    engine.apply(10, &[event("eve", BUY, "pen")]);
    let unknown_item = answer(&engine, &ask("eve"));
    assert_eq!(unknown_item.degraded, Some(DegradedReason::NoHistory));
    assert!(!ids(&unknown_item).contains(&"pen"));
    let off = RecommendRequest {
        personalization_off: true,
        ..ask("eve")
    };
    assert_eq!(answer(&engine, &off).degraded, None);
}

#[test]
fn facts_are_honoured_by_the_next_call() {
    let engine = shop();
    let told = |position, item| engine.apply(position, &[Effect::Item(item)]);
    let is_answered = |item_id| ids(&answer(&engine, &ask("ann"))).contains(&item_id);
    assert!(is_answered("near") && !is_answered("gone"));
    told(
        10,
        ItemFact {
            stock: Some(0),
            ..fact("near")
        },
    );
    told(
        11,
        ItemFact {
            is_available: Some(true),
            ..fact("gone")
        },
    );
    assert!(!is_answered("near") && is_answered("gone"));
    told(
        12,
        ItemFact {
            stock: Some(3),
            unit_price: Some((250, "EUR")),
            title: Some("Nearer"),
            kind: Some("course"),
            ..fact("near")
        },
    );
    let courses = RecommendRequest {
        kinds: vec!["course"],
        ..ask("ann")
    };
    let found = answer(&engine, &courses);
    assert_eq!(ids(&found), ["near", "looked"]);
    let near = found.items[0].item;
    assert_eq!((found.title(near), found.kind(near)), ("Nearer", "course"));
    assert_eq!(found.category(near), "bread");
    let price = found.unit_price(near).unwrap();
    assert_eq!((price.amount_minor, price.currency), (250, "EUR"));
    // What the log said before the snapshot's position is in the snapshot, whatever the snapshot says.
    told(
        9,
        ItemFact {
            is_available: Some(false),
            ..fact("hit")
        },
    );
    assert!(is_answered("hit"));
}

#[test]
fn a_changed_category_is_honoured_by_filter_and_cap() {
    let engine = shop();
    let moved = ItemFact {
        category: Some("bakery"),
        ..fact("far")
    };
    engine.apply(10, &[Effect::Item(moved)]);
    let of = |category| {
        let categories = vec![category];
        let request = RecommendRequest {
            categories,
            ..ask("ann")
        };
        let answer = answer(&engine, &request);
        ids(&answer)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("bread"), of("bakery")),
        (vec!["near".into()], vec!["far".into()])
    );
    let capped = |engine: &Engine| {
        let request = RecommendRequest {
            category_cap: Some(1),
            ..ask("ann")
        };
        ids(&answer(engine, &request)).join(" ")
    };
    assert_eq!(capped(&engine), "near far hit alone looked");
    let back = ItemFact {
        category: Some("bread"),
        ..fact("far")
    };
    engine.apply(11, &[Effect::Item(back)]);
    assert_eq!(capped(&engine), "near hit alone looked");
}

#[test]
fn a_new_item_is_answered_by_category_and_popular_prior_until_a_snapshot_knows_it() {
    let engine = shop();
    let roll = ItemFact {
        category: Some("milk"),
        title: Some("A roll"),
        unit_price: Some((90, "USD")),
        ..fact("roll")
    };
    engine.apply(10, &[Effect::Item(fact("bare")), Effect::Item(roll)]);
    let found = answer(&engine, &ask("eve"));
    // Popular in 7 days (weight .2) and 30 days (.1): hit 9 and 30, old 4 and 0, near 0 and 10; of milk (hit and old)
    // 6.5 and 15; of no category (`alone`) 0.
    let scores: Vec<(&str, f32)> = found
        .items
        .iter()
        .map(|ranked| (found.item_id(ranked.item), ranked.score))
        .collect();
    let roll_score = 0.2 * (6.5 / 9.0) + 0.1 * (15.0 / 30.0);
    assert_eq!(scores[0], ("hit", 0.2_f32 + 0.1));
    assert_eq!(scores[1].0, "roll");
    assert!((scores[1].1 - roll_score).abs() < 1e-6, "{scores:?}");
    assert_eq!(scores.last().unwrap(), &("bare", 0.0));
    let roll = found.items[1].item;
    assert_eq!(
        (found.title(roll), found.kind(roll), found.category(roll)),
        ("A roll", "product", "milk")
    );
    assert_eq!(found.unit_price(roll).unwrap().amount_minor, 90);
    let is_popular = |basis| matches!(basis, Basis::PopularItem { .. });
    assert!(
        found.items[1]
            .reasons
            .iter()
            .all(|reason| is_popular(reason.basis))
    );
    // It is bought, hidden, and offered again where seen items are shown.
    engine.apply(12, &[event("eve", BUY, "roll")]);
    assert!(!ids(&answer(&engine, &ask("eve"))).contains(&"roll"));
    let show_seen = RecommendRequest {
        seen: Some((false, vec![], None)),
        ..ask("eve")
    };
    let again = answer(&engine, &show_seen);
    assert_eq!(ids(&again)[0], "roll");
    assert!(matches!(
        again.items[0].reasons[0].basis,
        Basis::ChosenBefore { event_count: 1, .. }
    ));
    // Its category sells out; the cart and the excluded know it, too.
    let excluded = RecommendRequest {
        exclude_item_ids: vec!["roll"],
        ..ask("ben")
    };
    assert!(!ids(&answer(&engine, &excluded)).contains(&"roll"));
    let gone = ItemFact {
        stock: Some(0),
        ..fact("roll")
    };
    engine.apply(13, &[Effect::Item(gone)]);
    assert!(!ids(&answer(&engine, &ask("ben"))).contains(&"roll"));

    // The next snapshot has it as a row of its own, with everything that was said of it.
    let mut next = shop_rows();
    next.events_position = 14;
    next.items.push(ItemRow {
        title: "A roll".into(),
        stock: Some(2),
        ..ItemRow::in_category("roll", "milk")
    });
    next.item_neighbours.push(vec![(3, 0.5)]);
    publish(&engine, &next);
    let found = answer(&engine, &ask("ben"));
    assert!(ids(&found).contains(&"roll") && !ids(&found).contains(&"bare"));
    assert_eq!(found.catalogue.facts_hash(), None);
    assert_eq!(found.catalogue.len(), 8);
}

#[test]
fn the_answer_says_when_live_state_is_full() {
    let engine = live_engine(LiveSettings {
        events_per_user_max: 1,
        ..LiveSettings::default()
    });
    publish(&engine, &shop_rows());
    engine.apply(10, &[event("ann", VIEW, "far")]);
    assert_eq!(answer(&engine, &ask("ann")).degraded, None);
    engine.apply(11, &[event("ann", VIEW, "near")]);
    // Also of a personal answer; others have all their events.
    let degraded = |user_id| answer(&engine, &ask(user_id)).degraded;
    assert_eq!(degraded("ann"), Some(DegradedReason::LiveStateFull));
    assert_eq!(degraded("new"), Some(DegradedReason::NoHistory));
    assert_eq!(degraded(""), Some(DegradedReason::UnknownUser));
    // A snapshot that holds the missing one makes it whole again.
    let next = SnapshotRows {
        events_position: 11,
        ..shop_rows()
    };
    publish(&engine, &next);
    assert_eq!(degraded("ann"), None);
}

#[test]
fn without_items_only_extras_are_answered() {
    let engine = live_engine(LiveSettings::default());
    engine.apply(
        0,
        &[
            Effect::Item(fact("b")),
            Effect::Item(fact("a")),
            event("eve", BUY, "b"),
        ],
    );
    publish(&engine, &SnapshotRows::empty(Vec::new(), &[]));
    assert_eq!(ids(&answer(&engine, &ask("ben"))), ["a", "b"]);
    let found = answer(&engine, &ask("eve"));
    assert_eq!(ids(&found), ["a"]);
    assert_eq!(found.shortfall, Some(ShortfallReason::FewerEligible));
    assert_eq!(found.degraded, None);
}

#[test]
fn a_trace_names_what_a_decision_was_made_from() {
    let engine = shop();
    engine.apply(10, &[event("ann", BUY, "hit"), event("eve", BUY, "hit")]);
    let told = ItemFact {
        stock: Some(1),
        ..fact("near")
    };
    engine.apply(12, &[Effect::Item(told)]);
    engine.apply(13, &[event("ann", VIEW, "pen")]);
    let (answer, trace) = engine
        .recommend_traced("default", &ask("ann"), NOW)
        .unwrap();
    assert_eq!(trace.events_position, 13);
    let used: Vec<(u64, &str, &str)> = trace
        .used_events
        .iter()
        .map(|used| {
            (
                used.position,
                used.event_name.as_str(),
                used.item_id.as_str(),
            )
        })
        .collect();
    assert_eq!(used, [(10, BUY, "hit"), (13, VIEW, "pen")]);
    assert!(!trace.is_live_state_incomplete);
    assert!(trace.catalogue_hash.is_some());
    let candidates: Vec<&str> = trace
        .candidates
        .iter()
        .map(|candidate| candidate.item_id.as_str())
        .collect();
    assert_eq!(candidates, ids(&answer));
    for (candidate, ranked) in trace.candidates.iter().zip(&answer.items) {
        assert_eq!(candidate.score, ranked.score);
    }
    assert_eq!(trace.candidates[0].item_id, "near");
    assert_eq!(trace.candidates[0].source_scores[0], 1.0);
    let (again, _) = engine.replay(&placement(), &ask("ann"), NOW, true).unwrap();
    assert_eq!(again.degraded, Some(DegradedReason::LiveStateFull));
    assert_eq!(again.items, answer.items);
}

#[test]
fn a_history_row_and_a_live_event_of_one_time_are_in_item_order() {
    // Both events of `ann` are of this moment; the item table's order decides who comes first, as it does within a
    // snapshot, and with room for one only that one speaks.
    let mut rows = shop_rows();
    rows.blend["item_knn"]["history_max"] = 1.into();
    rows.history[0] = vec![HistoryRow {
        item: 4,
        event: 1,
        last_at_us: WATERMARK_US,
        count: 1,
    }];
    let engine = live_engine(LiveSettings::default());
    publish(&engine, &rows);
    let at_watermark = |item_id| {
        let Effect::Event(event) = event("ann", VIEW, item_id) else {
            unreachable!()
        };
        Effect::Event(RecordedEvent {
            event_at: TimeUs(WATERMARK_US),
            ..event
        })
    };
    let first_reason = |engine: &Engine| {
        let answer = answer(engine, &ask("ann"));
        let bases = answer.items.iter().flat_map(|ranked| &ranked.reasons);
        let named: Vec<String> = bases
            .filter_map(|reason| match reason.basis {
                Basis::BecauseOfItem { item, .. } => Some(answer.item_id(item).to_owned()),
                _ => None,
            })
            .collect();
        named
    };
    engine.apply(10, &[at_watermark("old")]);
    assert_eq!(first_reason(&engine), ["looked"]);
    engine.apply(11, &[at_watermark("far")]);
    assert!(first_reason(&engine).is_empty(), "`far` has no neighbours");
}
