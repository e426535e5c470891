//! Damage to the files of a log: flipped bits, foreign bytes, and files that end too early.
//!
//! Whoever reads must then refuse with file and offset, or give a prefix and say so; other content, or a prefix that
//! nobody speaks of, is a silent loss.

use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::TimeUs;
use promosvc_server::storage::{
    Files, KIND_EVENTS, Log, LogOptions, LogReader, LogWriter, Record, RecordHead, checkpoints,
};

use super::seeded::Seeded;
use super::simulated_disk::SimulatedDisk;

type Parts = Vec<(u16, Vec<u8>)>;

/// How one damage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Refused with file and offset.
    Refused,
    /// A prefix is left, and what is gone was said.
    Cut,
    /// An older checkpoint serves, and the damaged one was named.
    GaveWay,
    /// Nothing of what was written was hit.
    Harmless,
}

/// What was written before the damage.
struct Written {
    disk: SimulatedDisk,
    options: LogOptions,
    records: Vec<Record>,
    end: u64,
    checkpoints: Vec<(u64, Parts)>,
}

/// Damages one file of one log; an error is a silent loss.
pub(crate) fn damage(seed: u64) -> std::result::Result<Outcome, String> {
    let mut random = Seeded::new(seed);
    let written = write(&mut random).map_err(|error| format!("seed {seed}: {error}"))?;
    let names = written.disk.list().unwrap_or_default();
    let name = names[random.below(names.len() as u64) as usize].clone();
    let bytes = written.disk.bytes(&name).unwrap_or_default();
    let what = hit(&mut random, &written.disk, &name, bytes);
    judge(&written, &name).map_err(|error| format!("seed {seed}, {name}, {what}: {error}"))
}

/// Writes a log of several segments and two checkpoints.
fn write(random: &mut Seeded) -> Result<Written> {
    let disk = SimulatedDisk::new(random.next());
    let options = LogOptions {
        segment_bytes: random.between(300, 3000),
        step_bytes: random.between(1, 2000),
        first_position: random.pick(&[0, 7]),
        is_durable: random.percent(80),
        verify_from: 0,
    };
    let (mut writer, _) = LogWriter::open(Arc::new(disk.clone()), options.clone())?;
    let mut records = Vec::new();
    let mut checkpoints = Vec::new();
    let count = random.between(5, 40);
    for index in 0..count {
        let length = random.pick(&[1, 30, 30, 200, 900]);
        let length = random.between(1, length);
        let head = RecordHead {
            at: TimeUs(index as i64),
            kind: KIND_EVENTS,
            version: 1,
            entries: random.between(1, length.min(4)) as u32,
        };
        let payload: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let position = writer.append(&head, &payload)?;
        writer.sync()?;
        records.push(Record {
            position,
            at: head.at,
            kind: head.kind,
            version: head.version,
            entries: head.entries,
            payload,
        });
        if index == count / 3 || index == 2 * count / 3 {
            let parts: Parts = (0..random.below(4))
                .map(|kind| (kind as u16, vec![index as u8; random.below(300) as usize]))
                .collect();
            let position = writer.next_position();
            checkpoints::write(&disk, position, parts.clone())?;
            checkpoints.push((position, parts));
        }
    }
    Ok(Written {
        end: writer.next_position(),
        disk,
        options,
        records,
        checkpoints,
    })
}

