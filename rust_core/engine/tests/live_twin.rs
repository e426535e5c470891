//! With live events and catalogue facts, too, the engine decides exactly as its slow twin; and a decision is a function
//! of what its trace names.

mod support;

use std::sync::Arc;

use promosvc_engine::decision::{DecisionTrace, Recommendation};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::history::{Effect, RecordedEvent};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::ItemIdx;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};

use support::SnapshotRows;
use support::asks::{Ask, answer, as_twin, ask, bits};
use support::log::{Entry, Event, LogSettings, apply, entries};
use support::twin::{self, World};

fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(11),
        failure_persistence: None,
        ..Config::default()
    }
}

fn snapshot_of(rows: &SnapshotRows) -> Arc<Snapshot> {
    let root = tempfile::tempdir().unwrap();
    Arc::new(Snapshot::open(&rows.write(root.path())).unwrap())
}

fn engine_of(settings: &LogSettings) -> Engine {
    Engine::with_live(EngineSettings::default(), Arc::new(settings.live_state())).unwrap()
}

/// A snapshot that holds some of a log, and the log.
fn rows_and_log() -> impl Strategy<Value = (SnapshotRows, Vec<Entry>)> {
    let parts = (support::random::snapshot_rows(), entries(), any::<Index>());
    parts.prop_map(|(mut rows, log, position)| {
        rows.events_position = position.index(log.len() + 1) as u64;
        let log = behind(&rows, log);
        // Names of live events that no history of the snapshot has are weighed all the same.
        rows.blend["event_weights"]["add_to_cart"] = 0.5.into();
        (rows, log)
    })
}

/// A log whose facts before a snapshot's position are about items that it has, as the format promises.
fn behind(rows: &SnapshotRows, mut log: Vec<Entry>) -> Vec<Entry> {
    let is_known = |item_id: &str| rows.items.iter().any(|row| row.item_id == item_id);
    for entry in log.iter_mut().take(rows.events_position as usize) {
        if let Entry::Item(fact) = entry
            && !is_known(&fact.item_id)
        {
            *entry = Entry::Event(Event::default());
        }
    }
    log
}

/// Everything that an answer says of an item.
fn words(answer: &Recommendation, item: ItemIdx) -> [String; 5] {
    let price = answer.unit_price(item);
    [
        answer.item_id(item).to_owned(),
        answer.title(item).to_owned(),
        answer.kind(item).to_owned(),
        answer.category(item).to_owned(),
        price.map_or_else(String::new, |price| {
            format!("{} {}", price.amount_minor, price.currency)
        }),
    ]
}

fn words_of_row(rows: &SnapshotRows, item: ItemIdx) -> [String; 5] {
    let row = &rows.items[item.at()];
    let price = row.unit_price.as_ref();
    [
        row.item_id.clone(),
        row.title.clone(),
        row.kind.clone(),
        row.category.clone(),
        price.map_or_else(String::new, |(amount, currency)| {
            format!("{amount} {currency}")
        }),
    ]
}

