//! Live state against a twin that keeps everything in plain lists and recomputes from the first step.
//!
//! The twin is asked the same questions after every step: histories, completeness, facts, memory. Beside it stands the
//! log itself, of which nothing was ever dropped: whatever live state does not say is missing must be there.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use promosvc_engine::history::{
    AnsweredRequest, CatalogueShard, Effect, ItemFact, LiveEvent, LiveFact, LiveSettings,
    LiveState, RecordedEvent, UserCompleteness, UserShard,
};
use promosvc_engine::types::TimeUs;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const NAMES: [&str; 3] = ["view_item", "purchase", "not folded"];
const USERS: usize = 10;
const ITEMS: usize = 60;
const EVENTS_PER_USER_MAX: usize = 7;

/// Users with their shards: half of them in one, so that they push one another out.
static USER_SHARDS: LazyLock<Vec<(String, usize)>> = LazyLock::new(|| {
    let (together, others): (Vec<_>, Vec<_>) = (0..2000)
        .map(|user| format!("user-{user}"))
        .map(|user_id| (user_id.clone(), shard_of(&user_id)))
        .partition(|(_, shard)| *shard == 3);
    let half = USERS / 2;
    let mut users: Vec<_> = together.into_iter().take(half).collect();
    users.extend(others.into_iter().take(USERS - half));
    users
});

fn shard_of(user_id: &str) -> usize {
    let state = LiveState::new(settings(1 << 30)).expect("settings are good");
    state.apply(0, &[event(user_id, NAMES[0], "any", 0)]);
    let has_user = |shard: &usize| !export(&state, *shard).users.is_empty();
    (0..LiveState::shard_count())
        .find(has_user)
        .expect("the user is in a shard")
}

fn export(state: &LiveState, shard: usize) -> UserShard {
    state.export_users(shard).expect("a shard that exists")
}

fn settings(bytes_max: u64) -> LiveSettings {
    LiveSettings {
        event_names: NAMES[..2].iter().map(|name| (*name).to_owned()).collect(),
        bytes_max,
        events_per_user_max: EVENTS_PER_USER_MAX,
    }
}

fn event<'a>(user_id: &'a str, event_name: &'a str, item_id: &'a str, at: i64) -> Effect<'a> {
    Effect::Event(RecordedEvent {
        source: "live",
        event_id: "",
        event_name,
        user_id,
        item_id,
        event_at: TimeUs(at),
    })
}

/// One entry of the log, owned.
#[derive(Clone, Debug)]
enum Entry {
    Event {
        user: usize,
        name: usize,
        item_id: String,
        at: i64,
    },
    Item(Word),
    Answered,
}

#[derive(Clone, Debug)]
struct Word {
    item_id: String,
    title: Option<String>,
    category: Option<String>,
    price: Option<i64>,
    stock: Option<i64>,
    is_available: Option<bool>,
}

#[derive(Clone, Debug)]
enum Step {
    Record(Vec<Entry>),
    /// So many positions behind the newest.
    Floor(u64),
    /// So many more parts of the checkpoint.
    Export(usize),
}

impl Entry {
    fn effect(&self) -> Effect<'_> {
        match self {
            Entry::Event {
                user,
                name,
                item_id,
                at,
            } => event(&USER_SHARDS[*user].0, NAMES[*name], item_id, *at),
            Entry::Item(word) => Effect::Item(ItemFact {
                item_id: &word.item_id,
                title: word.title.as_deref(),
                category: word.category.as_deref(),
                unit_price: word.price.map(|price| (price, "EUR")),
                stock: word.stock,
                is_available: word.is_available,
                ..ItemFact::default()
            }),
            Entry::Answered => Effect::Answered(AnsweredRequest {
                request_id: "r",
                body_hash: [0; 16],
                answer: b"",
            }),
        }
    }

    /// User, name, item and time, if it is to be kept.
    fn kept(&self) -> Option<(usize, usize, &str, i64)> {
        match self {
            Entry::Event {
                user,
                name,
                item_id,
                at,
            } if *name < 2 && !item_id.is_empty() => Some((*user, *name, item_id, *at)),
            _ => None,
        }
    }
}

