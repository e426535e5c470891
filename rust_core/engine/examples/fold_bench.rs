//! What the fold costs: time for each event, id and read, and memory for each user, event and id.
//!
//! `cargo run --release -p promosvc-engine --example fold_bench`
//!
//! Events come in records of 500, of users and items drawn evenly with a fixed seed: the worst that a cache can get.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use promosvc_engine::history::{
    DedupeWindow, Effect, EventKey, LiveSettings, LiveState, RecordedEvent,
};
use promosvc_engine::types::TimeUs;

const RECORD: usize = 500;
const NAMES: [&str; 4] = ["view_item", "add_to_cart", "purchase", "refund"];
const READS: usize = 100_000;

fn main() {
    println!(
        "# one thread, processor time (slowest: by the clock); records of {RECORD} events; users and items drawn evenly"
    );
    memory();
    key();
    dedupe(4_000_000);
    dedupe(100_000);
    fold(1_000_000, 100_000, 8_000_000);
    fold(100_000, 100_000, 2_000_000);
    fold(10_000, 10_000, 1_000_000);
}

/// What everything below is made of: reads of which each waits for the one before.
fn memory() {
    const PLACES: usize = 1 << 25;
    let mut random = Random(3);
    let mut next: Vec<u32> = (0..PLACES as u32).collect();
    // Sattolo's shuffle: one cycle through all places.
    for at in (1..PLACES).rev() {
        next.swap(at, random.below(at));
    }
    let started = cpu();
    let mut at = 0;
    for _ in 0..1_000_000 {
        at = next[at as usize];
    }
    black_box(at);
    let nanos = nanos(cpu() - started, 1_000_000);
    println!("a read out of {} MB: {nanos:.0} ns", (PLACES * 4) >> 20);
}

fn key() {
    let ids: Vec<String> = (0..1000).map(|id| format!("evt-{id:016x}")).collect();
    let started = cpu();
    for _ in 0..1000 {
        for id in &ids {
            black_box(EventKey::new("live", "view_item", id));
        }
    }
    println!("event key: {:.0} ns", nanos(cpu() - started, 1_000_000));
}

fn fold(users: usize, items: usize, events: usize) {
    println!("\n# {events} events of {users} users and {items} items");
    let state = LiveState::new(LiveSettings {
        event_names: NAMES.map(str::to_owned).to_vec(),
        bytes_max: 16 << 30,
        events_per_user_max: 1000,
    })
    .expect("settings are good");
    let memory_before = resident_bytes();
    let mut random = Random(7);
    let mut position = 0;
    let mut slices = VecDeque::new();
    while position < events as u64 {
        // Written anew for each record, as a decoder would have just written them.
        let ids: Vec<(String, String)> = (0..RECORD)
            .map(|_| (user_id(random.below(users)), item_id(random.below(items))))
            .collect();
        let record: Vec<Effect<'_>> = ids
            .iter()
            .enumerate()
            .map(|(at, (user_id, item_id))| {
                Effect::Event(RecordedEvent {
                    source: "live",
                    event_id: "",
                    event_name: NAMES[at / 50 % NAMES.len()],
                    user_id,
                    item_id,
                    event_at: TimeUs(position as i64 + at as i64),
                })
            })
            .collect();
        let started = cpu();
        state.apply(position, &record);
        slices.push_back(cpu() - started);
        position += RECORD as u64;
    }
    let tenth = slices.len() / 10;
    let last: Duration = slices.iter().rev().take(tenth).sum();
    println!(
        "apply: {:.0} ns an event",
        nanos(slices.iter().sum(), events)
    );
    println!(
        "apply, last tenth: {:.0} ns an event",
        nanos(last, tenth * RECORD)
    );
    let stats = state.stats();
    println!(
        "memory: {} users, {} events, {} items: {} bytes said, {} bytes resident; {:.1} bytes an event in all",
        stats.users,
        stats.events,
        stats.items,
        stats.bytes,
        resident_bytes() - memory_before,
        stats.bytes as f64 / stats.events as f64
    );
    let mut out = Vec::new();
    let mut copied = 0;
    let started = cpu();
    for _ in 0..READS {
        out.clear();
        state.user_events(&user_id(random.below(users)), 0, &mut out);
        copied += out.len();
    }
    println!(
        "user_events: {:.0} ns for {:.0} events",
        nanos(cpu() - started, READS),
        copied as f64 / READS as f64
    );
    let mut slowest = Duration::ZERO;
    let started = cpu();
    for shard in 0..LiveState::shard_count() {
        let one = Instant::now();
        black_box(state.export_users(shard).expect("a shard"));
        slowest = slowest.max(one.elapsed());
    }
    println!(
        "export of all shards: {:.1?}, slowest {slowest:.1?}",
        cpu() - started
    );
    let started = cpu();
    state.set_floor(position / 2);
    println!("floor half-way: {:.1?}", cpu() - started);
}

fn user_id(user: usize) -> String {
    format!("user-{user:08}")
}

fn item_id(item: usize) -> String {
    format!("item-{item:07}")
}

fn dedupe(ids: usize) {
    println!("\n# {ids} ids in the window");
    let window = DedupeWindow::new(1 << 32).expect("room");
    let mut random = Random(11);
    let memory_before = resident_bytes();
    let mut took = Duration::ZERO;
    let mut keys = Vec::with_capacity(RECORD);
    for record in 0..ids / RECORD {
        keys.clear();
        keys.extend(
            (0..RECORD)
                .map(|_| EventKey(u128::from(random.next()) << 64 | u128::from(random.next()))),
        );
        let at = TimeUs(record as i64);
        let started = cpu();
        for (index, key) in keys.iter().enumerate() {
            let position = (record * RECORD + index) as u64;
            black_box(window.insert(*key, at, position));
        }
        took += cpu() - started;
    }
    println!("insert: {:.0} ns an id", nanos(took, ids));
    let started = cpu();
    for _ in 0..1_000_000 {
        let key = EventKey(u128::from(random.next()) << 64 | u128::from(random.next()));
        black_box(window.contains(key));
    }
    println!(
        "contains, unknown: {:.0} ns",
        nanos(cpu() - started, 1_000_000)
    );
    let stats = window.stats();
    let resident = (resident_bytes() - memory_before) as f64 / ids as f64;
    println!(
        "memory: {:.1} bytes an id said, {resident:.1} resident",
        stats.bytes as f64 / ids as f64
    );
    let started = cpu();
    black_box(window.export(0).expect("a shard"));
    println!("export of a shard: {:.1?}", cpu() - started);
    let started = cpu();
    window.expire(TimeUs((ids / RECORD / 2) as i64));
    println!("expire: {:.0} ns an id", nanos(cpu() - started, ids / 2));
}

/// Processor time of this thread, so that neighbours on a shared machine count for less; zero where the system does
/// not tell.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(ran.unwrap_or(0))
}

fn nanos(took: Duration, count: usize) -> f64 {
    took.as_secs_f64() * 1e9 / count as f64
}

/// Memory of this process; 0 where the system does not tell.
fn resident_bytes() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<i64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}
