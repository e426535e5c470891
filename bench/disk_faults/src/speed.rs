//! A log in a real directory, timed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use promosvc_engine::error::Error;
use promosvc_engine::types::TimeUs;
use promosvc_server::storage::{
    DiskFiles, Files, KIND_EVENTS, Log, LogOptions, LogReader, LogWriter, RecordHead, Recovered,
};
use serde_json::{Value, json};

use crate::seeded::Seeded;

const GROUP_EVENTS: u64 = 500;
/// What an event takes in a group, encoded.
const EVENT_BYTES: u64 = 120;

type Result<T> = std::result::Result<T, String>;

/// Appends groups, each with its sync.
pub(crate) fn append(directory: &Path, groups: u64) -> Result<Value> {
    let directory = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
    println!(
        "append and fdatasync: {groups} groups of {GROUP_EVENTS} events, {EVENT_BYTES} bytes each"
    );
    let (mut writer, _) = open(directory.path(), true).map_err(text)?;
    let began = Instant::now();
    let mut group_us = Vec::new();
    let mut append_us = 0;
    let payload = payload();
    for _ in 0..groups {
        let group_began = Instant::now();
        writer.append(&head(), &payload).map_err(text)?;
        append_us += group_began.elapsed().as_micros();
        writer.sync().map_err(text)?;
        group_us.push(group_began.elapsed().as_micros() as u64);
    }
    let seconds = began.elapsed().as_secs_f64();
    group_us.sort_unstable();
    let quantile = |share: f64| group_us[((groups - 1) as f64 * share) as usize];
    Ok(json!({
        "append_events_per_s": (groups * GROUP_EVENTS) as f64 / seconds,
        "append_us_mean": append_us as f64 / groups as f64,
        "group_us_p50": quantile(0.5),
        "group_us_p99": quantile(0.99),
        "group_us_p99_9": quantile(0.999),
        "group_us_max": quantile(1.0),
        "seconds": seconds,
    }))
}

/// Opens a log of so many million events, and walks all of it.
pub(crate) fn recovery(directory: &Path, million_events: u64) -> Result<Value> {
    let directory = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
    println!(
        "open and walk: {million_events} million events, {EVENT_BYTES} bytes each, from the system's cache"
    );
    let (mut writer, _) = open(directory.path(), false).map_err(text)?;
    let payload = payload();
    for _ in 0..million_events * 1_000_000 / GROUP_EVENTS {
        writer.append(&head(), &payload).map_err(text)?;
    }
    drop(writer);
    let began = Instant::now();
    let (writer, recovered) = open(directory.path(), true).map_err(text)?;
    let open_s = began.elapsed().as_secs_f64();
    drop(writer);
    let began = Instant::now();
    let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).map_err(text)?);
    let mut entries = 0;
    let records = LogReader::open(files).and_then(|reader| reader.records(0, None));
    for record in records.map_err(text)? {
        entries += u64::from(record.map_err(text)?.entries);
    }
    let walk_s = began.elapsed().as_secs_f64();
    if entries != million_events * 1_000_000 || entries != recovered.next_position {
        return Err(format!("{entries} entries were read"));
    }
    let millions = million_events as f64;
    Ok(json!({
        "million_events": million_events,
        "open_s_per_million": open_s / millions,
        "walk_s_per_million": walk_s / millions,
    }))
}

fn open(
    directory: &Path,
    is_durable: bool,
) -> promosvc_engine::error::Result<(LogWriter, Recovered)> {
    let files = Arc::new(DiskFiles::open(directory)?);
    let options = LogOptions {
        is_durable,
        ..LogOptions::default()
    };
    LogWriter::open(files, options)
}

fn head() -> RecordHead {
    RecordHead {
        at: TimeUs(0),
        kind: KIND_EVENTS,
        version: 1,
        entries: GROUP_EVENTS as u32,
    }
}

fn payload() -> Vec<u8> {
    let mut random = Seeded::new(7);
    let bytes = GROUP_EVENTS * EVENT_BYTES;
    (0..bytes).map(|_| random.next() as u8).collect()
}

fn text(error: Error) -> String {
    error.to_string()
}
