//! Recording, from a request to the log and back after a restart.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use promosvc_server::storage::{DiskFiles, KIND_EVENTS, LogReader, Record};
use promosvc_server::{CallResult, Door, Server};
use prost::Message;
use serde_json::json;
use support::disk::{Mood, MoodyFiles};
use support::recording::{
    call, checkpointed, log_status, ok, reason, record, recorded, recording_config, request,
    status, time, upsert, upsert_items, view, views,
};
use support::wire::promosvc::log::v1::event_log_entry::Entry;
use support::wire::promosvc::log::v1::{EventLogRecord, Exposure, ItemFact, RecordedEvent};
use support::wire::promosvc::v1 as wire;
use support::{
    Client, GET_STATUS, RECOMMEND, RECORD_EVENTS, UPSERT_ITEMS, WATERMARK_US, parsed, published,
    run,
};
use tempfile::TempDir;

const ACCEPTED: i32 = 1;
const DUPLICATE: i32 = 2;
const REJECTED: i32 = 3;

fn door(root: &TempDir) -> Door {
    Door::new(parsed(&recording_config(root.path()))).expect("a door")
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let root = published();
    let first = door(&root);
    assert_eq!(record(&first, views(0..3)), [ACCEPTED; 3]);
    assert_eq!(record(&first, views(2..4)), [DUPLICATE, ACCEPTED]);
    assert_eq!(recorded(&first), 4);
    assert_eq!(status(&first).live_state.expect("live").event_count, 4);
    drop(first);

    let again = door(&root);
    assert_eq!(recorded(&again), 4);
    // A stop without a grace writes no checkpoint: all this was replayed.
    assert_eq!(log_status(&again).checkpoint_position, 0);
    assert_eq!(
        record(&again, views(0..5)),
        [DUPLICATE, DUPLICATE, DUPLICATE, DUPLICATE, ACCEPTED]
    );
    assert_eq!(status(&again).dedupe.expect("ids").id_count, 5);
    assert!(again.close(Duration::from_secs(30)));
    drop(again);

    let from_checkpoint = door(&root);
    assert_eq!(
        (recorded(&from_checkpoint), checkpointed(&from_checkpoint)),
        (5, 5)
    );
    assert_eq!(record(&from_checkpoint, views(0..5)), [DUPLICATE; 5]);
    let live = status(&from_checkpoint).live_state.expect("live");
    assert_eq!((live.user_count, live.event_count), (1, 5));
}

#[test]
fn an_event_counts_once_for_a_source_and_a_name() {
    let root = published();
    let door = door(&root);
    assert_eq!(
        record(
            &door,
            vec![view("1", "ann", "near"), view(" 1\t", "bob", "far")]
        ),
        [ACCEPTED, DUPLICATE]
    );
    let mut other_name = view("1", "ann", "near");
    other_name.event_name = "add_to_cart".to_owned();
    assert_eq!(record(&door, vec![other_name]), [ACCEPTED]);
    let of_source = |source: &str| {
        let request = wire::RecordEventsRequest {
            source: source.to_owned(),
            ..request(vec![view("1", "ann", "near")])
        };
        let response: wire::RecordEventsResponse = ok(&call(&door, RECORD_EVENTS, &request));
        response.results[0].verdict
    };
    assert_eq!(
        [of_source("shop"), of_source("shop")],
        [ACCEPTED, DUPLICATE]
    );
    // The configured source by its name.
    assert_eq!(of_source("live"), DUPLICATE);
}

/// All entries of the log, as they stand there.
fn logged(root: &Path) -> Vec<Entry> {
    let files = Arc::new(DiskFiles::open(root.join("events")).expect("a directory"));
    let reader = LogReader::open(files).expect("a log");
    let first = reader.first_position().expect("reads").expect("a segment");
    let entries = |record: Record| {
        assert_eq!((record.kind, record.version), (KIND_EVENTS, 1));
        let payload = EventLogRecord::decode(record.payload.as_slice()).expect("decodes");
        assert_eq!(payload.entries.len(), record.entries as usize);
        payload.entries
    };
    let records = reader.records(first, None).expect("records");
    records
        .flat_map(|record| entries(record.expect("a record")))
        .map(|entry| entry.entry.expect("an entry"))
        .collect()
}

