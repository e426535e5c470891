//! Live state, by examples that can be checked by hand.

use promosvc_engine::error::ErrorKind;
use promosvc_engine::history::{
    Effect, ItemFact, LiveEvent, LiveSettings, LiveState, RecordedEvent, UserCompleteness,
};
use promosvc_engine::types::TimeUs;

const VIEW: &str = "view_item";
const BUY: &str = "purchase";

fn settings() -> LiveSettings {
    LiveSettings {
        event_names: vec![VIEW.to_owned(), BUY.to_owned()],
        ..LiveSettings::default()
    }
}

fn state() -> LiveState {
    LiveState::new(settings()).expect("settings are good")
}

fn event<'a>(user_id: &'a str, event_name: &'a str, item_id: &'a str, at: i64) -> Effect<'a> {
    Effect::Event(RecordedEvent {
        source: "live",
        event_id: "not looked at",
        event_name,
        user_id,
        item_id,
        event_at: TimeUs(at),
    })
}

fn item(item_id: &str) -> ItemFact<'_> {
    ItemFact {
        item_id,
        ..ItemFact::default()
    }
}

/// A user's events as text: position, name, item, time.
fn events(state: &LiveState, user_id: &str, since: u64) -> (Vec<String>, UserCompleteness) {
    let mut out = Vec::new();
    let completeness = state.user_events(user_id, since, &mut out);
    let text = |event: &LiveEvent| {
        let name = &state.event_names()[usize::from(event.name)];
        let item = event.item.and_then(|item| state.item_id(item));
        let item = item.as_deref().unwrap_or("?").to_owned();
        format!("{} {name} {item} {}", event.position, event.event_at.0)
    };
    (out.iter().map(text).collect(), completeness)
}

#[test]
fn events_of_a_user_come_back_oldest_first_and_from_a_position_on() {
    let state = state();
    state.apply(
        0,
        &[
            event("ann", VIEW, "pen", 50),
            event("bob", VIEW, "cup", 51),
            event("ann", BUY, "pen", 40),
        ],
    );
    state.apply(3, &[event("ann", VIEW, "ink", 50)]);
    assert_eq!(state.position(), 4);
    let all = [
        "2 purchase pen 40",
        "0 view_item pen 50",
        "3 view_item ink 50",
    ];
    assert_eq!(events(&state, "ann", 0).0, all);
    assert_eq!(events(&state, "ann", 1).0, [all[0], all[2]]);
    assert_eq!(events(&state, "ann", 4).0, [""; 0]);
    assert!(events(&state, "nobody", 0).1.is_complete());
}

#[test]
fn what_nobody_reads_only_moves_the_position() {
    let state = state();
    state.apply(
        0,
        &[
            event("ann", "search", "pen", 1),
            event("ann", VIEW, "", 2),
            event("", VIEW, "pen", 3),
        ],
    );
    assert_eq!(state.position(), 3);
    assert_eq!(state.stats().users + state.stats().items, 0);
    state.apply(9, &[]);
    assert_eq!(state.position(), 9);
}

#[test]
fn of_a_user_the_newest_events_stay_and_the_rest_is_said_to_be_missing() {
    let mut settings = settings();
    settings.events_per_user_max = 2;
    let state = LiveState::new(settings).expect("settings are good");
    for position in 0..5 {
        state.apply(position, &[event("ann", VIEW, "pen", position as i64)]);
    }
    let (found, completeness) = events(&state, "ann", 0);
    assert_eq!(found, ["3 view_item pen 3", "4 view_item pen 4"]);
    assert_eq!(completeness, UserCompleteness::MissingBefore(3));
    assert!(events(&state, "ann", 3).1.is_complete());
}

