//! The two windows, against plain lists: ids of recorded events, and answers of writes.

use std::sync::{Arc, LazyLock};

use promosvc_engine::error::ErrorKind;
use promosvc_engine::history::{DedupeWindow, EventKey, KnownRequest, RequestWindow};
use promosvc_engine::types::TimeUs;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Memory of an id, as `DedupeWindow` says it.
const ID_BYTES: u64 = 36;

const IDS: u32 = 120;

static KEYS: LazyLock<Vec<EventKey>> = LazyLock::new(|| {
    let key = |id: u32| EventKey::new("live", "view_item", &id.to_string());
    (0..IDS).map(key).collect()
});

fn key(id: u32) -> EventKey {
    KEYS[id as usize]
}

fn shard_of(key: EventKey) -> usize {
    (key.0 >> 122) as usize
}

#[derive(Clone, Debug)]
enum Step {
    /// An event, and how much later than the one before.
    Insert(u32, i64),
    /// Forget what is older than this.
    Expire(i64),
    Export(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0..IDS, 0..3_i64).prop_map(|(id, later)| Step::Insert(id, later)),
        1 => (0..60_i64).prop_map(Step::Expire),
        3 => (1..20_usize).prop_map(Step::Export),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The list of a shard: all that was recorded, the oldest taken off by age and by number.
    #[test]
    fn the_dedupe_window_agrees_with_lists(
        steps in steps(),
        ids_max in prop::sample::select(vec![1_usize, 3, 1 << 20]),
    ) {
        let bytes_max = ids_max as u64 * ID_BYTES * DedupeWindow::shard_count() as u64;
        let window = DedupeWindow::new(bytes_max).expect("room for an id in each shard");
        let mut lists: Vec<Vec<(u32, i64)>> = vec![Vec::new(); DedupeWindow::shard_count()];
        let (mut now, mut position, mut expired) = (0, 0_u64, i64::MIN);
        let mut log = Vec::new();
        let mut parts = Vec::new();
        for step in &steps {
            match *step {
                Step::Insert(id, later) => {
                    now += later;
                    let list = &mut lists[shard_of(key(id))];
                    let is_new = list.iter().all(|(known, _)| *known != id);
                    prop_assert_eq!(window.contains(key(id)), !is_new);
                    prop_assert_eq!(window.insert(key(id), TimeUs(now), position), is_new);
                    list.push((id, now));
                    if list.len() > ids_max {
                        list.remove(0);
                    }
                    log.push((position, id, now));
                    position += 1;
                    window.advance(position);
                }
                Step::Expire(age) => {
                    expired = expired.max(now - age);
                    window.expire(TimeUs(expired));
                    lists.iter_mut().for_each(|list| list.retain(|(_, at)| *at >= expired));
                }
                Step::Export(count) => {
                    let rest = DedupeWindow::shard_count() - parts.len();
                    for _ in 0..count.min(rest) {
                        parts.push(window.export(parts.len()).expect("a shard"));
                    }
                }
            }
            for id in 0..IDS {
                let is_known = lists[shard_of(key(id))].iter().any(|(known, _)| *known == id);
                prop_assert_eq!(window.contains(key(id)), is_known);
            }
            let stats = window.stats();
            prop_assert_eq!(stats.ids, lists.iter().map(|list| list.len() as u64).sum::<u64>());
            prop_assert!(stats.bytes == stats.ids * ID_BYTES && stats.bytes <= bytes_max);
            let oldest = lists.iter().filter_map(|list| list.first()).map(|(_, at)| TimeUs(*at)).min();
            prop_assert_eq!(stats.oldest_at, oldest);
        }
        while parts.len() < DedupeWindow::shard_count() {
            parts.push(window.export(parts.len()).expect("a shard"));
        }

        let restored = DedupeWindow::new(bytes_max).expect("room");
        let from = parts.iter().map(|part| part.position).min().expect("parts");
        for part in parts {
            restored.import(part).expect("a good shard");
        }
        for &(position, id, at) in log.iter().filter(|(position, ..)| *position >= from) {
            restored.insert(key(id), TimeUs(at), position);
        }
        restored.expire(TimeUs(expired));
        for id in 0..IDS {
            // Who was recorded twice stands in a checkpoint once, so that a full shard forgets later, never earlier.
            if window.contains(key(id)) || ids_max > 1000 {
                prop_assert_eq!(restored.contains(key(id)), window.contains(key(id)), "{}", id);
            }
        }
    }
}

