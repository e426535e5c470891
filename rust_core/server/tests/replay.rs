//! The decision log through a door, and decisions made again from it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use promosvc_engine::types::TimeUs;
use promosvc_server::storage::{
    DiskFiles, Files, KIND_DECISION, Log, LogOptions, LogReader, LogWriter, RecordHead,
};
use promosvc_server::{
    DecisionReader, Door, ReplayFolders, Replayed, Verdict, Which, replay, replayed_to_json,
};
use prost::Message;
use serde_json::{Value, json};
use support::recording::{ok, record, recording_config, time, upsert, upsert_items, view};
use support::snapshot::random;
use support::wire::promosvc::log::v1 as log;
use support::wire::promosvc::v1 as wire;
use support::{GET_STATUS, RECOMMEND, SET_CLOCK, WATERMARK_US, config, parsed, published};
use tempfile::TempDir;

const HOUR_US: i64 = 3_600_000_000;

type Change = fn(&mut log::DecisionRecord);

/// A folder with a published snapshot, and a configuration that keeps every decision.
fn keeping(sample_rate: f64) -> (TempDir, Value) {
    let root = published();
    let mut config = config(root.path());
    config["decisions"] = json!({
        "directory": root.path().join("decisions"), "sample_rate": sample_rate, "queue_records_max": 4096,
        "segment_bytes": 1_048_576, "retention_hours": 2
    });
    (root, config)
}

fn door(config: &Value) -> Door {
    Door::new(parsed(config)).expect("a door")
}

fn for_user(user_id: &str) -> wire::RecommendRequest {
    wire::RecommendRequest {
        user: Some(wire::UserContext {
            user_id: user_id.to_owned(),
            ..Default::default()
        }),
        placement: "home".to_owned(),
        ..Default::default()
    }
}

fn call(door: &Door, method: &str, request: &impl Message) -> Vec<u8> {
    let result = door.call(method, &request.encode_to_vec(), &[], None);
    assert_eq!((result.code, result.message.as_str()), (0, ""));
    result.response
}

fn status(door: &Door) -> wire::DecisionLogStatus {
    let bytes = call(door, GET_STATUS, &wire::GetStatusRequest {});
    let status = wire::GetStatusResponse::decode(bytes.as_slice()).expect("decodes");
    status.decision_log.expect("a decision log")
}

fn replayed(root: &Path, which: Which) -> Vec<Replayed> {
    let folders = ReplayFolders {
        decisions: &root.join("decisions"),
        events: &root.join("events"),
        snapshots: root,
    };
    replay(folders, which).expect("replays")
}

fn all_same(all: &[Replayed]) -> bool {
    all.iter().all(|replayed| replayed.verdict == Verdict::Same)
}

/// The decision log with every record changed, in place of the one that is there.
fn altered(root: &Path, change: impl Fn(&mut log::DecisionRecord)) {
    let directory = root.join("decisions");
    let aside = root.join("decisions-before");
    fs::rename(&directory, &aside).expect("renames");
    let before = LogReader::open(Arc::new(DiskFiles::open(aside).expect("opens"))).expect("opens");
    let files: Arc<dyn Files> = Arc::new(DiskFiles::create(&directory).expect("creates"));
    let (mut writer, _) = LogWriter::open(files, LogOptions::default()).expect("opens");
    for record in before.records(0, None).expect("reads") {
        let record = record.expect("a record");
        let mut decision = log::DecisionRecord::decode(record.payload.as_slice()).expect("decodes");
        change(&mut decision);
        let head = RecordHead {
            at: record.at,
            kind: KIND_DECISION,
            version: record.version,
            entries: 1,
        };
        writer
            .append(&head, &decision.encode_to_vec())
            .expect("appends");
    }
    writer.sync().expect("syncs");
}

