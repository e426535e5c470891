//! Checkpoints that cannot be true: refused by name, never believed, never a panic.

use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind};
use promosvc_engine::history::{
    AnsweredWrite, CatalogueShard, CheckpointUser, DedupeShard, DedupeWindow, Effect, EventKey,
    ItemFact, LiveFact, LiveSettings, LiveState, RecordedEvent, RequestShard, RequestWindow,
    UserShard,
};
use promosvc_engine::types::TimeUs;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn state() -> LiveState {
    let names = ["view_item", "purchase"].map(str::to_owned).to_vec();
    LiveState::new(LiveSettings {
        event_names: names,
        ..LiveSettings::default()
    })
    .expect("settings are good")
}

fn names() -> Vec<String> {
    state().event_names().to_vec()
}

fn word(item_id: &str, stock: i64) -> ItemFact<'_> {
    ItemFact {
        item_id,
        stock: Some(stock),
        ..ItemFact::default()
    }
}

/// A state with two users in one shard, and two facts.
fn folded() -> (LiveState, usize) {
    let state = state();
    let (mut users, mut shard) = (Vec::new(), 0);
    // Some two of sixty-five users share a shard.
    for user in 0..65 {
        let user_id = format!("user-{user}");
        let probe = self::state();
        fold(&probe, 0, &user_id, "pen");
        let of = (0..LiveState::shard_count())
            .find(|shard| !export(&probe, *shard).users.is_empty())
            .expect("the user is in a shard");
        if let Some((other, _)) = users.iter().find(|(_, known)| *known == of) {
            for (position, id) in [(0, other), (1, &user_id), (2, other), (3, &user_id)] {
                fold(
                    &state,
                    position,
                    id,
                    if position < 2 { "pen" } else { "cup" },
                );
            }
            shard = of;
            break;
        }
        users.push((user_id, of));
    }
    state.apply(
        4,
        &[Effect::Item(word("pen", 1)), Effect::Item(word("cup", 2))],
    );
    (state, shard)
}

fn fold(state: &LiveState, position: u64, user_id: &str, item_id: &str) {
    let event = RecordedEvent {
        source: "live",
        event_id: "",
        event_name: "purchase",
        user_id,
        item_id,
        event_at: TimeUs(5),
    };
    state.apply(position, &[Effect::Event(event)]);
}

fn export(state: &LiveState, shard: usize) -> UserShard {
    state.export_users(shard).expect("a shard that exists")
}

fn assert_refused(result: Result<(), Error>, saying: &str) {
    let error = result.expect_err(saying);
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::DataLoss, "CHECKPOINT_INVALID")
    );
    assert!(
        error.message.contains(saying),
        "{} does not say {saying}",
        error.message
    );
}

#[test]
fn user_shards_that_cannot_be_true_are_refused_and_leave_the_state_as_it_was() {
    let (folded, shard) = folded();
    let good = export(&folded, shard);
    assert_eq!(good.users.len(), 2);
    type Change = fn(&mut UserShard);
    let changes: [(&str, Change); 22] = [
        ("the last is 63", |shard| shard.shard = 64),
        ("belongs to another shard", |shard| {
            shard.shard = (shard.shard + 1) % 64
        }),
        ("evicted_before 7 is after its position 6", |shard| {
            shard.evicted_before = 7
        }),
        ("do not ascend to less than 3", |shard| shard.position = 3),
        ("do not ascend to less than 0", |shard| shard.position = 0),
        ("is not after that of the one before", |shard| {
            shard.users.reverse()
        }),
        ("stands twice", |shard| {
            let mut again = shard.users[0].clone();
            again.positions = vec![4, 5];
            shard.users.push(again);
        }),
        ("an id does not have", |shard| {
            shard.users[0].user_id = String::new()
        }),
        ("an id does not have", |shard| {
            shard.users[0].user_id = "u".repeat(129)
        }),
        ("an id does not have", |shard| {
            shard.users[0].item_ids[1] = "".into()
        }),
        ("an id does not have", |shard| {
            shard.users[0].item_ids[1] = "i".repeat(129).into()
        }),
        ("columns of 3 positions", |shard| {
            shard.users[0].positions.push(5)
        }),
        ("columns of 2 positions, 1 items", |shard| {
            shard.users[0].items.pop();
        }),
        ("and 3 times", |shard| shard.users[0].event_at_us.push(0)),
        ("1 names", |shard| {
            shard.users[0].names.pop();
        }),
        ("columns of 0 positions", |shard| {
            shard.users[0] = CheckpointUser {
                user_id: shard.users[0].user_id.clone(),
                ..CheckpointUser::default()
            }
        }),
        ("do not ascend", |shard| shard.users[0].positions.reverse()),
        ("do not ascend", |shard| {
            shard.users[0].positions = vec![2, 2]
        }),
        ("do not ascend", |shard| {
            shard.users[1].positions[1] = u64::MAX
        }),
        ("truncated_before 7 is after 6", |shard| {
            shard.users[0].truncated_before = 7
        }),
        ("item 3 of 2", |shard| shard.users[0].items[0] = 3),
        ("name 2 of 2", |shard| shard.users[0].names[1] = 2),
    ];
    let state = state();
    for (saying, change) in changes {
        let mut wrong = good.clone();
        change(&mut wrong);
        assert_refused(state.import_users(wrong, &names()), saying);
    }
    assert_eq!(state.stats(), self::state().stats());
    state
        .import_users(good, &names())
        .expect("nothing of it was taken in before");
}

