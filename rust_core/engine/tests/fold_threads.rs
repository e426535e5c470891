//! Readers, checkpoints and the floor beside the fold, in threads.
//!
//! The log is a function of the position, so that every thread knows what it should see without asking the others. All
//! threads run until the fold has done its records; nobody waits for a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use promosvc_engine::history::{
    CatalogueShard, DedupeShard, DedupeWindow, Effect, EventKey, ItemFact, LiveSettings, LiveState,
    RecordedEvent, UserCompleteness, UserShard,
};
use promosvc_engine::types::TimeUs;

const USERS: u64 = 40;
const RECORD: u64 = 100;
const END: u64 = 40_000;
/// Every so many positions the log tells of an item.
const FACT_EVERY: u64 = 10;

fn mixed(position: u64) -> u64 {
    let mut value = position.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^ (value >> 27)
}

/// The user of the event at a position; `None` where the log tells of an item.
fn user_of(position: u64) -> Option<u64> {
    (!position.is_multiple_of(FACT_EVERY)).then(|| mixed(position) % USERS)
}

/// New items come all the time and old ones fall silent.
fn item_of(position: u64) -> String {
    format!("item-{}", position / 100 + mixed(position) / 64 % 50)
}

fn user_id(user: u64) -> String {
    format!("user-{user}")
}

/// What happened to each user.
fn log() -> Vec<Vec<u64>> {
    let mut positions = vec![Vec::new(); USERS as usize];
    for position in 0..END {
        if let Some(user) = user_of(position) {
            positions[user as usize].push(position);
        }
    }
    positions
}

fn between(positions: &[u64], since: u64, until: u64) -> &[u64] {
    let at = |position| positions.partition_point(|known| *known < position);
    &positions[at(since)..at(until.max(since))]
}

fn state() -> LiveState {
    LiveState::new(LiveSettings {
        event_names: vec!["view_item".to_owned()],
        events_per_user_max: END as usize,
        ..LiveSettings::default()
    })
    .expect("settings are good")
}

/// Folds the whole log; `is_done` is set behind it, also when it fails.
fn fold(state: &LiveState, is_done: &AtomicBool) {
    let _done = SetAtLast(is_done);
    for first in (0..END).step_by(RECORD as usize) {
        let ids: Vec<(Option<String>, String)> = (first..first + RECORD)
            .map(|position| (user_of(position).map(user_id), item_of(position)))
            .collect();
        let mut effects = Vec::with_capacity(ids.len());
        for (position, (user_id, item_id)) in (first..).zip(&ids) {
            effects.push(match user_id {
                Some(user_id) => Effect::Event(RecordedEvent {
                    source: "live",
                    event_id: "",
                    event_name: "view_item",
                    user_id,
                    item_id,
                    event_at: TimeUs(position as i64),
                }),
                None => Effect::Item(ItemFact {
                    item_id,
                    stock: Some(position as i64),
                    ..ItemFact::default()
                }),
            });
        }
        state.apply(first, &effects);
    }
}

struct SetAtLast<'a>(&'a AtomicBool);

impl Drop for SetAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Calls `step` with 0, 1, 2, ... until the fold is done, and once after it.
fn until(is_done: &AtomicBool, mut step: impl FnMut(u64)) {
    let mut turn = 0;
    loop {
        let is_last = is_done.load(Ordering::Acquire);
        step(turn);
        if is_last {
            return;
        }
        turn += 1;
    }
}

/// Reads a user and holds the answer against the log. `floor` is at least the state's floor when it is read.
fn read(state: &LiveState, log: &[Vec<u64>], turn: u64, floor: &AtomicU64) {
    let user = mixed(turn) % USERS;
    let positions = &log[user as usize];
    let position = state.position();
    let since = position.saturating_sub(1_000 * (turn % 3));
    let mut events = Vec::new();
    let completeness = state.user_events(&user_id(user), since, &mut events);
    let sure_from = match completeness {
        UserCompleteness::Complete => since,
        UserCompleteness::MissingBefore(before) => before,
    };
    let seen: Vec<u64> = events.iter().map(|event| event.position).collect();
    let until = seen.last().map_or(0, |last| last + 1).max(position);
    assert_eq!(
        between(&seen, sure_from, u64::MAX),
        between(positions, sure_from, until),
        "user {user} at {position} since {since}: a prefix that reaches at least the position"
    );
    for event in &events {
        let item = event.item.and_then(|item| state.item_id(item));
        match item {
            Some(item) => assert_eq!(*item, *item_of(event.position)),
            None => assert!(event.position < floor.load(Ordering::Acquire)),
        }
    }
}

/// A shard's users have exactly the events before its position, from a position on.
fn check_users(shard: &UserShard, log: &[Vec<u64>], from: u64) {
    for user in &shard.users {
        let number: usize = user.user_id["user-".len()..].parse().expect("a number");
        let expected = between(&log[number], from, shard.position);
        assert_eq!(
            between(&user.positions, from, u64::MAX),
            expected,
            "{}",
            user.user_id
        );
        for (item, position) in user.items.iter().zip(&user.positions) {
            assert_eq!(*user.item_ids[*item as usize], *item_of(*position));
        }
    }
}

