//! Publishing, folding and deciding at once: every decision sees one whole state.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use promosvc_engine::decision::{RankedItem, RecommendRequest, Recommendation};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::history::{Effect, ItemFact, LiveSettings, LiveState, RecordedEvent};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;
use support::shop::{placement, rows};
use support::{ItemRow, SnapshotRows, WATERMARK_US};

const NOW: TimeUs = TimeUs(WATERMARK_US);
const RECORDS: u64 = 2_000;
/// Items with a fact that no answer shows: they make a publication take its time.
const FILLERS: usize = 3_000;

fn snapshot_of(rows: &SnapshotRows) -> Arc<Snapshot> {
    let root = tempfile::tempdir().unwrap();
    Arc::new(Snapshot::open(&rows.write(root.path())).unwrap())
}

fn ids(answer: &Recommendation) -> Vec<&str> {
    let id = |ranked: &RankedItem| answer.item_id(ranked.item);
    answer.items.iter().map(id).collect()
}

/// Of the items `far` and `near` one can be had, by turns; of the new items `zig` and `zag` one belongs to cheese.
fn record(turn: u64) -> [Effect<'static>; 5] {
    let is_even = turn.is_multiple_of(2);
    let available = |item_id, is_available| {
        Effect::Item(ItemFact {
            item_id,
            is_available: Some(is_available),
            ..ItemFact::default()
        })
    };
    let categorised = |item_id, is_cheese| {
        Effect::Item(ItemFact {
            item_id,
            category: Some(if is_cheese { "cheese" } else { "tea" }),
            ..ItemFact::default()
        })
    };
    [
        available("far", is_even),
        categorised("zig", is_even),
        Effect::Event(RecordedEvent {
            source: "live",
            event_id: "any",
            event_name: "purchase",
            user_id: "eve",
            item_id: "old",
            event_at: NOW,
        }),
        categorised("zag", !is_even),
        available("near", !is_even),
    ]
}

/// The shop and its fillers, which come last.
fn with_fillers(mut rows: SnapshotRows) -> SnapshotRows {
    for filler in 0..FILLERS {
        rows.items.push(ItemRow::new(&filler_id(filler)));
        rows.item_neighbours.push(Vec::new());
    }
    rows
}

fn filler_id(filler: usize) -> String {
    format!("zz-{filler:05}")
}

/// Sells the fillers out, in one record at position 0.
fn sell_fillers_out(engine: &Engine) {
    let item_ids: Vec<String> = (0..FILLERS).map(filler_id).collect();
    let sold_out = |item_id| {
        Effect::Item(ItemFact {
            item_id,
            stock: Some(0),
            ..ItemFact::default()
        })
    };
    let effects: Vec<Effect<'_>> = item_ids.iter().map(|item_id| sold_out(item_id)).collect();
    engine.apply(0, &effects);
}

fn live_engine() -> Engine {
    let live = LiveState::new(LiveSettings {
        event_names: vec!["purchase".into()],
        ..LiveSettings::default()
    });
    let placements = [("default".to_owned(), placement())].into();
    let settings = EngineSettings { placements };
    let engine = Engine::with_live(settings, Arc::new(live.unwrap())).unwrap();
    sell_fillers_out(&engine);
    engine
}

/// Folds the record of a turn and gives the position behind it.
fn apply(engine: &Engine, turn: u64) -> u64 {
    let position = position_of(turn);
    engine.apply(position, &record(turn));
    position_of(turn + 1)
}

fn position_of(turn: u64) -> u64 {
    FILLERS as u64 + turn * record(turn).len() as u64
}

#[test]
fn every_decision_sees_one_whole_state() {
    let mut late = SnapshotRows {
        events_position: 0,
        ..rows()
    };
    // Another snapshot numbers items in another way.
    late.items.insert(0, ItemRow::new("aa"));
    late.item_neighbours = vec![Vec::new(); late.items.len()];
    late.history = vec![Vec::new(); late.users.len()];
    late.popular = [Vec::new(), Vec::new(), vec![(0, 1.0)]];
    let snapshots = [rows(), late].map(|rows| snapshot_of(&with_fillers(rows)));

    let engine = live_engine();
    let is_done = AtomicBool::new(false);
    let acknowledged = AtomicU64::new(apply(&engine, 0));
    engine.publish(Arc::clone(&snapshots[0]));
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 1..RECORDS {
                acknowledged.store(apply(&engine, turn), Ordering::SeqCst);
            }
            is_done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let mut turn = 0;
            while !is_done.load(Ordering::SeqCst) {
                turn += 1;
                engine.publish(Arc::clone(&snapshots[turn % 2]));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::SeqCst) {
                    let everything = RecommendRequest {
                        page_size: 100,
                        ..RecommendRequest::default()
                    };
                    let before = acknowledged.load(Ordering::SeqCst);
                    let (answer, trace) = engine
                        .recommend_traced("default", &everything, NOW)
                        .unwrap();
                    assert!(
                        trace.events_position >= before,
                        "an acknowledged fact is missing"
                    );
                    let behind = |&turn: &u64| position_of(turn + 1) == trace.events_position;
                    let turn = (0..RECORDS)
                        .find(behind)
                        .expect("a whole number of records");
                    let found = ids(&answer);
                    let is_even = turn.is_multiple_of(2);
                    assert_eq!(found.contains(&"far"), is_even, "{found:?}");
                    assert_eq!(found.contains(&"near"), !is_even, "{found:?}");
                    let cheese = RecommendRequest {
                        categories: vec!["cheese"],
                        user_id: "eve",
                        ..everything
                    };
                    let answer = engine.recommend("default", &cheese, NOW).unwrap();
                    let found = ids(&answer);
                    assert!(found == ["zig"] || found == ["zag"], "{found:?}");
                    assert_eq!(answer.category(answer.items[0].item), "cheese");
                }
            });
        }
    });
    // What is left is what a single thread would have made.
    let alone = |engine: &Engine| {
        let request = RecommendRequest {
            user_id: "eve",
            page_size: 100,
            ..RecommendRequest::default()
        };
        engine.publish(Arc::clone(&snapshots[1]));
        let (answer, trace) = engine.recommend_traced("default", &request, NOW).unwrap();
        (ids(&answer).join(" "), trace)
    };
    let twin = live_engine();
    for turn in 0..RECORDS {
        apply(&twin, turn);
    }
    assert_eq!(alone(&engine), alone(&twin));
}