fn apply(state: &LiveState, position: u64, entries: &[Entry]) {
    let effects: Vec<Effect<'_>> = entries.iter().map(Entry::effect).collect();
    state.apply(position, &effects);
}

/// Position, time, name and item.
type Event = (u64, i64, usize, String);
type Field = Option<(String, u64)>;

#[derive(Clone, Debug, Default)]
struct TwinUser {
    events: Vec<Event>,
    truncated_before: u64,
}

#[derive(Debug, Default)]
struct Twin {
    users: BTreeMap<usize, TwinUser>,
    evicted_before: HashMap<usize, u64>,
    evicted_users: u64,
    items: BTreeMap<String, u64>,
    /// Item, position of the first word, fields.
    facts: Vec<(String, u64, [Field; 5])>,
    floor: u64,
    position: u64,
}

impl Twin {
    fn of(first: u64, steps: &[Step], bytes_max: u64) -> Self {
        let mut twin = Self {
            position: first,
            ..Self::default()
        };
        for step in steps {
            match step {
                Step::Record(entries) => {
                    for entry in entries {
                        twin.apply(entry, bytes_max);
                        twin.position += 1;
                    }
                }
                Step::Floor(behind) => twin.set_floor(twin.position.saturating_sub(*behind)),
                Step::Export(_) => {}
            }
        }
        twin
    }

    fn apply(&mut self, entry: &Entry, bytes_max: u64) {
        if let Entry::Item(word) = entry {
            self.tell(word);
        }
        let Some((user, name, item_id, at)) = entry.kept() else {
            return;
        };
        let position = self.position;
        let shard = USER_SHARDS[user].1;
        let with_item = self.item_bytes() + item_bytes(item_id);
        if !self.items.contains_key(item_id) && with_item > bytes_max / 8 {
            match self.users.get_mut(&user) {
                Some(known) => known.truncated_before = position + 1,
                None => drop(self.evicted_before.insert(shard, position + 1)),
            }
            return;
        }
        self.items.insert(item_id.to_owned(), position);
        let mark = self.mark(shard);
        let known = self.users.entry(user).or_insert(TwinUser {
            events: Vec::new(),
            truncated_before: mark,
        });
        known.events.push((position, at, name, item_id.to_owned()));
        if known.events.len() > EVENTS_PER_USER_MAX {
            let (dropped, ..) = known.events.remove(0);
            known.truncated_before = known.truncated_before.max(dropped + 1);
        }
        while self.shard_bytes(shard) > bytes_max / 8 * 6 / LiveState::shard_count() as u64 {
            let of_shard = self
                .users
                .iter()
                .filter(|(user, _)| USER_SHARDS[**user].1 == shard);
            let newest = |known: &TwinUser| known.events.last().map(|(position, ..)| *position);
            let (&oldest, _) = of_shard
                .min_by_key(|(_, known)| newest(known))
                .expect("somebody weighs something");
            let gone = self.users.remove(&oldest).expect("found above");
            let missing = gone
                .truncated_before
                .max(newest(&gone).map_or(0, |at| at + 1));
            self.evicted_before
                .insert(shard, self.mark(shard).max(missing));
            self.evicted_users += 1;
        }
    }

    fn tell(&mut self, word: &Word) {
        let known = self
            .facts
            .iter()
            .position(|(item, ..)| *item == word.item_id);
        let row = known.unwrap_or_else(|| {
            self.facts
                .push((word.item_id.clone(), self.position, Default::default()));
            self.facts.len() - 1
        });
        let said = [
            word.title.clone(),
            word.category.clone(),
            word.price.map(|price| format!("{price} EUR")),
            word.stock.map(|stock| stock.to_string()),
            word.is_available.map(|is| is.to_string()),
        ];
        for (field, said) in self.facts[row].2.iter_mut().zip(said) {
            if let Some(said) = said {
                *field = Some((said, self.position));
            }
        }
    }

