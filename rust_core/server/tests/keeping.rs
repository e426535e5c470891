//! Checkpoints, trimming and starts: what is kept, and what a start makes of it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use promosvc_engine::error::{Error, ErrorKind};
use promosvc_server::Door;
use promosvc_server::storage::checkpoints;
use promosvc_server::storage::{DiskFiles, Files, LogReader};
use serde_json::Value;
use support::recording::{
    checkpointed, log_status, record, recorded, recording_config, status, upsert, upsert_items,
    view,
};
use support::snapshot::{self, SnapshotRows};
use support::wire::promosvc::v1 as wire;
use support::{parsed, publish};
use tempfile::TempDir;

const ACCEPTED: i32 = 1;
const DUPLICATE: i32 = 2;

/// A root without snapshots: the log begins at 0.
fn empty_root() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(config: &Value) -> Door {
    Door::new(parsed(config)).expect("a door")
}

fn refusal(config: &Value) -> Error {
    Door::new(parsed(config)).map(|_| ()).expect_err("refused")
}

fn files(root: &Path) -> Arc<dyn Files> {
    Arc::new(DiskFiles::open(root.join("events")).expect("a directory"))
}

/// Makes the keeper go round whenever something moved: a stop with a grace, and a start.
fn restart(door: Door, config: &Value) -> Door {
    assert!(door.close(Duration::from_secs(30)));
    drop(door);
    open(config)
}

/// A snapshot that holds the log before `position`; a later watermark makes another id.
fn snapshot_at(root: &Path, position: u64, watermark_seconds: i64) -> PathBuf {
    let rows = SnapshotRows {
        events_position: position,
        watermark_at_us: snapshot::WATERMARK_US + watermark_seconds * 1_000_000,
        ..snapshot::random::example()
    };
    let directory = rows.write(root);
    publish(root, &directory);
    directory
}

/// So many events of 1 kB, 500 in a request, with ids from `from` on.
fn fill(door: &Door, from: usize, requests: usize) {
    for at in 0..requests {
        let events = (0..500)
            .map(|event| wire::Event {
                search_term: "s".repeat(1_000),
                ..view(&(from + at * 500 + event).to_string(), "ann", "near")
            })
            .collect();
        assert_eq!(record(door, events), [ACCEPTED; 500]);
    }
}

fn segments(root: &Path) -> Vec<u64> {
    LogReader::open(files(root))
        .expect("a log")
        .segments()
        .expect("segments")
}

#[test]
fn a_start_from_a_checkpoint_knows_what_a_replay_knows() {
    let root = empty_root();
    let config = recording_config(root.path());
    let door = open(&config);
    let mut events = Vec::new();
    for at in 0..300_i64 {
        let mut event = view(
            &at.to_string(),
            &format!("user-{}", at % 7),
            &format!("item-{}", at % 11),
        );
        if let Some(time) = &mut event.event_at {
            time.seconds -= at % 13;
        }
        events.push(event);
    }
    assert_eq!(record(&door, events.clone()), [ACCEPTED; 300]);
    let first_answer = upsert_items(&door, &upsert("r-1", "item-3", 4));
    let door = restart(door, &config);
    assert_eq!(checkpointed(&door), 302);
    assert_eq!(
        record(&door, vec![view("later", "user-1", "item-1")]),
        [ACCEPTED]
    );
    let second_answer = upsert_items(&door, &upsert("r-2", "item-3", 5));
    drop(door);

    let seen = |door: &Door| {
        let status = status(door);
        let (live, dedupe) = (
            status.live_state.expect("live"),
            status.dedupe.expect("ids"),
        );
        assert_eq!(
            upsert_items(door, &upsert("r-1", "item-3", 4)),
            first_answer
        );
        assert_eq!(
            upsert_items(door, &upsert("r-2", "item-3", 5)),
            second_answer
        );
        assert_eq!(record(door, events.clone()), [DUPLICATE; 300]);
        assert_eq!(recorded(door), 305);
        (
            live.user_count,
            live.event_count,
            live.item_count,
            dedupe.id_count,
        )
    };
    // Behind the checkpoint only the last three entries are read.
    let door = open(&config);
    assert_eq!(checkpointed(&door), 302);
    let from_checkpoint = seen(&door);
    drop(door);
    for position in checkpoints::positions(&*files(root.path())).expect("checkpoints") {
        let path = root
            .path()
            .join(format!("events/{position:020}.checkpoint"));
        fs::remove_file(path).expect("removes");
    }
    let door = open(&config);
    assert_eq!(log_status(&door).checkpoint_position, 0);
    assert_eq!(seen(&door), from_checkpoint);
    assert_eq!(from_checkpoint, (7, 301, 1, 301));
}