#[test]
fn decisions_come_out_the_same_again() {
    let (root, config) = keeping(1.0);
    let door = door(&config);
    let users = ["user-0", "user-1", "user-2", "far", ""];
    let answers: Vec<Vec<u8>> = users
        .iter()
        .map(|user_id| call(&door, RECOMMEND, &for_user(user_id)))
        .collect();
    drop(door);

    let all = replayed(root.path(), Which::Last(100));
    assert_eq!(all.len(), users.len());
    assert!(all_same(&all), "{all:?}");
    assert_eq!(replayed(root.path(), Which::Last(2)), all[3..]);
    assert_eq!(replayed(root.path(), Which::Position(1)), all[1..2]);
    assert_eq!(all[1].position, 1);
    assert_eq!(all[1].decided_at_us, WATERMARK_US);

    let reader = DecisionReader::open(&root.path().join("decisions")).expect("opens");
    let rows = reader.rows(0, 100).expect("rows");
    assert_eq!(rows.len(), users.len());
    for ((row, user_id), answer) in rows.iter().zip(users).zip(answers) {
        let answer = wire::RecommendResponse::decode(answer.as_slice()).expect("decodes");
        let item_ids: Vec<&str> = answer.items.iter().map(|item| &*item.item_id).collect();
        assert_eq!(
            (row.user_id.as_str(), row.placement.as_str()),
            (user_id, "home")
        );
        assert_eq!(row.item_ids, item_ids);
        assert_eq!(row.snapshot_id, answer.snapshot_id);
        assert_eq!(row.candidate_ids.len(), row.candidate_scores.len());
        assert_eq!(
            row.candidate_ids.len() * 6,
            row.candidate_source_scores.len()
        );
        for item_id in item_ids {
            assert!(row.candidate_ids.iter().any(|id| id == item_id), "{row:?}");
        }
    }
}

/// Numbers drawn by a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A shop that is busy: users of the snapshot and new ones, prices, stocks, categories and new items that change, and
/// more events than live state may remember.
fn be_busy(door: &Door, steps: u64) -> usize {
    let mut draw = Draw(7);
    let mut decisions = 0;
    for step in 0..steps {
        let user_id = ["user-0", "user-1", "ann", "bob"][draw.below(4) as usize];
        // The snapshot has twelve items; the last four are new.
        let item_id = random::item_id(draw.below(16) as usize);
        match draw.below(8) {
            0..3 => {
                let event = wire::Event {
                    event_name: ["view_item", "purchase", "add_to_cart"][draw.below(3) as usize]
                        .to_owned(),
                    event_at: time(WATERMARK_US - draw.below(1 << 40) as i64),
                    ..view(&format!("e-{step}"), user_id, &item_id)
                };
                assert_eq!(record(door, vec![event]), [1]);
            }
            3 | 4 => {
                let mut request = upsert(&format!("r-{step}"), &item_id, draw.below(3) as i64);
                let item = &mut request.items[0];
                match draw.below(4) {
                    0 => {
                        item.unit_price = Some(wire::Money {
                            amount_minor: draw.below(1_000) as i64,
                            currency: "USD".to_owned(),
                        })
                    }
                    1 => item.category = Some(["bread", "tea"][draw.below(2) as usize].to_owned()),
                    2 => item.is_available = Some(draw.below(2) == 0),
                    _ => item.title = Some(format!("{item_id}, renamed in step {step}")),
                }
                ok::<wire::UpsertItemsResponse>(&upsert_items(door, &request));
            }
            _ => {
                let request = wire::RecommendRequest {
                    page_size: 1 + draw.below(20) as i32,
                    seen_filter: Some(wire::SeenFilter {
                        hide_seen: draw.below(2) == 0,
                        ..Default::default()
                    }),
                    ..for_user(user_id)
                };
                call(door, RECOMMEND, &request);
                decisions += 1;
            }
        }
    }
    decisions
}

#[test]
fn live_decisions_come_out_the_same_again() {
    let (root, keeping) = keeping(1.0);
    let mut config = recording_config(root.path());
    config["decisions"] = keeping["decisions"].clone();
    config["events"]["events_per_user_max"] = json!(8);
    let door = door(&config);
    let decisions = be_busy(&door, 400);
    drop(door);

    let all = replayed(root.path(), Which::Last(1_000));
    assert_eq!(all.len(), decisions);
    assert!(all_same(&all), "{all:?}");

    let reader = DecisionReader::open(&root.path().join("decisions")).expect("opens");
    let rows = reader.rows(0, 1_000).expect("rows");
    let with_events = rows.iter().filter(|row| row.used_events > 0).count();
    let incomplete = rows
        .iter()
        .filter(|row| row.is_live_state_incomplete)
        .count();
    assert!(
        with_events > decisions / 2 && incomplete > 10,
        "{with_events} {incomplete}"
    );

    // Without the event log there is no telling what the catalogue was, where anything had been told of it.
    fs::rename(root.path().join("events"), root.path().join("events-gone")).expect("renames");
    let without_log = replayed(root.path(), Which::Last(1_000));
    let gone = |replayed: &&Replayed| matches!(replayed.verdict, Verdict::NotRetained(_));
    assert!(without_log.iter().filter(gone).count() > decisions / 2);
    fs::rename(root.path().join("events-gone"), root.path().join("events")).expect("renames");

    // A decision rests on the events that it names, on their times, and on all of the log before its position.
    let changes: [(&str, Change); 4] = [
        ("events", |decision| decision.user_events.clear()),
        ("times", |decision| {
            for event in &mut decision.user_events {
                event.event_at_us -= 1 << 41;
            }
        }),
        ("completeness", |decision| {
            decision.is_live_state_incomplete = !decision.is_live_state_incomplete;
        }),
        ("position", |decision| {
            decision.events_position = decision.events_position.min(60);
        }),
    ];
    for (at, (what, change)) in changes.into_iter().enumerate() {
        let kept = root.path().join(format!("kept-{at}"));
        altered(root.path(), change);
        let different =
            |replayed: &&Replayed| matches!(replayed.verdict, Verdict::Different { .. });
        let changed = replayed(root.path(), Which::Last(1_000));
        assert!(
            changed.iter().filter(different).count() > 20,
            "{what}: {changed:?}"
        );
        fs::rename(root.path().join("decisions"), kept).expect("renames");
        fs::rename(
            root.path().join("decisions-before"),
            root.path().join("decisions"),
        )
        .expect("renames");
    }
}