    fn set_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        let floor = self.floor;
        for mark in self.evicted_before.values_mut() {
            if *mark <= floor {
                *mark = 0;
            }
        }
        for user in 0..USERS {
            let Some(known) = self.users.get_mut(&user) else {
                continue;
            };
            known.events.retain(|(position, ..)| *position >= floor);
            if known.truncated_before <= floor {
                known.truncated_before = 0;
            }
            if known.events.is_empty() {
                let shard = USER_SHARDS[user].1;
                let mark = known.truncated_before.max(self.mark(shard));
                self.evicted_before.insert(shard, mark);
                self.users.remove(&user);
            }
        }
        self.items.retain(|_, used_at| *used_at >= floor);
        self.facts.retain(|fact| newest(fact) >= floor);
    }

    fn mark(&self, shard: usize) -> u64 {
        self.evicted_before.get(&shard).copied().unwrap_or(0)
    }

    fn events(&self, user: usize, since: u64) -> (Vec<Event>, UserCompleteness) {
        let known = self.users.get(&user).cloned();
        let mark = self.mark(USER_SHARDS[user].1);
        let missing = known.as_ref().map_or(mark, |known| known.truncated_before);
        let events = known.map_or(Vec::new(), |known| known.events);
        let missing = missing.max(self.floor);
        let completeness = if missing > since {
            UserCompleteness::MissingBefore(missing)
        } else {
            UserCompleteness::Complete
        };
        (in_order(events, since), completeness)
    }

    fn shard_bytes(&self, shard: usize) -> u64 {
        let of_shard = self
            .users
            .iter()
            .filter(|(user, _)| USER_SHARDS[**user].1 == shard);
        of_shard
            .map(|(user, known)| {
                let room = [1, 2, 3, 4, 6, 8, 12, 16]
                    .into_iter()
                    .find(|room| *room >= known.events.len())
                    .expect("a short list")
                    .min(EVENTS_PER_USER_MAX);
                64 + 16 + 16 + heap(USER_SHARDS[*user].0.len()) + heap(24 * room)
            })
            .sum()
    }

    fn item_bytes(&self) -> u64 {
        self.items.keys().map(|item_id| item_bytes(item_id)).sum()
    }
}

fn newest((_, told_at, fields): &(String, u64, [Field; 5])) -> u64 {
    let said = fields.iter().flatten().map(|(_, position)| *position);
    said.chain([*told_at]).max().expect("at least one")
}

fn in_order(mut events: Vec<Event>, since: u64) -> Vec<Event> {
    events.retain(|(position, ..)| *position >= since);
    events.sort_by_key(|(position, at, ..)| (*at, *position));
    events
}

fn heap(bytes: usize) -> u64 {
    ((bytes as u64 + 8).div_ceil(16) * 16).max(32)
}

fn item_bytes(item_id: &str) -> u64 {
    40 + heap(16 + item_id.len())
}

fn found(state: &LiveState, user: usize, since: u64) -> (Vec<Event>, UserCompleteness) {
    let mut out = Vec::new();
    let completeness = state.user_events(&USER_SHARDS[user].0, since, &mut out);
    let event = |event: &LiveEvent| {
        let item = event.item.and_then(|item| state.item_id(item));
        let item = item.expect("an item with a text").to_string();
        (
            event.position,
            event.event_at.0,
            usize::from(event.name),
            item,
        )
    };
    (out.iter().map(event).collect(), completeness)
}

fn facts(state: &LiveState, since: u64) -> Vec<(String, u64, [Field; 5])> {
    let mut out = Vec::new();
    state.catalogue().facts_since(since, &mut out);
    let text = |told: &Option<_>| -> Field {
        let told: &Option<promosvc_engine::history::Told<std::sync::Arc<str>>> = told;
        told.as_ref()
            .map(|told| (told.value.to_string(), told.position))
    };
    let row = |fact: &LiveFact| {
        let price = fact.unit_price.as_ref().map(|told| {
            let price = &told.value;
            (
                format!("{} {}", price.amount_minor, price.currency),
                told.position,
            )
        });
        let stock = fact
            .stock
            .as_ref()
            .map(|told| (told.value.to_string(), told.position));
        let is_available = &fact.is_available;
        let is_available = is_available
            .as_ref()
            .map(|told| (told.value.to_string(), told.position));
        let fields = [
            text(&fact.title),
            text(&fact.category),
            price,
            stock,
            is_available,
        ];
        (fact.item_id.to_string(), fact.told_at, fields)
    };
    out.iter().map(|fact| row(fact)).collect()
}