#[test]
fn names_of_a_checkpoint_are_translated_and_unknown_ones_left_out() {
    let (folded, shard) = folded();
    let mut part = export(&folded, shard);
    part.users[0].names = vec![0, 1];
    let user_id = part.users[0].user_id.clone();
    let state = state();
    let names = ["no longer folded".to_owned(), "view_item".to_owned()];
    state.import_users(part, &names).expect("good users");
    let mut events = Vec::new();
    state.user_events(&user_id, 0, &mut events);
    let found: Vec<(u64, u8)> = events
        .iter()
        .map(|event| (event.position, event.name))
        .collect();
    assert_eq!(found, [(2, 0)]);
}

#[test]
fn an_event_without_item_is_left_out_as_the_fold_does() {
    let (folded, shard) = folded();
    let mut part = export(&folded, shard);
    part.users[0].items[1] = 2;
    let user_id = part.users[0].user_id.clone();
    let state = state();
    state.import_users(part, &names()).expect("good users");
    let mut events = Vec::new();
    assert!(state.user_events(&user_id, 0, &mut events).is_complete());
    assert_eq!(events.len(), 1);
}

#[test]
fn catalogues_that_cannot_be_true_are_refused() {
    let (folded, _) = folded();
    let good = folded.export_catalogue();
    let fact = |word: &ItemFact<'_>, positions: &[u64]| {
        Arc::new(LiveFact::from_checkpoint(word, positions).expect("nine positions"))
    };
    let at = |told_at: u64, stock_at: u64| [told_at, 0, 0, 0, 0, 0, 0, stock_at, 0];
    let long = "i".repeat(129);
    let mut reversed = good.clone();
    reversed.items.reverse();
    let shard = |items: Vec<Arc<LiveFact>>| CatalogueShard { position: 6, items };
    let state = state();
    for (saying, wrong) in [
        ("not after the one before", reversed),
        (
            "stands twice",
            shard(vec![
                fact(&word("pen", 1), &at(4, 4)),
                fact(&word("pen", 2), &at(5, 5)),
            ]),
        ),
        (
            "position 6 is not between 4 and 6",
            shard(vec![fact(&word("pen", 1), &at(4, 6))]),
        ),
        (
            "position 3 is not between 4 and 6",
            shard(vec![fact(&word("pen", 1), &at(4, 3))]),
        ),
        (
            "is not between",
            shard(vec![fact(&word("pen", 1), &at(u64::MAX, u64::MAX))]),
        ),
        (
            "item_id has 0 bytes",
            shard(vec![fact(&word("", 1), &at(4, 4))]),
        ),
        (
            "item_id has 129 bytes",
            shard(vec![fact(&word(&long, 1), &at(4, 4))]),
        ),
    ] {
        assert_refused(state.import_catalogue(wrong), saying);
    }
    assert_refused(
        LiveFact::from_checkpoint(&word("pen", 1), &[1; 8]).map(drop),
        "8 positions; 9 would be right",
    );
    assert_eq!(state.stats(), self::state().stats());
    // Through the columns of the message and back.
    let through = good
        .items
        .iter()
        .map(|known| fact(&known.as_item_fact(), &known.positions()));
    let through = CatalogueShard {
        position: good.position,
        items: through.collect(),
    };
    assert_eq!(through, good);
    state.import_catalogue(through).expect("good facts");
    assert_eq!(state.export_catalogue(), good);
}

