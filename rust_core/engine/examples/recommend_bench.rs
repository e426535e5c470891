//! How long one decision takes, on one thread, over a synthetic snapshot of the demo's size.
//!
//! `cargo run --release -p promosvc-engine --example recommend_bench [-- SNAPSHOT_DIRECTORY]`
//!
//! Prints the conditions, then microseconds for each kind of request: mean over all, and deciles of single calls (whose
//! clock reads are part of them). Users are visited in a fixed random order, so that their lists come from memory and
//! not from the cache of the call before. The last requests are those of users who have 50 live events each, and behind
//! them stands what a catalogue fact costs the thread that folds the log.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use promosvc_engine::decision::{Placement, RecommendRequest, SeenRule};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::history::{Effect, ItemFact, LiveSettings, LiveState, RecordedEvent};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::{TimeUs, UserIdx};
use support::{DAY_US, HistoryRow, ItemRow, SnapshotRows, WATERMARK_US};

const ITEMS: usize = 68_000;
const USERS: usize = 2_500;
const ITEM_NEIGHBOURS: usize = 100;
const USER_NEIGHBOURS: usize = 80;
const HISTORY: usize = 400;
const REQUESTS: usize = 5_000;
const LIVE_EVENTS: usize = 50;
const FACTS: usize = 2_000;
const EVENT_NAMES: [&str; 2] = ["purchase", "view_item"];

fn main() {
    let kept = tempfile::tempdir().expect("a temporary directory");
    let directory = match std::env::args().nth(1) {
        Some(directory) => PathBuf::from(directory),
        None => synthetic().write(kept.path()),
    };
    let started = Instant::now();
    let snapshot = Snapshot::open(&directory).expect("a right snapshot");
    let opened = started.elapsed();
    let started = Instant::now();
    let placements = [("default".to_owned(), placement())].into();
    let live = LiveState::new(LiveSettings {
        event_names: EVENT_NAMES.map(str::to_owned).to_vec(),
        ..LiveSettings::default()
    });
    let live = Arc::new(live.expect("right settings"));
    let engine = Engine::with_live(EngineSettings { placements }, live).expect("a right placement");
    engine.publish(Arc::new(snapshot));
    let published = started.elapsed();
    let snapshot = engine.snapshot().expect("a snapshot");
    let (items, users) = (snapshot.items.len(), snapshot.users.len());
    println!("# {items} items, {users} users, {REQUESTS} requests, page of 20, one thread");
    println!("# opened and verified in {opened:.1?}, derived in {published:.1?}");

    let default = |user_id| RecommendRequest {
        user_id,
        ..RecommendRequest::default()
    };
    let no_filter = |user_id| RecommendRequest {
        seen: Some((false, vec![], None)),
        ..default(user_id)
    };
    let reasons = |user_id| RecommendRequest {
        include_reasons: Some(true),
        ..default(user_id)
    };
    let capped = |user_id| RecommendRequest {
        category_cap: Some(2),
        ..default(user_id)
    };
    let narrow = |user_id| RecommendRequest {
        categories: vec!["category-7"],
        ..default(user_id)
    };
    let anonymous = |_| default("");
    let cart_ids: Vec<String> = (0..10)
        .map(|row| snapshot.items.id(item_at(row * 101)).to_owned())
        .collect();
    let cart = |user_id| RecommendRequest {
        cart_item_ids: cart_ids.iter().map(String::as_str).collect(),
        ..default(user_id)
    };
    measure("seen items hidden", &engine, &snapshot, default);
    if std::env::var("ONE").is_ok() {
        return;
    }
    measure(
        "seen items shown (with repeat)",
        &engine,
        &snapshot,
        no_filter,
    );
    measure("with reasons", &engine, &snapshot, reasons);
    measure("category cap 2", &engine, &snapshot, capped);
    measure("one category of 500", &engine, &snapshot, narrow);
    measure("cart of 10", &engine, &snapshot, cart);
    measure("anonymous", &engine, &snapshot, anonymous);

    let mut position = snapshot.manifest.events_position;
    record_live_events(&engine, &snapshot, &mut position);
    println!("# {LIVE_EVENTS} live events for each user");
    measure("seen items hidden", &engine, &snapshot, default);
    measure(
        "seen items shown (with repeat)",
        &engine,
        &snapshot,
        no_filter,
    );
    let ids: Vec<String> = (0..FACTS)
        .map(|fact| snapshot.items.id(item_at(fact * 33)).to_owned())
        .collect();
    let stock = |fact: usize| ItemFact {
        item_id: &ids[fact],
        stock: Some(fact as i64 % 2),
        ..ItemFact::default()
    };
    measure_facts("stock of an item", &engine, &mut position, stock);
    let category = |fact: usize| ItemFact {
        item_id: &ids[fact],
        category: Some("category-7"),
        ..ItemFact::default()
    };
    measure_facts("category of an item", &engine, &mut position, category);
    let new_ids: Vec<String> = (0..FACTS).map(|fact| format!("new-{fact:06}")).collect();
    let new = |fact: usize| ItemFact {
        item_id: &new_ids[fact],
        category: Some("category-8"),
        ..ItemFact::default()
    };
    measure_facts("new item, one of up to 2,000", &engine, &mut position, new);
    let sold = |fact: usize| ItemFact {
        item_id: &new_ids[fact],
        stock: Some(0),
        ..ItemFact::default()
    };
    measure_facts("stock of a new item", &engine, &mut position, sold);
    measure("seen items hidden", &engine, &snapshot, default);
}