/// The log as it was written: of every entry its position.
fn log_of(first: u64, steps: &[Step]) -> Vec<(u64, Entry)> {
    let records = steps.iter().filter_map(|step| match step {
        Step::Record(entries) => Some(entries.clone()),
        _ => None,
    });
    (first..).zip(records.flatten()).collect()
}

/// Whatever is not said to be missing is there, and nothing is that never was.
fn assert_honest(
    state: &LiveState,
    log: &[(u64, Entry)],
    sinces: &[u64],
) -> Result<(), TestCaseError> {
    for user in 0..USERS {
        let all: Vec<Event> = log
            .iter()
            .filter_map(|(position, entry)| {
                let (of, name, item_id, at) = entry.kept()?;
                (of == user).then(|| (*position, at, name, item_id.to_owned()))
            })
            .collect();
        for &since in sinces {
            let (events, completeness) = found(state, user, since);
            let sure_from = match completeness {
                UserCompleteness::Complete => since,
                UserCompleteness::MissingBefore(before) => {
                    prop_assert!(before > since);
                    before
                }
            };
            prop_assert_eq!(
                in_order(events.clone(), sure_from),
                in_order(all.clone(), sure_from)
            );
            let true_events = in_order(all.clone(), since);
            prop_assert!(events.iter().all(|event| true_events.contains(event)));
        }
    }
    Ok(())
}