#[test]
fn an_id_recorded_again_is_kept_for_as_long_as_its_newest_time() {
    let window = DedupeWindow::new(1 << 20).expect("room");
    assert!(window.insert(key(1), TimeUs(10), 0));
    assert!(!window.insert(key(1), TimeUs(20), 1));
    window.expire(TimeUs(20));
    assert!(window.contains(key(1)));
    assert_eq!(window.stats().oldest_at, Some(TimeUs(20)));
    window.expire(TimeUs(21));
    assert!(!window.contains(key(1)));
    assert_eq!(window.stats().oldest_at, None);
}

#[test]
fn a_window_without_room_for_an_id_in_each_shard_is_refused() {
    let least = ID_BYTES * DedupeWindow::shard_count() as u64;
    let error = DedupeWindow::new(least - 1).err().expect("refused");
    assert_eq!(
        (error.kind, error.field.as_str()),
        (ErrorKind::InvalidArgument, "dedupe_bytes_max")
    );
    assert!(DedupeWindow::new(least).is_ok());
}

fn answer(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

#[test]
fn a_request_sent_again_gets_its_first_answer_until_it_is_old() {
    let mut window = RequestWindow::new(10_000);
    assert_eq!(window.find("r1", [1; 16]), KnownRequest::Unknown);
    window.insert("r1", [1; 16], answer("one"), TimeUs(10), 4);
    window.insert("r2", [2; 16], answer("two"), TimeUs(20), 6);
    window.insert("r1", [3; 16], answer("three"), TimeUs(25), 7);
    assert_eq!(
        window.find("r1", [1; 16]),
        KnownRequest::SameBody(answer("one"))
    );
    assert_eq!(window.find("r1", [3; 16]), KnownRequest::OtherBody);
    window.expire(TimeUs(20));
    assert_eq!(window.find("r1", [1; 16]), KnownRequest::Unknown);
    assert_eq!(
        window.find("r2", [2; 16]),
        KnownRequest::SameBody(answer("two"))
    );
    assert_eq!(window.stats().oldest_at, Some(TimeUs(20)));
    window.insert("r1", [3; 16], answer("four"), TimeUs(30), 8);
    assert_eq!(
        window.find("r1", [3; 16]),
        KnownRequest::SameBody(answer("four"))
    );
    window.expire(TimeUs(31));
    assert_eq!((window.stats().requests, window.stats().bytes), (0, 0));
}

#[test]
fn past_its_bound_the_request_window_refuses_new_writes_and_forgets_none() {
    let cost = RequestWindow::cost("r1", 3);
    let mut window = RequestWindow::new(2 * cost);
    assert!(window.check_room(2 * cost).is_ok());
    window.insert("r1", [1; 16], answer("one"), TimeUs(1), 0);
    assert!(window.check_room(cost).is_ok());
    let error = window.check_room(cost + 1).expect_err("full");
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Overloaded, "REQUEST_WINDOW_FULL")
    );
    for id in 2..9 {
        // What the log holds is taken in whatever it weighs.
        window.insert(&format!("r{id}"), [1; 16], answer("one"), TimeUs(1), id);
    }
    assert_eq!(
        (window.stats().requests, window.stats().bytes),
        (8, 8 * cost)
    );
    assert_eq!(
        window.find("r1", [1; 16]),
        KnownRequest::SameBody(answer("one"))
    );
}

#[test]
fn a_checkpoint_of_the_request_window_passes_over_what_it_holds() {
    let mut window = RequestWindow::new(10_000);
    window.insert("r1", [1; 16], answer("one"), TimeUs(1), 3);
    window.insert("r2", [2; 16], answer("two"), TimeUs(2), 5);
    window.advance(9);
    let mut restored = RequestWindow::new(10_000);
    restored.import(window.export()).expect("good answers");
    restored.insert("r3", [3; 16], answer("old"), TimeUs(3), 8);
    restored.insert("r4", [4; 16], answer("new"), TimeUs(3), 9);
    assert_eq!(restored.find("r3", [3; 16]), KnownRequest::Unknown);
    assert_eq!(
        restored.find("r4", [4; 16]),
        KnownRequest::SameBody(answer("new"))
    );
    assert_eq!(
        restored.find("r2", [2; 16]),
        KnownRequest::SameBody(answer("two"))
    );
    assert_eq!(
        restored
            .import(window.export())
            .expect_err("too late")
            .reason,
        "CHECKPOINT_TOO_LATE"
    );
}