#[test]
fn tokens_are_no_part_of_what_is_compared() {
    let (root, mut config) = keeping(1.0);
    config["attribution"] = json!({"keys_file": root.path().join("attribution.keys")});
    let door = door(&config);
    let answer = call(&door, RECOMMEND, &for_user("user-0"));
    let mut answer = wire::RecommendResponse::decode(answer.as_slice()).expect("decodes");
    drop(door);
    for item in &mut answer.items {
        assert!(!item.attribution_token.is_empty());
        item.attribution_token.clear();
    }
    assert!(all_same(&replayed(root.path(), Which::Last(1))));
    altered(root.path(), |decision| {
        assert_eq!(decision.answer, answer.encode_to_vec());
    });
}

#[test]
fn an_altered_record_is_different() {
    let (root, config) = keeping(1.0);
    let door = door(&config);
    let answer = call(&door, RECOMMEND, &for_user("user-0"));
    drop(door);
    let tampered = wire::RecommendResponse::decode(answer.as_slice()).map(|mut tampered| {
        tampered.items.swap(0, 1);
        tampered.encode_to_vec()
    });
    let tampered = tampered.expect("decodes");
    altered(root.path(), |decision| decision.answer = tampered.clone());
    let all = replayed(root.path(), Which::Last(1));
    assert_eq!(
        all[0].verdict,
        Verdict::Different {
            recorded: tampered,
            replayed: answer,
            is_catalogue_same: true,
        }
    );
    let told: Value = serde_json::from_str(&replayed_to_json(&all)).expect("JSON");
    assert_eq!(told[0]["verdict"], "DIFFERENT");
    assert!(told[0]["recorded"].as_str() != told[0]["replayed"].as_str());
}

/// Each input of a decision changes it: so a record that came out the same had them right.
#[test]
fn every_input_counts() {
    let changes: [(&str, Change); 4] = [
        ("request", |decision| {
            decision.request = for_user("user-1").encode_to_vec();
        }),
        ("clock", |decision| decision.now_us += 1),
        ("placement", |decision| {
            decision.placement_json = decision
                .placement_json
                .replace("\"page_size\":3", "\"page_size\":2");
        }),
        ("live state", |decision| {
            decision.is_live_state_incomplete = true
        }),
    ];
    for (what, change) in changes {
        let (root, config) = keeping(1.0);
        let door = door(&config);
        call(&door, RECOMMEND, &for_user("user-0"));
        drop(door);
        altered(root.path(), change);
        let all = replayed(root.path(), Which::Last(1));
        assert!(
            matches!(all[0].verdict, Verdict::Different { .. }),
            "{what}: {all:?}"
        );
    }
}

#[test]
fn what_is_gone_is_not_retained() {
    let (root, config) = keeping(1.0);
    let door = door(&config);
    call(&door, RECOMMEND, &for_user("user-0"));
    drop(door);
    let facts = |decision: &mut log::DecisionRecord| {
        decision.catalogue_hash = vec![7; 32];
        decision.events_position = 1 << 40;
    };
    let gone = |says: &str| {
        let all = replayed(root.path(), Which::Last(1));
        let Verdict::NotRetained(what) = &all[0].verdict else {
            panic!("{says}: {all:?}");
        };
        assert!(what.contains(says), "{what}");
    };
    altered(root.path(), facts);
    gone("events is no directory");
    fs::create_dir(root.path().join("events")).expect("creates");
    gone("the log ends at position");

    let id = fs::read_to_string(root.path().join("CURRENT")).expect("reads");
    fs::remove_dir_all(root.path().join(id.trim())).expect("removes");
    gone(id.trim());
    fs::remove_dir_all(root.path().join("decisions-before")).expect("removes");
    altered(root.path(), |decision| {
        decision.snapshot_id = "../decisions".to_owned()
    });
    gone("../decisions");
}