fn record_live_events(engine: &Engine, snapshot: &Snapshot, position: &mut u64) {
    let mut random = Random(7);
    for user in 0..snapshot.users.len() as u32 {
        for event in 0..LIVE_EVENTS {
            let uniform = random.below(1 << 24) as f64 / f64::from(1 << 24);
            let item = (uniform * uniform * snapshot.items.len() as f64) as usize;
            let item = item * 48_271 % snapshot.items.len();
            let recorded = RecordedEvent {
                source: "bench",
                event_id: "",
                event_name: EVENT_NAMES[usize::from(event % 5 > 0)],
                user_id: snapshot.user_id(UserIdx(user)),
                item_id: snapshot.items.id(item_at(item)),
                event_at: TimeUs(WATERMARK_US + event as i64 * 60_000_000),
            };
            engine.apply(*position, &[Effect::Event(recorded)]);
            *position += 1;
        }
    }
}

fn measure_facts<'a>(
    name: &str,
    engine: &Engine,
    position: &mut u64,
    fact_of: impl Fn(usize) -> ItemFact<'a>,
) {
    let mut nanoseconds: Vec<u64> = (0..FACTS)
        .map(|fact| {
            let started = Instant::now();
            engine.apply(*position, &[Effect::Item(fact_of(fact))]);
            *position += 1;
            started.elapsed().as_nanos() as u64
        })
        .collect();
    nanoseconds.sort_unstable();
    let at = |share: f64| nanoseconds[(share * FACTS as f64) as usize] as f64 / 1e3;
    println!(
        "fact: {name:32} p10 {:7.1} us   p50 {:7.1}   p99 {:7.1}",
        at(0.1),
        at(0.5),
        at(0.99)
    );
}

fn item_at(row: usize) -> promosvc_engine::types::ItemIdx {
    promosvc_engine::types::ItemIdx(row as u32)
}