fn check_catalogue(shard: &CatalogueShard) {
    for fact in &shard.items {
        let stock = fact.stock.as_ref().expect("each entry tells of it");
        let newest = (0..shard.position)
            .rev()
            .find(|at| user_of(*at).is_none() && item_of(*at) == *fact.item_id);
        assert_eq!(newest, Some(stock.position), "{}", fact.item_id);
        assert_eq!(stock.value, stock.position as i64);
    }
}

#[test]
fn readers_see_a_prefix_that_reaches_the_position() {
    let (state, log, is_done) = (state(), log(), AtomicBool::new(false));
    let no_floor = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| fold(&state, &is_done));
        for reader in 0..2 {
            let (state, log, is_done, no_floor) = (&state, &log, &is_done, &no_floor);
            scope.spawn(move || {
                until(is_done, |turn| {
                    read(state, log, turn * 2 + reader, no_floor)
                });
            });
        }
    });
    assert_eq!(state.position(), END);
}

#[test]
fn a_shard_of_a_checkpoint_holds_the_log_before_its_position_and_nothing_after() {
    let (state, log, is_done) = (state(), log(), AtomicBool::new(false));
    let shards = LiveState::shard_count() as u64;
    let taken = thread::scope(|scope| {
        scope.spawn(|| fold(&state, &is_done));
        let taker = scope.spawn(|| {
            let mut taken = Vec::new();
            until(&is_done, |turn| {
                let shard = (turn % shards) as usize;
                let shard = state.export_users(shard).expect("a shard");
                check_users(&shard, &log, 0);
                let users = shard.users.iter().map(|user| user.user_id.clone());
                taken.push((shard.shard, shard.position, users.collect::<Vec<_>>()));
                if turn % 32 == 0 {
                    check_catalogue(&state.export_catalogue());
                }
            });
            taken
        });
        taker.join().expect("every shard was right")
    });
    // Who is in which shard is known now: nobody was left out.
    let members: Vec<Vec<String>> = (0..shards as usize)
        .map(|shard| state.export_users(shard).expect("a shard"))
        .map(|shard| shard.users.into_iter().map(|user| user.user_id).collect())
        .collect();
    for (shard, position, users) in taken {
        for user_id in &members[shard as usize] {
            let number: usize = user_id["user-".len()..].parse().expect("a number");
            let is_in = log[number].first().is_some_and(|first| *first < position);
            assert_eq!(
                users.contains(user_id),
                is_in,
                "{user_id} before {position}"
            );
        }
    }
}

#[test]
fn the_floor_moves_beside_fold_readers_and_checkpoints() {
    let (state, log, is_done) = (state(), log(), AtomicBool::new(false));
    let floor = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| fold(&state, &is_done));
        scope.spawn(|| {
            until(&is_done, |_| {
                let to = state.position().saturating_sub(1_500);
                floor.store(to, Ordering::Release);
                state.set_floor(to);
            });
        });
        scope.spawn(|| until(&is_done, |turn| read(&state, &log, turn, &floor)));
        scope.spawn(|| {
            until(&is_done, |turn| {
                let shard = (turn % LiveState::shard_count() as u64) as usize;
                let shard = state.export_users(shard).expect("a shard");
                check_users(&shard, &log, floor.load(Ordering::Acquire));
            });
        });
    });
    let stats = state.stats();
    let from = floor.load(Ordering::Acquire);
    let kept: usize = log
        .iter()
        .map(|positions| between(positions, from, END).len())
        .sum();
    assert_eq!(stats.events, kept as u64);
    assert!(
        stats.items < 200,
        "{} items: those of the last 1,500 events",
        stats.items
    );
}

#[test]
fn a_shard_of_ids_holds_the_log_before_its_position_and_nothing_after() {
    let window = DedupeWindow::new(1 << 30).expect("room");
    let is_done = AtomicBool::new(false);
    let key_of = |position: u64| EventKey::new("live", "view_item", &position.to_string());
    let keys: Vec<EventKey> = (0..END).map(key_of).collect();
    let shards = DedupeWindow::shard_count() as u64;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _done = SetAtLast(&is_done);
            for first in (0..END).step_by(RECORD as usize) {
                for position in first..first + RECORD {
                    window.insert(keys[position as usize], TimeUs(position as i64), position);
                }
                window.advance(first + RECORD);
            }
        });
        scope.spawn(|| {
            let mut last = vec![DedupeShard::default(); shards as usize];
            until(&is_done, |turn| {
                let shard = window.export((turn % shards) as usize).expect("a shard");
                let times = &shard.recorded_at_us;
                assert!(times.iter().all(|at| (*at as u64) < shard.position));
                let ids: Vec<[u8; 16]> = times
                    .iter()
                    .map(|at| keys[*at as usize].to_bytes())
                    .collect();
                assert_eq!(shard.ids, ids.concat());
                last[(turn % shards) as usize] = shard;
            });
            // Each against the whole window as it is now: what came before its position is in it.
            for (number, shard) in last.iter().enumerate() {
                let whole = window.export(number).expect("a shard");
                let before = |at: &&i64| (**at as u64) < shard.position;
                let expected: Vec<i64> = whole
                    .recorded_at_us
                    .iter()
                    .filter(before)
                    .copied()
                    .collect();
                assert_eq!(shard.recorded_at_us, expected);
            }
        });
    });
    assert_eq!(window.stats().ids, END);
}