#[test]
fn old_decisions_are_deleted_by_their_own_clock() {
    let (root, config) = keeping(1.0);
    let door = door(&config);
    let large = wire::RecommendRequest {
        exclude_item_ids: (0..1_000).map(|at| format!("{at:0100}")).collect(),
        ..for_user("user-0")
    };
    let many = |count: usize| {
        for _ in 0..count {
            call(&door, RECOMMEND, &large);
        }
    };
    let reader = || DecisionReader::open(&root.path().join("decisions")).expect("opens");
    // Some 100 kB each: ten fill a segment.
    many(35);
    let later = WATERMARK_US + 3 * HOUR_US;
    call(
        &door,
        SET_CLOCK,
        &wire::SetClockRequest {
            now: Some(prost_types::Timestamp {
                seconds: later.div_euclid(1_000_000),
                nanos: (later.rem_euclid(1_000_000) * 1_000) as i32,
            }),
        },
    );
    many(35);
    drop(door);
    let (first, end) = (
        reader().first().expect("reads"),
        reader().end().expect("reads"),
    );
    assert!((10..=35).contains(&first), "{first}");
    assert_eq!(end, 70);
    assert_eq!(reader().rows(first, 1).expect("rows")[0].position, first);

    let all = replayed(root.path(), Which::Position(0));
    assert!(
        matches!(&all[0].verdict, Verdict::NotRetained(what) if what.contains("begins at")),
        "{all:?}"
    );
    assert!(all_same(&replayed(root.path(), Which::Last(3))));
    let folders = ReplayFolders {
        decisions: &root.path().join("decisions"),
        events: root.path(),
        snapshots: root.path(),
    };
    let error = replay(folders, Which::Position(70)).unwrap_err();
    assert_eq!(error.reason, "DECISION_NOT_FOUND");
}

#[test]
fn a_share_is_kept_and_counted() {
    let (root, config) = keeping(0.25);
    let door = door(&config);
    for _ in 0..400 {
        call(&door, RECOMMEND, &for_user("user-0"));
    }
    assert_eq!(status(&door).sample_rate, 0.25);
    drop(door);
    let reader = DecisionReader::open(&root.path().join("decisions")).expect("opens");
    let rows = reader.rows(0, 1_000).expect("rows");
    assert!((65..=135).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|row| row.sample_rate == 0.25));
}

#[test]
fn the_log_has_one_writer_and_goes_on_after_it() {
    let (root, config) = keeping(1.0);
    let first = door(&config);
    let error = Door::new(parsed(&config)).err().expect("refused");
    assert_eq!(error.reason, "LOG_LOCKED");
    call(&first, RECOMMEND, &for_user("user-0"));
    drop(first);
    let second = door(&config);
    call(&second, RECOMMEND, &for_user("user-1"));
    drop(second);
    assert_eq!(replayed(root.path(), Which::Last(9)).len(), 2);
}

#[test]
fn a_record_of_another_kind_is_refused_by_name() {
    let root = published();
    let directory: PathBuf = root.path().join("decisions");
    let error = DecisionReader::open(&directory).err().expect("refused");
    assert_eq!(error.reason, "NO_DECISION_LOG");
    let files: Arc<dyn Files> = Arc::new(DiskFiles::create(&directory).expect("creates"));
    let (mut writer, _) = LogWriter::open(files, LogOptions::default()).expect("opens");
    for (kind, payload) in [(1, &[1][..]), (KIND_DECISION, &[0xff, 0xff])] {
        let head = RecordHead {
            at: TimeUs(0),
            kind,
            version: 1,
            entries: 1,
        };
        let position = writer.append(&head, payload).expect("appends");
        writer.sync().expect("syncs");
        let reader = DecisionReader::open(&directory).expect("opens");
        let error = reader.rows(position, 1).unwrap_err();
        assert_eq!(error.reason, "RECORD_INVALID");
        assert!(
            error.message.contains(&format!("decision {position}")),
            "{error}"
        );
    }
}