#[test]
fn dedupe_shards_that_cannot_be_true_are_refused() {
    let key = EventKey(7);
    let good = DedupeShard {
        shard: 0,
        position: 3,
        ids: [key.to_bytes(), EventKey(8).to_bytes()].concat(),
        recorded_at_us: vec![5, 6],
    };
    type Change = fn(&mut DedupeShard);
    let changes: [(&str, Change); 5] = [
        ("the last is 63", |shard| shard.shard = u32::MAX),
        ("belongs to another", |shard| shard.shard = 1),
        ("31 bytes of ids and 2 times", |shard| {
            shard.ids.pop();
        }),
        ("32 bytes of ids and 3 times", |shard| {
            shard.recorded_at_us.push(7)
        }),
        ("stands twice", |shard| shard.ids.copy_within(..16, 16)),
    ];
    let window = DedupeWindow::new(1 << 20).expect("room");
    for (saying, change) in changes {
        let mut wrong = good.clone();
        change(&mut wrong);
        assert_refused(window.import(wrong), saying);
    }
    assert_eq!(window.stats().ids, 0);
    window
        .import(good.clone())
        .expect("nothing of it was taken in before");
    assert_eq!(window.export(0).expect("a shard"), good);
    assert_eq!(
        window.export(64).expect_err("no such shard").kind,
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        window.import(good).expect_err("too late").reason,
        "CHECKPOINT_TOO_LATE"
    );
}

#[test]
fn answers_that_cannot_be_true_are_refused() {
    let answered = |request_id: &str| AnsweredWrite {
        request_id: request_id.into(),
        body_hash: [1; 16],
        answer: Arc::from(*b"yes"),
        answered_at: TimeUs(1),
    };
    let shard = |requests| RequestShard {
        position: 2,
        requests,
    };
    let mut window = RequestWindow::new(1000);
    assert_refused(
        window.import(shard(vec![answered("r"), answered("r")])),
        "r stands twice",
    );
    assert_refused(
        window.import(shard(vec![answered("")])),
        "its id has 0 bytes",
    );
    assert_refused(
        window.import(shard(vec![answered(&"r".repeat(129))])),
        "its id has 129 bytes",
    );
    assert_eq!(window.stats().requests, 0);
    let good = shard(vec![answered("r"), answered("s")]);
    window
        .import(good.clone())
        .expect("nothing of it was taken in before");
    assert_eq!(window.export(), good);
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..8_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn short() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..4_u32, 1 => any::<u32>()]
}

fn user(user_ids: Vec<String>) -> impl Strategy<Value = CheckpointUser> {
    let list = || prop::collection::vec(short(), 0..4);
    (
        prop::sample::select(user_ids),
        prop::collection::vec(number(), 0..4),
        list(),
        list(),
        prop::collection::vec(any::<i64>(), 0..4),
        prop::collection::vec("[a-c]{0,2}", 0..3),
        number(),
    )
        .prop_map(
            |(user_id, positions, items, names, event_at_us, item_ids, truncated_before)| {
                CheckpointUser {
                    user_id,
                    positions,
                    items,
                    names,
                    event_at_us,
                    item_ids: item_ids.into_iter().map(Into::into).collect(),
                    truncated_before,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever it is told, it answers; and what it takes in, it can give out and take in again.
    #[test]
    fn no_user_shard_makes_it_panic(
        users in prop::collection::vec(user(good_users().0), 0..3),
        position in number(),
        evicted_before in number(),
        is_of_another_shard in prop::bool::weighted(0.1),
        then in 0..20_u64,
    ) {
        let shard = good_users().1 as u32;
        let shard = if is_of_another_shard { shard ^ 1 } else { shard };
        let part = UserShard { shard, position, evicted_before, users };
        let state = state();
        let result = state.import_users(part.clone(), &names());
        if result.is_ok() {
            let again = export(&state, shard as usize);
            let other = self::state();
            other.import_users(again.clone(), &names()).expect("what was given out is good");
            prop_assert_eq!(export(&other, shard as usize), again);
        }
        for user in &part.users {
            fold(&state, then, &user.user_id, "pen");
            state.user_events(&user.user_id, 0, &mut Vec::new());
        }
        state.set_floor(position / 2);
    }
}

/// Two users of one shard.
fn good_users() -> (Vec<String>, usize) {
    let (state, shard) = folded();
    let users = export(&state, shard).users.into_iter();
    (users.map(|user| user.user_id).collect(), shard)
}