/// A copy of a log that was written to its end.
fn copied(root: &Path, with_checkpoints: bool) -> TempDir {
    let copy = empty_root();
    fs::create_dir(copy.path().join("events")).expect("a directory");
    for entry in fs::read_dir(root.join("events")).expect("reads") {
        let path = entry.expect("an entry").path();
        let is_checkpoint = path.extension().is_some_and(|kind| kind == "checkpoint");
        if with_checkpoints || !is_checkpoint {
            let name = path.file_name().expect("a name");
            fs::copy(&path, copy.path().join("events").join(name)).expect("copies");
        }
    }
    copy
}

/// Checkpoints that were written while four threads recorded hold, with the log behind them, what the whole log
/// holds: a later checkpoint has the same bytes either way.
#[test]
fn a_checkpoint_does_not_stop_the_fold_and_holds_it_all_the_same() {
    let root = empty_root();
    let mut config = recording_config(root.path());
    config["events"]["checkpoint_seconds"] = 1.into();
    let door = open(&config);
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let door = &door;
                scope.spawn(move || {
                    let until = std::time::Instant::now() + support::PATIENCE;
                    let (mut requests, mut entries) = (0, 0);
                    let mut seen = std::collections::BTreeSet::new();
                    // Until three checkpoints were made meanwhile.
                    while seen.len() < 4 {
                        assert!(
                            std::time::Instant::now() < until,
                            "no checkpoint is written"
                        );
                        let events = (0..20).map(|event| {
                            let number = requests * 20 + event;
                            view(
                                &format!("{writer}-{number}"),
                                &format!("user-{}", number % 97),
                                &format!("item-{}", number % 89),
                            )
                        });
                        assert_eq!(record(door, events.collect()), [ACCEPTED; 20]);
                        let item = format!("item-{}", requests % 5);
                        let request = upsert(&format!("{writer}-{requests}"), &item, requests);
                        entries += 20;
                        // A fast machine fills the window of requests before the third checkpoint.
                        match upsert_items(door, &request).code {
                            0 => entries += 2,
                            code => assert_eq!(code, 8, "RESOURCE_EXHAUSTED"),
                        }
                        requests += 1;
                        seen.insert(log_status(door).checkpoint_position);
                    }
                    entries
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"))
            .sum::<i64>()
    });
    drop(door);

    let parts = [true, false].map(|with_checkpoints| {
        let root = copied(root.path(), with_checkpoints);
        let config = recording_config(root.path());
        let door = open(&config);
        assert_eq!(recorded(&door), written);
        assert_eq!(log_status(&door).checkpoint_position > 0, with_checkpoints);
        assert_eq!(record(&door, vec![view("last", "ann", "near")]), [ACCEPTED]);
        assert!(door.close(Duration::from_secs(30)));
        let newest = checkpoints::newest(&files(root.path()), 0).expect("reads");
        let newest = newest.checkpoint.expect("a checkpoint");
        assert_eq!(newest.position as i64, written + 1);
        let parts: Vec<_> = newest.parts().map(|part| part.expect("a part")).collect();
        parts
    });
    assert!(parts[0] == parts[1], "the checkpoints differ");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_as_long_as_the_log_reaches_back() {
    let root = empty_root();
    let config = recording_config(root.path());
    let mut door = open(&config);
    for at in 0..2 {
        assert_eq!(
            record(&door, vec![view(&at.to_string(), "ann", "near")]),
            [ACCEPTED]
        );
        door = restart(door, &config);
    }
    drop(door);
    let newest = root.path().join(format!("events/{:020}.checkpoint", 2));
    let mut bytes = fs::read(&newest).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).expect("writes");
    let door = open(&config);
    assert_eq!(checkpointed(&door), 1);
    assert_eq!(status(&door).live_state.expect("live").event_count, 2);
}

#[test]
fn the_keeper_trims_what_nobody_can_ask_for() {
    let root = empty_root();
    let config = recording_config(root.path());
    let older = snapshot_at(root.path(), 0, 0);
    let mut door = open(&config);
    fill(&door, 0, 4);
    // Two checkpoints behind several segments, yet the older snapshot needs everything.
    door = restart(door, &config);
    fill(&door, 2_000, 1);
    door = restart(door, &config);
    assert!(
        segments(root.path()).len() >= 3,
        "{:?}",
        segments(root.path())
    );
    assert_eq!(log_status(&door).first_position, 0);
    assert_eq!(status(&door).live_state.expect("live").event_count, 1_000);

    // With a newer one the older one is still there to roll back to.
    snapshot_at(root.path(), 2_500, 1);
    fill(&door, 2_500, 1);
    door = restart(door, &config);
    assert_eq!(log_status(&door).first_position, 0);

    // Without it, whole segments go that both checkpoints and the snapshot hold.
    fs::remove_dir_all(older).expect("removes");
    fill(&door, 3_000, 1);
    door = restart(door, &config);
    let kept = segments(root.path());
    let first = log_status(&door).first_position as u64;
    assert_eq!(first, kept[0]);
    assert!(first > 0, "{kept:?}");
    let positions = checkpoints::positions(&*files(root.path())).expect("checkpoints");
    let needed = positions[0].min(2_500);
    assert!(
        first <= needed && kept.get(1).is_none_or(|&second| second > needed),
        "{kept:?}"
    );
    // What the snapshot does not hold is in live state, and no more.
    let live = status(&door).live_state.expect("live");
    assert_eq!(live.event_count, 1_000);
    assert_eq!(record(&door, vec![view("0", "ann", "near")]), [DUPLICATE]);
    assert_eq!(log_status(&door).durable_position, 3_500);
}