fn measure<'a>(
    name: &str,
    engine: &Engine,
    snapshot: &'a Snapshot,
    request_of: impl Fn(&'a str) -> RecommendRequest<'a>,
) {
    let now = TimeUs(WATERMARK_US);
    let mut random = Random(5);
    let mut nanoseconds = Vec::with_capacity(REQUESTS);
    let mut answered = 0;
    for call in 0..REQUESTS + REQUESTS / 10 {
        let user = UserIdx(random.below(snapshot.users.len()) as u32);
        let request = request_of(snapshot.user_id(user));
        let started = Instant::now();
        let answer = engine
            .recommend("default", &request, now)
            .expect("an answer");
        let took = started.elapsed().as_nanos() as u64;
        answered += answer.items.len();
        // The first tenth warms up.
        if call >= REQUESTS / 10 {
            nanoseconds.push(took);
        }
    }
    nanoseconds.sort_unstable();
    let mean = nanoseconds.iter().sum::<u64>() as f64 / REQUESTS as f64 / 1e3;
    let at = |share: f64| nanoseconds[(share * REQUESTS as f64) as usize] as f64 / 1e3;
    let items = answered as f64 / (REQUESTS + REQUESTS / 10) as f64;
    println!(
        "{name:32} mean {mean:7.1} us   p10 {:7.1}   p50 {:7.1}   p99 {:7.1}   {items:.1} items",
        at(0.1),
        at(0.5),
        at(0.99)
    );
}

fn placement() -> Placement {
    Placement {
        page_size: 20,
        sources: Vec::new(),
        seen: SeenRule {
            hide_seen: true,
            event_names: vec!["purchase".into()],
            window: None,
        },
        category_cap: 0,
        include_reasons: false,
    }
}

/// Items are popular by a power law, in lists of neighbours as in histories.
fn synthetic() -> SnapshotRows {
    let mut random = Random(1);
    let item =
        |row: usize| ItemRow::in_category(&format!("{row:08}"), &format!("category-{}", row % 500));
    let users: Vec<String> = (0..USERS).map(|row| format!("{row:06}")).collect();
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    let mut rows = SnapshotRows::empty((0..ITEMS).map(item).collect(), &names);
    for (row, list) in rows.item_neighbours.iter_mut().enumerate() {
        *list = ranking(&mut random, ITEM_NEIGHBOURS, ITEMS, Some(row));
    }
    for (row, list) in rows.user_neighbours.iter_mut().enumerate() {
        let uniform = (0..)
            .map(|_| random.below(USERS) as u32)
            .filter(|&user| user as usize != row);
        *list = ranked(uniform, USER_NEIGHBOURS);
    }
    for list in &mut rows.history {
        let items = ranking(&mut random, HISTORY, ITEMS, None);
        let entry = |(at, (item, _)): (usize, (u32, f32))| HistoryRow {
            item,
            event: 0,
            last_at_us: WATERMARK_US - at as i64 * DAY_US / 2,
            count: 1 + at as u32 % 4,
        };
        *list = items.into_iter().enumerate().map(entry).collect();
    }
    let mut popular = |count| ranking(&mut random, count, ITEMS, None);
    rows.popular = [popular(1_000), popular(5_000), popular(10_000)];
    rows
}

fn ranking(
    random: &mut Random,
    count: usize,
    item_count: usize,
    except: Option<usize>,
) -> Vec<(u32, f32)> {
    let spread = |random: &mut Random| {
        // Density falls as a power of the rank; ranks are spread over the table by a fixed permutation.
        let uniform = random.below(1 << 24) as f64 / f64::from(1 << 24);
        let rank = (uniform * uniform * item_count as f64) as usize;
        (rank * 48_271 % item_count) as u32
    };
    let items = (0..)
        .map(|_| spread(random))
        .filter(|&item| Some(item as usize) != except);
    ranked(items, count)
}

/// The first `count` different indices with falling scores.
fn ranked(indices: impl Iterator<Item = u32>, count: usize) -> Vec<(u32, f32)> {
    let mut seen = std::collections::HashSet::new();
    let unique = indices.filter(|&index| seen.insert(index)).take(count);
    unique
        .enumerate()
        .map(|(at, index)| (index, 1.0 / (1.0 + at as f32)))
        .collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