#[test]
fn everything_that_was_said_stands_in_the_log() {
    let root = published();
    let mut config = recording_config(root.path());
    config["attribution"] = json!({"keys_file": root.path().join("attribution.keys")});
    let door = Door::new(parsed(&config)).expect("a door");
    let for_user = wire::RecommendRequest {
        user: Some(wire::UserContext {
            user_id: "user-0".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer: wire::RecommendResponse = ok(&call(&door, RECOMMEND, &for_user));
    let shown = &answer.items[1];
    let whole = wire::Event {
        event_id: "1".to_owned(),
        event_name: "purchase".to_owned(),
        user_id: " user-0".to_owned(),
        item_id: shown.item_id.clone(),
        event_at: time(WATERMARK_US - 1),
        order_id: "order".to_owned(),
        quantity: Some(0.5),
        amount_minor: Some(0),
        discount_minor: Some(1),
        coupon_discount_minor: Some(2),
        currency: "eur".to_owned(),
        rating: Some(-4.5),
        search_term: "term ".to_owned(),
        promotion_id: "promotion".to_owned(),
        attribution_token: shown.attribution_token.clone(),
        attributes: [(" key".to_owned(), "value ".to_owned())].into(),
    };
    // The token of one user and item says nothing about another.
    let foreign = wire::Event {
        event_id: "2".to_owned(),
        user_id: "user-1".to_owned(),
        ..whole.clone()
    };
    let events = request(vec![whole, foreign]);
    let response: wire::RecordEventsResponse = ok(&call(&door, RECORD_EVENTS, &events));
    let attributed: Vec<bool> = response
        .results
        .iter()
        .map(|result| result.is_attributed)
        .collect();
    assert_eq!(attributed, [true, false]);
    ok::<wire::UpsertItemsResponse>(&upsert_items(&door, &upsert("r-1", "far", 3)));

    let entries = logged(root.path());
    let hash = answer
        .snapshot_id
        .rsplit_once('-')
        .expect("a hash")
        .1
        .to_owned();
    let event = RecordedEvent {
        event_id: "1".to_owned(),
        event_name: "purchase".to_owned(),
        user_id: "user-0".to_owned(),
        item_id: shown.item_id.clone(),
        event_at_us: WATERMARK_US - 1,
        order_id: "order".to_owned(),
        quantity: Some(0.5),
        amount_minor: Some(0),
        discount_minor: Some(1),
        coupon_discount_minor: Some(2),
        currency: "EUR".to_owned(),
        rating: Some(-4.5),
        search_term: "term".to_owned(),
        promotion_id: "promotion".to_owned(),
        exposed_by: Some(Exposure {
            snapshot_hash: hash,
            decided_at_us: WATERMARK_US,
            arm: "default".to_owned(),
            rank: 2,
            propensity: 1.0,
        }),
        attributes: [(" key".to_owned(), "value ".to_owned())].into(),
        source: "live".to_owned(),
    };
    assert_eq!(entries[0], Entry::Event(event.clone()));
    let foreign = RecordedEvent {
        event_id: "2".to_owned(),
        user_id: "user-1".to_owned(),
        exposed_by: None,
        ..event
    };
    assert_eq!(entries[1], Entry::Event(foreign));
    let fact = ItemFact {
        item_id: "far".to_owned(),
        stock: Some(3),
        ..Default::default()
    };
    assert_eq!(entries[2], Entry::Item(fact));
    let Entry::Request(request) = &entries[3] else {
        panic!("the answer stands behind its effects");
    };
    assert_eq!(
        (request.request_id.as_str(), request.body_hash.len()),
        ("r-1", 16)
    );
    let answer = upsert_items(&door, &upsert("r-1", "far", 3));
    assert_eq!(request.answer, answer.response);
    assert_eq!(entries.len(), 4);
}

#[test]
fn an_acknowledged_event_is_in_the_next_answer() {
    let root = published();
    let door = door(&root);
    let ask = |user_id: &str| {
        let request = wire::RecommendRequest {
            user: Some(wire::UserContext {
                user_id: user_id.to_owned(),
                ..Default::default()
            }),
            page_size: 100,
            ..Default::default()
        };
        let response: wire::RecommendResponse = ok(&call(&door, RECOMMEND, &request));
        response
    };
    let before = ask("new-user");
    assert_eq!(before.degraded_reason(), wire::DegradedReason::UnknownUser);
    let bought = before.items[0].item_id.clone();
    let purchase = wire::Event {
        event_name: "purchase".to_owned(),
        ..view("1", "new-user", &bought)
    };
    assert_eq!(record(&door, vec![purchase]), [ACCEPTED]);
    let after = ask("new-user");
    assert_ne!(after.degraded_reason(), wire::DegradedReason::UnknownUser);
    assert!(after.items.iter().all(|item| item.item_id != bought));
    // Nobody gets what is sold out.
    let sold_out = after.items[0].item_id.clone();
    ok::<wire::UpsertItemsResponse>(&upsert_items(&door, &upsert("r-1", &sold_out, 0)));
    assert!(
        ask("new-user")
            .items
            .iter()
            .all(|item| item.item_id != sold_out)
    );
}

#[test]
fn a_rejected_event_leaves_the_others_standing() {
    let root = published();
    let door = door(&root);
    let mut late = view("2", "ann", "near");
    late.event_at = time(WATERMARK_US + 300_000_001);
    let mut negative = view("3", "ann", "near");
    negative.amount_minor = Some(-1);
    negative.currency = "eur".to_owned();
    let unknown = wire::Event {
        event_name: "teleport".to_owned(),
        ..view("4", "ann", "near")
    };
    let events = vec![
        view("1", "ann", "near"),
        late,
        negative,
        unknown,
        view("", "ann", "near"),
        view("6", "ann", "far"),
    ];
    let response: wire::RecordEventsResponse = ok(&call(&door, RECORD_EVENTS, &request(events)));
    let results: Vec<_> = response
        .results
        .iter()
        .map(|result| {
            (
                result.verdict,
                result.rejection_reason(),
                result.field.as_str(),
            )
        })
        .collect();
    use wire::RejectionReason as Reason;
    assert_eq!(
        results,
        [
            (ACCEPTED, Reason::Unspecified, ""),
            (REJECTED, Reason::ImpossibleTime, "events[1].event_at"),
            (REJECTED, Reason::NegativePrice, "events[2].amount_minor"),
            (REJECTED, Reason::UnknownEventName, "events[3].event_name"),
            (REJECTED, Reason::MissingEventId, "events[4].event_id"),
            (ACCEPTED, Reason::Unspecified, ""),
        ]
    );
    assert_eq!(recorded(&door), 2);
}

#[test]
fn a_request_over_a_limit_writes_nothing() {
    let root = published();
    let door = door(&root);
    let with = |change: &dyn Fn(&mut wire::Event)| {
        let mut events = views(0..4);
        change(&mut events[3]);
        request(events)
    };
    let long = "n".repeat(129);
    let cases = [
        (request(vec![]), "LIST_EMPTY", "events is empty"),
        (
            request(views(0..10_001)),
            "LIST_TOO_LONG",
            "events has 10001",
        ),
        (
            with(&|e| e.event_id = long.clone()),
            "ID_TOO_LONG",
            "events[3].event_id is 129",
        ),
        (
            with(&|e| e.item_id = long.clone()),
            "ID_TOO_LONG",
            "events[3].item_id is 129",
        ),
        (
            with(&|e| e.order_id = long.clone()),
            "ID_TOO_LONG",
            "events[3].order_id is 129",
        ),
        (
            with(&|e| e.search_term = "s".repeat(1_025)),
            "TEXT_TOO_LONG",
            "events[3].search_term is 1025",
        ),
        (
            with(&|e| e.attribution_token = long.clone()),
            "TEXT_TOO_LONG",
            "events[3].attribution_token is 129",
        ),
        (
            with(&|e| e.attributes = (0..33).map(|at| (at.to_string(), String::new())).collect()),
            "LIST_TOO_LONG",
            "events[3].attributes has 33",
        ),
        (
            with(&|e| {
                e.attributes.insert("k".to_owned(), "v".repeat(1_025));
            }),
            "TEXT_TOO_LONG",
            "events[3].attributes[\"k\"] is 1025",
        ),
        (
            wire::RecordEventsRequest {
                source: long.clone(),
                ..request(views(0..1))
            },
            "ID_TOO_LONG",
            "source is 129",
        ),
    ];
    for (request, expected, message) in cases {
        let result = call(&door, RECORD_EVENTS, &request);
        assert_eq!(result.code, 3, "{message}");
        assert!(result.message.starts_with(message), "{}", result.message);
        assert_eq!(reason(&result), expected);
    }
    assert_eq!(recorded(&door), 0);
    // The limits themselves pass.
    assert_eq!(record(&door, views(0..10_000)), [ACCEPTED; 10_000]);
}

#[test]
fn a_write_sent_again_gets_its_first_answer() {
    let root = published();
    let first = door(&root);
    let answer = upsert_items(&first, &upsert("r-1", "far", 5));
    let response: wire::UpsertItemsResponse = ok(&answer);
    assert_eq!((response.created_count, response.updated_count), (1, 0));
    assert_eq!(
        response.events_position,
        log_status(&first).durable_position
    );
    assert_eq!(recorded(&first), 2);
    let known: wire::UpsertItemsResponse = ok(&upsert_items(&first, &upsert("r-2", "far", 6)));
    assert_eq!((known.created_count, known.updated_count), (0, 1));
    let of_snapshot = upsert_items(
        &first,
        &upsert("r-3", &support::snapshot::random::item_id(0), 6),
    );
    let of_snapshot: wire::UpsertItemsResponse = ok(&of_snapshot);
    assert_eq!(
        (of_snapshot.created_count, of_snapshot.updated_count),
        (0, 1)
    );
    let before = recorded(&first);
    for _ in 0..2 {
        assert_eq!(upsert_items(&first, &upsert("r-1", "far", 5)), answer);
    }
    let other = upsert_items(&first, &upsert("r-1", "far", 7));
    assert_eq!(
        (other.code, reason(&other).as_str()),
        (6, "REQUEST_ID_REUSED")
    );
    assert_eq!(recorded(&first), before);
    drop(first);

    for grace_seconds in [0, 30] {
        let again = door(&root);
        assert_eq!(upsert_items(&again, &upsert("r-1", "far", 5)), answer);
        let other = upsert_items(&again, &upsert("r-1", "far", 7));
        assert_eq!(other.code, 6);
        assert_eq!(recorded(&again), before);
        assert_eq!(status(&again).live_state.expect("live").item_count, 2);
        assert!(again.close(Duration::from_secs(grace_seconds)));
    }
}

/// While the disk takes its time, all that waits is decided in one order.
#[test]
fn repetitions_in_flight_are_seen() {
    let root = published();
    let (files, control) = MoodyFiles::create(&root.path().join("events"));
    let config = parsed(&recording_config(root.path()));
    let door = Arc::new(Door::with_files(config, files).expect("a door"));
    control.set(Mood::Holds);
    let calls: Vec<_> = (0..8)
        .map(|at| {
            let door = Arc::clone(&door);
            std::thread::spawn(move || {
                if at % 2 == 0 {
                    upsert_items(&door, &upsert("r-1", "far", 5))
                } else {
                    call(&door, RECORD_EVENTS, &request(views(0..3)))
                }
            })
        })
        .collect();
    control.wait_until_held(1);
    assert_eq!(recorded(&door), 0);
    control.set(Mood::Good);
    let results: Vec<CallResult> = calls
        .into_iter()
        .map(|call| call.join().expect("no panic"))
        .collect();
    let answers: Vec<_> = results.iter().step_by(2).collect();
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    let accepted: i32 = results
        .iter()
        .skip(1)
        .step_by(2)
        .map(|result| ok::<wire::RecordEventsResponse>(result).accepted_count)
        .sum();
    assert_eq!(accepted, 3);
    assert_eq!(recorded(&door), 3 + 2);
}

#[test]
fn a_deadline_is_looked_at_before_the_append_and_never_after() {
    let root = published();
    let (files, control) = MoodyFiles::create(&root.path().join("events"));
    let config = parsed(&recording_config(root.path()));
    let door = Arc::new(Door::with_files(config, files).expect("a door"));
    control.set(Mood::Holds);
    let with_deadline = |ids: std::ops::Range<usize>, deadline: Instant| {
        let door = Arc::clone(&door);
        let bytes = request(views(ids)).encode_to_vec();
        std::thread::spawn(move || door.call(RECORD_EVENTS, &bytes, &[], Some(deadline)))
    };
    let soon = Instant::now() + Duration::from_secs(1);
    let appended = with_deadline(0..1, soon);
    control.wait_until_held(1);
    let waiting = with_deadline(1..2, soon);
    while Instant::now() < soon || log_status(&door).queued_commands == 0 {
        std::thread::yield_now();
    }
    control.set(Mood::Good);
    let appended = appended.join().expect("no panic");
    assert_eq!(appended.code, 0, "{}", appended.message);
    let waiting = waiting.join().expect("no panic");
    assert_eq!(waiting.code, 4, "{}", waiting.message);
    assert_eq!(record(&door, views(0..2)), [DUPLICATE, ACCEPTED]);
}

#[test]
fn a_full_queue_sheds_and_says_when_to_come_back() {
    let root = published();
    let (files, control) = MoodyFiles::create(&root.path().join("events"));
    let mut config = recording_config(root.path());
    config["events"]["queue_commands_max"] = 1.into();
    let door = Arc::new(Door::with_files(parsed(&config), files).expect("a door"));
    control.set(Mood::Holds);
    let send = |ids: std::ops::Range<usize>| {
        let door = Arc::clone(&door);
        std::thread::spawn(move || call(&door, RECORD_EVENTS, &request(views(ids))))
    };
    let writing = send(0..1);
    control.wait_until_held(1);
    let waiting = send(1..2);
    while log_status(&door).queued_commands == 0 {
        std::thread::yield_now();
    }
    let shed = call(&door, RECORD_EVENTS, &request(views(2..3)));
    assert_eq!(
        (shed.code, reason(&shed).as_str()),
        (8, "RECORDING_OVERLOADED")
    );
    assert_eq!(
        shed.trailing_metadata[0],
        ("grpc-retry-pushback-ms".to_owned(), b"100".to_vec())
    );
    control.set(Mood::Good);
    for call in [writing, waiting] {
        assert_eq!(call.join().expect("no panic").code, 0);
    }
    assert_eq!(record(&door, views(0..3)), [DUPLICATE, DUPLICATE, ACCEPTED]);
}

#[test]
fn after_a_failed_disk_reads_go_on_and_nothing_is_acknowledged() {
    for mood in [Mood::FailsWrites(28), Mood::FailsSyncs(5)] {
        let root = published();
        let (files, control) = MoodyFiles::create(&root.path().join("events"));
        let config = parsed(&recording_config(root.path()));
        let door = Door::with_files(config, files).expect("a door");
        assert_eq!(record(&door, views(0..2)), [ACCEPTED; 2]);
        control.set(mood);
        let failed = call(&door, RECORD_EVENTS, &request(views(2..3)));
        assert_eq!(
            (failed.code, reason(&failed).as_str()),
            (14, "LOG_FAILED"),
            "{mood:?}"
        );
        // Where the log lies is no business of the caller.
        let place = root.path().to_str().expect("text");
        assert!(!failed.message.contains(place), "{}", failed.message);
        // The disk recovers, the log does not: what is on it is unknown.
        control.set(Mood::Good);
        for result in [
            call(&door, RECORD_EVENTS, &request(views(3..4))),
            upsert_items(&door, &upsert("r-1", "far", 1)),
        ] {
            assert_eq!((result.code, reason(&result).as_str()), (14, "LOG_FAILED"));
        }
        assert_eq!(
            call(&door, RECOMMEND, &wire::RecommendRequest::default()).code,
            0
        );
        assert_eq!(recorded(&door), 2);
        let log = log_status(&door);
        assert!(
            log.failure.contains("until the server is restarted"),
            "{}",
            log.failure
        );
        assert_eq!(status(&door).live_state.expect("live").event_count, 2);
        drop(door);

        let again = Door::new(parsed(&recording_config(root.path()))).expect("starts");
        assert_eq!(log_status(&again).failure, "");
        assert_eq!(record(&again, views(0..2)), [DUPLICATE; 2]);
        assert_eq!(record(&again, views(5..6)), [ACCEPTED]);
    }
}

#[test]
fn a_server_without_a_log_records_nothing() {
    let (server, _root) = support::start(|_| {});
    for method in [RECORD_EVENTS, UPSERT_ITEMS] {
        let result = server.door().call(method, &[], &[], None);
        assert_eq!(
            (result.code, reason(&result).as_str()),
            (9, "RECORDING_OFF")
        );
    }
    let status = status(server.door());
    assert!(status.event_log.is_none() && status.dedupe.is_none());
}

#[test]
fn one_process_writes_a_log() {
    let root = published();
    let first = door(&root);
    let error = Door::new(parsed(&recording_config(root.path())))
        .map(|_| ())
        .expect_err("the log is taken");
    assert_eq!(error.reason, "LOG_LOCKED");
    assert!(
        error.message.contains(&std::process::id().to_string()),
        "{error}"
    );
    drop(first);
    door(&root);
}

fn start(root: &Path) -> Server {
    Server::start(parsed(&recording_config(root))).expect("starts")
}

#[test]
fn the_wire_waits_for_the_disk_and_a_drain_for_both() {
    let root = published();
    let server = start(root.path());
    run(async {
        let client = Client::connect(server.address()).await;
        let answers = (0..20).map(|at| {
            let client = &client;
            async move {
                let request = request(views(at * 10..at * 10 + 20));
                let response: Result<wire::RecordEventsResponse, _> =
                    client.call(RECORD_EVENTS, &request).await;
                response.expect("recorded").accepted_count
            }
        });
        let mut accepted = 0;
        for answer in answers {
            accepted += answer.await;
        }
        assert_eq!(accepted, 210);
        let reply = client.call_bytes(RECORD_EVENTS, &[], &[]).await;
        assert_eq!(reply.code, 3, "{}", reply.message);
        let direct = server.door().call(RECORD_EVENTS, &[], &[], None);
        assert_eq!(reply.message, direct.message);
        assert_eq!(reply.details(), direct.trailing_metadata[0].1);
        let status: wire::GetStatusResponse = client
            .call(GET_STATUS, &wire::GetStatusRequest {})
            .await
            .expect("a status");
        let log = status.event_log.expect("a log");
        assert_eq!(log.durable_position - log.first_position, 210);
        assert_eq!(status.in_flight_calls, 0);
    });
    assert!(server.stop(Duration::from_secs(30)).expect("stops"));
    let refused = server.door().call(
        RECORD_EVENTS,
        &request(views(0..1)).encode_to_vec(),
        &[],
        None,
    );
    assert_eq!((refused.code, reason(&refused).as_str()), (14, "STOPPING"));
    drop(server);
    let door = Door::new(parsed(&recording_config(root.path()))).expect("a door");
    // A stop with a grace leaves a checkpoint behind.
    assert_eq!(checkpointed(&door), 210);
}