fn entry() -> impl Strategy<Value = Entry> {
    // Long, so that few of them fill their share of the memory.
    let item_id = || {
        prop_oneof![
            1 => Just(String::new()),
            12 => (0..ITEMS).prop_map(|item| format!("item-{item:0>120}")),
            12 => (0..4_usize).prop_map(|item| format!("item-{item:0>120}")),
        ]
    };
    let name = prop_oneof![8 => 0..2_usize, 1 => Just(2_usize)];
    let event =
        (0..USERS, name, item_id(), 0..20_i64).prop_map(|(user, name, item_id, at)| Entry::Event {
            user,
            name,
            item_id,
            at,
        });
    let text = || prop::option::of("[a-c]{0,2}");
    let word = (
        0..5_usize,
        text(),
        text(),
        prop::option::of(0..9_i64),
        prop::option::of(0..3_i64),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(item, title, category, price, stock, is_available)| {
            Entry::Item(Word {
                item_id: format!("fact-{item}"),
                title,
                category,
                price,
                stock,
                is_available,
            })
        });
    prop_oneof![12 => event, 2 => word, 1 => Just(Entry::Answered)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = prop::collection::vec(entry(), 0..12).prop_map(Step::Record);
    let step = prop_oneof![
        8 => record,
        1 => (0..40_u64).prop_map(Step::Floor),
        3 => (1..40_usize).prop_map(Step::Export),
    ];
    prop::collection::vec(step, 1..30)
}

/// Room for everything, for a few users of a shard and a part of the items, and for hardly anything.
fn bytes_max() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![1_u64 << 30, 60_000, 40_000, 2_000])
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_answer_is_that_of_the_twin(
        first in 0..3_u64,
        steps in steps(),
        bytes_max in bytes_max(),
    ) {
        let state = LiveState::new(settings(bytes_max)).expect("settings are good");
        let mut position = first;
        for (at, step) in steps.iter().enumerate() {
            let done = &steps[..=at];
            match step {
                Step::Record(entries) => {
                    apply(&state, position, entries);
                    position += entries.len() as u64;
                }
                Step::Floor(behind) => state.set_floor(position.saturating_sub(*behind)),
                Step::Export(_) => continue,
            }
            let twin = Twin::of(first, done, bytes_max);
            let is_begun = done.iter().any(|step| matches!(step, Step::Record(_)));
            prop_assert_eq!(state.position(), if is_begun { position } else { 0 });
            let sinces = [0, twin.floor, position / 2, position.saturating_sub(3), position];
            for user in 0..USERS {
                for since in sinces {
                    prop_assert_eq!(found(&state, user, since), twin.events(user, since));
                }
            }
            for since in sinces {
                let expected: Vec<_> = twin.facts.iter().filter(|fact| newest(fact) >= since).cloned().collect();
                prop_assert_eq!(facts(&state, since), expected);
            }
            let stats = state.stats();
            prop_assert_eq!(stats.users, twin.users.len() as u64);
            prop_assert_eq!(stats.events, twin.users.values().map(|known| known.events.len() as u64).sum::<u64>());
            prop_assert_eq!(stats.items, twin.items.len() as u64);
            prop_assert_eq!(stats.facts, twin.facts.len() as u64);
            prop_assert_eq!(stats.evicted_users, twin.evicted_users);
            if twin.facts.is_empty() {
                let users: u64 = (0..LiveState::shard_count()).map(|shard| twin.shard_bytes(shard)).sum();
                prop_assert_eq!(stats.bytes, users + twin.item_bytes());
            }
            assert_honest(&state, &log_of(first, done), &sinces)?;
        }
    }

    /// A checkpoint is taken part by part while the fold goes on, then the log is replayed from its lowest position.
    #[test]
    fn a_checkpoint_and_the_log_give_the_state_again(
        first in 0..3_u64,
        steps in steps(),
        bytes_max in bytes_max(),
        catalogue_turn in 0..64_usize,
    ) {
        let state = LiveState::new(settings(bytes_max)).expect("settings are good");
        let mut position = first;
        let mut parts: Vec<UserShard> = Vec::new();
        let mut catalogue: Option<CatalogueShard> = None;
        let take = |count: usize, parts: &mut Vec<UserShard>, catalogue: &mut Option<CatalogueShard>| {
            for _ in 0..count {
                if parts.len() == catalogue_turn {
                    *catalogue = Some(state.export_catalogue());
                }
                if parts.len() < LiveState::shard_count() {
                    parts.push(export(&state, parts.len()));
                }
            }
        };
        let mut floor = 0;
        for step in &steps {
            match step {
                Step::Record(entries) => {
                    apply(&state, position, entries);
                    position += entries.len() as u64;
                }
                Step::Floor(behind) => {
                    floor = floor.max(position.saturating_sub(*behind));
                    state.set_floor(floor);
                }
                Step::Export(count) => take(*count, &mut parts, &mut catalogue),
            }
        }
        take(LiveState::shard_count(), &mut parts, &mut catalogue);
        let catalogue = catalogue.expect("its turn came");
        let log = log_of(first, &steps);

        let restored = LiveState::new(settings(bytes_max)).expect("settings are good");
        let positions = parts.iter().map(|part| part.position).chain([catalogue.position]);
        let from = positions.min().expect("parts");
        for part in parts {
            restored.import_users(part, state.event_names()).expect("a good shard");
        }
        restored.import_catalogue(catalogue).expect("good facts");
        let rest: Vec<Entry> = log.iter().filter(|(at, _)| *at >= from).map(|(_, entry)| entry.clone()).collect();
        apply(&restored, from.max(first), &rest);
        restored.set_floor(floor);

        let sinces = [floor, position / 2, position.saturating_sub(3), position];
        assert_honest(&restored, &log, &sinces)?;
        // An entry without fields tells nothing new of an item, so that either may have dropped it.
        let fields = |state: &LiveState| -> BTreeMap<String, [Field; 5]> {
            facts(state, floor)
                .into_iter()
                .map(|(item, _, fields)| {
                    (item, fields.map(|field| field.filter(|(_, at)| *at >= floor)))
                })
                .filter(|(_, fields)| fields.iter().any(Option::is_some))
                .collect()
        };
        prop_assert_eq!(fields(&restored), fields(&state));
        if bytes_max > 1 << 20 {
            for user in 0..USERS {
                for since in sinces.into_iter().filter(|since| *since >= floor) {
                    prop_assert_eq!(found(&restored, user, since), found(&state, user, since));
                }
            }
            prop_assert_eq!(restored.stats().events, state.stats().events);
            prop_assert_eq!(restored.stats().users, state.stats().users);
        }
        // Once more changes nothing: everything is held already.
        let before: Vec<_> = (0..USERS).map(|user| found(&restored, user, 0)).collect();
        apply(&restored, from.max(first), &rest);
        let after: Vec<_> = (0..USERS).map(|user| found(&restored, user, 0)).collect();
        prop_assert_eq!(before, after);
    }
}
