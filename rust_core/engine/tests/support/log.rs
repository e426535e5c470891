//! Entries of an event log that own their texts, how they reach an engine, and random ones.

use promosvc_engine::engine::Engine;
use promosvc_engine::history::{Effect, ItemFact, LiveSettings, LiveState, RecordedEvent};
use promosvc_engine::types::TimeUs;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::{CATEGORIES, EVENTS, KINDS, item_id, user_id};
use super::{DAY_US, WATERMARK_US};

/// One position of a log.
#[derive(Clone, Debug)]
pub enum Entry {
    Event(Event),
    Item(Fact),
}

#[derive(Clone, Debug, Default)]
pub struct Event {
    pub user_id: String,
    pub event_name: String,
    pub item_id: String,
    pub event_at_us: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Fact {
    pub item_id: String,
    pub kind: Option<String>,
    pub title: Option<String>,
    pub category: Option<String>,
    pub unit_price: Option<(i64, String)>,
    pub stock: Option<i64>,
    pub is_available: Option<bool>,
}

/// What live state folds.
#[derive(Clone, Debug)]
pub struct LogSettings {
    pub event_names: Vec<String>,
    pub events_per_user_max: usize,
}

impl Default for LogSettings {
    /// The names of random snapshots and one that no snapshot has; of a user six events.
    fn default() -> Self {
        let names = ["add_to_cart"].into_iter().chain(EVENTS);
        Self {
            event_names: names.map(str::to_owned).collect(),
            events_per_user_max: 6,
        }
    }
}

impl LogSettings {
    pub fn live_state(&self) -> LiveState {
        LiveState::new(LiveSettings {
            event_names: self.event_names.clone(),
            events_per_user_max: self.events_per_user_max,
            ..LiveSettings::default()
        })
        .unwrap()
    }
}

impl Entry {
    pub fn effect(&self) -> Effect<'_> {
        match self {
            Entry::Event(event) => Effect::Event(RecordedEvent {
                source: "live",
                event_id: "any",
                event_name: &event.event_name,
                user_id: &event.user_id,
                item_id: &event.item_id,
                event_at: TimeUs(event.event_at_us),
            }),
            Entry::Item(fact) => Effect::Item(ItemFact {
                item_id: &fact.item_id,
                kind: fact.kind.as_deref(),
                title: fact.title.as_deref(),
                category: fact.category.as_deref(),
                brand: None,
                unit_price: fact
                    .unit_price
                    .as_ref()
                    .map(|(amount, currency)| (*amount, currency.as_str())),
                stock: fact.stock,
                is_available: fact.is_available,
            }),
        }
    }
}

/// Folds entries as records of `length` entries, the first at `position`.
pub fn apply(engine: &Engine, position: usize, log: &[Entry], length: usize) {
    for (record, entries) in log.chunks(length.max(1)).enumerate() {
        let effects: Vec<Effect<'_>> = entries.iter().map(Entry::effect).collect();
        engine.apply((position + record * length.max(1)) as u64, &effects);
    }
}

/// A random log about items and users of random snapshots and some others.
pub fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let names = || {
        select(vec![
            "purchase",
            "view_item",
            "refund",
            "add_to_cart",
            "search",
        ])
    };
    let event = (
        0..8_usize,
        names(),
        prop_oneof![9 => (0..36_usize).prop_map(item_id), 1 => Just(String::new())],
        -8..4_i64,
    )
        .prop_map(|(user, event_name, item_id, halves)| {
            Entry::Event(Event {
                user_id: user_id(user),
                event_name: event_name.into(),
                item_id,
                event_at_us: WATERMARK_US + halves * DAY_US / 2,
            })
        });
    let text = |texts: Vec<&'static str>| prop_oneof![2 => Just(None), 1 => select(texts).prop_map(|text| Some(text.to_owned()))];
    let categories = CATEGORIES.into_iter().chain(["cheese", "tea"]).collect();
    let kinds = KINDS.into_iter().chain(["post"]).collect();
    let fact = (
        0..36_usize,
        (text(kinds), text(vec!["", "New title"]), text(categories)),
        prop::option::of((0..500_i64, select(vec!["USD", "EUR"]))),
        prop::option::of(0..3_i64),
        prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)],
    )
        .prop_map(
            |(item, (kind, title, category), price, stock, is_available)| {
                Entry::Item(Fact {
                    item_id: item_id(item),
                    kind,
                    title,
                    category,
                    unit_price: price.map(|(amount, currency)| (amount, currency.to_owned())),
                    stock,
                    is_available,
                })
            },
        );
    prop::collection::vec(prop_oneof![3 => event, 2 => fact], 0..60)
}