#[test]
fn the_floor_drops_what_is_before_it_and_is_itself_a_mark() {
    let state = state();
    state.apply(
        0,
        &[event("ann", VIEW, "pen", 1), event("bob", VIEW, "cup", 1)],
    );
    state.apply(2, &[event("ann", VIEW, "ink", 1)]);
    state.set_floor(2);
    assert_eq!(
        events(&state, "ann", 2),
        (
            vec!["2 view_item ink 1".to_owned()],
            UserCompleteness::Complete
        )
    );
    assert_eq!(
        events(&state, "bob", 0).1,
        UserCompleteness::MissingBefore(2)
    );
    let stats = state.stats();
    assert_eq!((stats.users, stats.events, stats.items), (1, 1, 1));
    state.set_floor(3);
    assert_eq!(state.stats().bytes, 0);
}

#[test]
fn a_fact_keeps_the_newest_word_on_each_field() {
    let state = state();
    let catalogue = state.catalogue();
    let before = catalogue.version();
    state.apply(
        0,
        &[
            Effect::Item(ItemFact {
                stock: Some(3),
                title: Some("Pen"),
                ..item("pen")
            }),
            Effect::Item(ItemFact {
                stock: Some(1),
                ..item("cup")
            }),
            Effect::Item(ItemFact {
                stock: Some(0),
                unit_price: Some((250, "EUR")),
                ..item("pen")
            }),
        ],
    );
    assert_eq!(catalogue.version(), before + 3);
    let pen = catalogue.fact("pen").expect("the log told of it");
    assert_eq!(pen.positions(), [0, 0, 0, 0, 0, 2, 2, 2, 0]);
    assert_eq!(
        pen.as_item_fact(),
        ItemFact {
            title: Some("Pen"),
            stock: Some(0),
            unit_price: Some((250, "EUR")),
            ..item("pen")
        }
    );
    let mut since = Vec::new();
    catalogue.facts_since(1, &mut since);
    let ids: Vec<&str> = since.iter().map(|fact| &*fact.item_id).collect();
    assert_eq!(
        ids,
        ["pen", "cup"],
        "in the order in which the log first told of them"
    );
    state.set_floor(2);
    assert!(catalogue.fact("cup").is_none() && catalogue.fact("pen").is_some());
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let names = |names: Vec<String>| LiveSettings {
        event_names: names,
        ..LiveSettings::default()
    };
    let none_kept = LiveSettings {
        events_per_user_max: 0,
        ..settings()
    };
    for (wrong, field) in [
        (
            names((0..256).map(|at| at.to_string()).collect()),
            "event_names",
        ),
        (
            names(vec![VIEW.to_owned(), VIEW.to_owned()]),
            "event_names[1]",
        ),
        (names(vec![String::new()]), "event_names[0]"),
        (none_kept, "events_per_user_max"),
    ] {
        let error = LiveState::new(wrong).err().expect("refused");
        assert_eq!(
            (error.kind, error.field.as_str()),
            (ErrorKind::InvalidArgument, field)
        );
    }
}

#[test]
fn a_checkpoint_gives_the_same_state_and_passes_over_what_it_holds() {
    let state = state();
    let effects = [
        event("ann", VIEW, "pen", 5),
        Effect::Item(ItemFact {
            stock: Some(1),
            ..item("pen")
        }),
        event("bob", BUY, "cup", 6),
        event("ann", BUY, "pen", 7),
    ];
    state.apply(0, &effects);
    let other = LiveState::new(settings()).expect("settings are good");
    for shard in 0..LiveState::shard_count() {
        let shard = state.export_users(shard).expect("a shard");
        other
            .import_users(shard, state.event_names())
            .expect("a good shard");
    }
    other
        .import_catalogue(state.export_catalogue())
        .expect("good facts");
    other.apply(0, &effects);
    for user in ["ann", "bob", "nobody"] {
        assert_eq!(events(&other, user, 0), events(&state, user, 0));
    }
    assert_eq!(other.catalogue().fact("pen"), state.catalogue().fact("pen"));
    assert_eq!(other.stats(), state.stats());
    let again = state.export_users(0).expect("a shard");
    let error = other
        .import_users(again, state.event_names())
        .expect_err("too late");
    assert_eq!(error.reason, "CHECKPOINT_TOO_LATE");
}