fn hit(random: &mut Seeded, disk: &SimulatedDisk, name: &str, mut bytes: Vec<u8>) -> String {
    let length = bytes.len() as u64;
    let what = match random.below(10) {
        0..=2 => {
            let kept = random.below(length);
            bytes.truncate(kept as usize);
            format!("cut to {kept} of {length} bytes")
        }
        3 => {
            let begin = random.below(length);
            let end = length.min(begin + random.between(1, 600));
            for byte in &mut bytes[begin as usize..end as usize] {
                *byte = random.next() as u8;
            }
            format!("overwrote bytes {begin} to {end} of {length}")
        }
        4 => {
            let more = random.between(1, 600);
            bytes.extend((0..more).map(|_| random.next() as u8));
            format!("added {more} to {length} bytes")
        }
        _ => {
            let flips: Vec<u64> = (0..random.between(1, 3))
                .map(|_| random.below(length * 8))
                .collect();
            for &bit in &flips {
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
            format!("flipped bits {flips:?} of {length} bytes")
        }
    };
    disk.set_bytes(name, bytes);
    what
}

fn judge(written: &Written, name: &str) -> std::result::Result<Outcome, String> {
    let read_until = judge_reader(written, name, Some(written.end))?;
    judge_reader(written, name, None)?;
    let opened = judge_checkpoints(written, name)?;
    let recovered = judge_writer(written, name)?;
    // A log whose records are not all there is refused by a reader that knows how far it went.
    if recovered == Outcome::Cut && read_until == Outcome::Harmless {
        return Ok(opened);
    }
    Ok(match opened {
        Outcome::Harmless => recovered,
        other => other,
    })
}

/// Compares records with what was written; how many there were.
fn prefix(
    written: &Written,
    records: impl Iterator<Item = Result<Record>>,
) -> std::result::Result<(usize, Option<Error>), String> {
    let mut expected = written.records.iter();
    let mut count = 0;
    for record in records {
        match record {
            Ok(record) if expected.next() == Some(&record) => count += 1,
            Ok(record) => return Err(format!("other content at position {}", record.position)),
            Err(error) => return Ok((count, Some(error))),
        }
    }
    Ok((count, None))
}

fn judge_reader(
    written: &Written,
    name: &str,
    until: Option<u64>,
) -> std::result::Result<Outcome, String> {
    let files: Arc<dyn Files> = Arc::new(written.disk.clone());
    let first = written.options.first_position;
    let records = LogReader::open(files).and_then(|reader| reader.records(first, until));
    let (count, error) = match records {
        Ok(records) => prefix(written, records)?,
        Err(error) => (0, Some(error)),
    };
    match error {
        Some(error) => refused(&error, name),
        None if count == written.records.len() => Ok(Outcome::Harmless),
        // Without a server nobody knows where a log should end; its last segment may end early.
        None if until.is_none() => Ok(Outcome::Cut),
        None => Err(format!("a reader ended quietly after {count} records")),
    }
}

fn judge_writer(written: &Written, name: &str) -> std::result::Result<Outcome, String> {
    let disk: Arc<dyn Files> = Arc::new(written.disk.clone());
    let (writer, recovered) = match LogWriter::open(disk, written.options.clone()) {
        Ok(opened) => opened,
        Err(error) => return refused(&error, name),
    };
    let first = recovered.first_position;
    let (count, error) = match writer.read_from(first) {
        Ok(records) => prefix(written, records)?,
        Err(error) => (0, Some(error)),
    };
    if let Some(error) = error {
        return Err(format!("opened, then: {error}"));
    }
    let end = written.records[..count].last().map_or(first, Record::end);
    if recovered.next_position != end {
        let next = recovered.next_position;
        return Err(format!("goes on at {next}; the records end at {end}"));
    }
    let is_named = |file: &str| file.ends_with(name);
    match recovered.cut {
        None if count == written.records.len() => Ok(Outcome::Harmless),
        None => Err(format!("recovered {count} records and said nothing")),
        // In a log that is never synced a bad header takes what follows; the tail before it is named then.
        Some(cut) if is_named(&cut.file) || cut.segments_removed > 0 => Ok(Outcome::Cut),
        Some(cut) => Err(format!("cut another file: {cut}")),
    }
}

fn judge_checkpoints(written: &Written, name: &str) -> std::result::Result<Outcome, String> {
    let files: Arc<dyn Files> = Arc::new(written.disk.clone());
    let newest = match checkpoints::newest(&files, written.options.first_position) {
        Ok(newest) => newest,
        Err(error) => return refused(&error, name),
    };
    for error in &newest.damaged {
        refused(error, name)?;
    }
    let Some(found) = &newest.checkpoint else {
        return Err("no checkpoint, and nothing said".to_owned());
    };
    let parts: Result<Parts> = found
        .parts()
        .map(|part| part.map(|part| (part.kind, part.payload)))
        .collect();
    let expected = match newest.damaged.len() {
        0 => written.checkpoints.last(),
        _ => written.checkpoints.first(),
    };
    match (parts, expected) {
        (Ok(parts), Some(expected)) if (found.position, &parts) == (expected.0, &expected.1) => {
            Ok(if newest.damaged.is_empty() {
                Outcome::Harmless
            } else {
                Outcome::GaveWay
            })
        }
        (parts, _) => Err(format!("checkpoint {}: {parts:?}", found.position)),
    }
}

/// An error that says which file is damaged, and where.
fn refused(error: &Error, name: &str) -> std::result::Result<Outcome, String> {
    let value = |key: &str| {
        let found = error.metadata.iter().find(|(name, _)| *name == key);
        found.map_or("", |(_, value)| value.as_str())
    };
    let is_named = value("file").ends_with(name) && value("offset").parse::<u64>().is_ok();
    // A reader that knows how far the log went says where it ends instead.
    let is_short = error.reason == "LOG_SHORT" && value("position").parse::<u64>().is_ok();
    if error.kind == ErrorKind::DataLoss && (is_named || is_short) {
        Ok(Outcome::Refused)
    } else {
        Err(format!("an error that does not say where: {error}"))
    }
}