#[test]
fn the_retention_keeps_what_is_young() {
    let root = empty_root();
    let mut config = recording_config(root.path());
    config["events"]["retention_hours"] = 1.into();
    let mut door = open(&config);
    fill(&door, 0, 4);
    door = restart(door, &config);
    fill(&door, 2_000, 1);
    snapshot_at(root.path(), 2_500, 0);
    door = restart(door, &config);
    assert_eq!(log_status(&door).first_position, 0);
    // An hour later the same is old.
    let now_us = config["clock"]["manual_now_us"].as_i64().expect("a time");
    config["clock"]["manual_now_us"] = (now_us + 3_600_000_001).into();
    door = restart(door, &config);
    assert!(door.close(Duration::from_secs(30)));
    assert!(segments(root.path())[0] > 0);
}

#[test]
fn a_log_begins_behind_the_snapshots() {
    let root = empty_root();
    snapshot_at(root.path(), 40, 0);
    snapshot_at(root.path(), 30, 1);
    let config = recording_config(root.path());
    let door = open(&config);
    assert_eq!(log_status(&door).first_position, 40);
    assert_eq!(record(&door, vec![view("0", "ann", "near")]), [ACCEPTED]);
    drop(door);
    assert_eq!(recorded(&open(&config)), 1);
}

#[test]
fn a_log_behind_what_was_made_of_it_is_refused() {
    let root = empty_root();
    let config = recording_config(root.path());
    let door = open(&config);
    assert_eq!(record(&door, vec![view("0", "ann", "near")]), [ACCEPTED]);
    drop(door);
    let ahead = snapshot_at(root.path(), 2, 0);
    let error = refusal(&config);
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::DataLoss, "LOG_BEHIND_SNAPSHOT")
    );
    assert!(
        error.message.contains("ends at position 1") && error.message.contains("up to 2"),
        "{error}"
    );
    fs::remove_dir_all(&ahead).expect("removes");
    fs::remove_file(root.path().join("CURRENT")).expect("removes");

    let door = open(&config);
    assert!(door.close(Duration::from_secs(30)));
    drop(door);
    for first in segments(root.path()) {
        fs::remove_file(root.path().join(format!("events/{first:020}.log"))).expect("removes");
    }
    let error = refusal(&config);
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::DataLoss, "LOG_BEHIND_CHECKPOINT")
    );
}

#[test]
fn a_snapshot_ahead_of_the_log_is_not_taken() {
    let root = empty_root();
    let first = snapshot_at(root.path(), 0, 0);
    let config = recording_config(root.path());
    let door = open(&config);
    snapshot_at(root.path(), 5, 1);
    let until = std::time::Instant::now() + support::PATIENCE;
    while status(&door).snapshot_refusal.is_empty() {
        assert!(std::time::Instant::now() < until, "never refused");
        std::thread::yield_now();
    }
    let status = status(&door);
    assert!(
        status.snapshot_refusal.contains("holds events up to 5"),
        "{}",
        status.snapshot_refusal
    );
    let running = status.snapshot.expect("a snapshot").snapshot_id;
    assert_eq!(
        first.file_name().and_then(|name| name.to_str()),
        Some(running.as_str())
    );
}

#[test]
fn a_corrupt_log_is_refused_by_file_and_offset() {
    let root = empty_root();
    let config = recording_config(root.path());
    let door = open(&config);
    for at in 0..2 {
        assert_eq!(
            record(&door, vec![view(&at.to_string(), "ann", "near")]),
            [ACCEPTED]
        );
    }
    drop(door);
    let path = root.path().join(format!("events/{:020}.log", 0));
    let mut bytes = fs::read(&path).expect("reads");
    // Within the first record, with a whole one behind it.
    bytes[64 + 40] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let error = refusal(&config);
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::DataLoss, "LOG_CORRUPT")
    );
    assert!(
        error.message.contains("00000000000000000000.log") && error.message.contains("byte 64"),
        "{error}"
    );
}