fn decide(engine: &Engine, ask: &Ask, is_incomplete: bool) -> (Recommendation, DecisionTrace) {
    engine
        .replay(&ask.placement, &ask.request(), ask.now, is_incomplete)
        .unwrap()
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn decides_as_its_twin(
        (rows, log) in rows_and_log(),
        asks in prop::collection::vec(ask(), 12),
        published_at in any::<Index>(),
        length in 1..9_usize,
    ) {
        let settings = LogSettings::default();
        let world = World::new(&rows, &log, &settings);
        let engine = engine_of(&settings);
        // Whether the snapshot is published before the log, behind it or somewhere in it changes nothing.
        let published_at = published_at.index(log.len() + 1);
        apply(&engine, 0, &log[..published_at], length);
        engine.publish(snapshot_of(&rows));
        apply(&engine, published_at, &log[published_at..], length);
        for ask in &asks {
            let expected = twin::recommend(&world, &ask.placement, &ask.request(), ask.now, &ask.options);
            let found = answer(&engine, ask);
            prop_assert_eq!(&found, &expected, "{:?}", ask);
            prop_assert_eq!(bits(&found), bits(&expected));
            let (found, _) = decide(&engine, ask, false);
            for ranked in &found.items {
                prop_assert_eq!(words(&found, ranked.item), words_of_row(&world.now, ranked.item));
            }
        }
    }

    #[test]
    fn a_decision_is_a_function_of_what_its_trace_names(
        (rows, log) in rows_and_log(),
        asks in prop::collection::vec(ask(), 6),
    ) {
        let snapshot = snapshot_of(&rows);
        let engine = engine_of(&LogSettings::default());
        engine.publish(Arc::clone(&snapshot));
        apply(&engine, 0, &log, 4);
        for ask in &asks {
            let (found, trace) = decide(&engine, ask, false);

            // Another process numbers names and items in another way and knows nobody else's events.
            let mut settings = LogSettings::default();
            settings.event_names.reverse();
            let fresh = engine_of(&settings);
            let facts = (rows.events_position..trace.events_position).filter_map(|position| {
                let entry = &log[position as usize];
                matches!(entry, Entry::Item(_)).then(|| (position, entry.effect()))
            });
            let events = trace.used_events.iter().map(|used| {
                (used.position, Effect::Event(RecordedEvent {
                    source: "",
                    event_id: "",
                    event_name: &used.event_name,
                    user_id: &ask.user_id,
                    item_id: &used.item_id,
                    event_at: used.event_at,
                }))
            });
            let mut effects: Vec<(u64, Effect)> = facts.chain(events).collect();
            effects.sort_by_key(|&(position, _)| position);
            for (position, effect) in effects {
                fresh.apply(position, &[effect]);
            }
            fresh.publish(Arc::clone(&snapshot));

            let (again, trace_again) = decide(&fresh, ask, trace.is_live_state_incomplete);
            prop_assert_eq!(
                found.items.iter().map(|ranked| words(&found, ranked.item)).collect::<Vec<_>>(),
                again.items.iter().map(|ranked| words(&again, ranked.item)).collect::<Vec<_>>()
            );
            let (found, again) = (as_twin(found), as_twin(again));
            prop_assert_eq!(&found, &again);
            prop_assert_eq!(bits(&found), bits(&again));
            let expected = DecisionTrace { events_position: trace_again.events_position, ..trace };
            prop_assert_eq!(trace_again, expected);
        }
    }

    #[test]
    fn the_catalogue_hash_tells_states_apart(
        (rows, log) in rows_and_log(),
        others in entries(),
        ask in ask(),
    ) {
        let snapshot = snapshot_of(&rows);
        let hash_and_items = |log: &[Entry], length| {
            let engine = engine_of(&LogSettings::default());
            apply(&engine, 0, log, length);
            engine.publish(Arc::clone(&snapshot));
            let hash = decide(&engine, &ask, false).1.catalogue_hash;
            (hash, format!("{:?}", told(&rows, log)))
        };
        let (hash, state) = hash_and_items(&log, 1);
        prop_assert_eq!(&hash_and_items(&log, 7).0, &hash);
        let (other_hash, other_state) = hash_and_items(&behind(&rows, others), 3);
        prop_assert_eq!(hash == other_hash, state == other_state);
        prop_assert_eq!(hash.is_none(), state == "{}");
    }
}

/// The newest value of each field that a log says of an item behind a snapshot.
fn told(
    rows: &SnapshotRows,
    log: &[Entry],
) -> std::collections::BTreeMap<String, support::log::Fact> {
    let mut told = std::collections::BTreeMap::new();
    for entry in log.iter().skip(rows.events_position as usize) {
        if let Entry::Item(new) = entry {
            let new = new.clone();
            let says_nothing = new.kind.is_none()
                && new.title.is_none()
                && new.category.is_none()
                && new.unit_price.is_none()
                && new.stock.is_none()
                && new.is_available.is_none();
            if says_nothing && rows.items.iter().any(|row| row.item_id == new.item_id) {
                continue;
            }
            let fact: &mut support::log::Fact = told.entry(new.item_id.clone()).or_default();
            fact.kind = new.kind.or(fact.kind.take());
            fact.title = new.title.or(fact.title.take());
            fact.category = new.category.or(fact.category.take());
            fact.unit_price = new.unit_price.or(fact.unit_price.take());
            fact.stock = new.stock.or(fact.stock);
            fact.is_available = new.is_available.or(fact.is_available);
        }
    }
    told
}
