//! A log's life under a seed: appends, rotations, checkpoints, trims, mishaps and recoveries, several times over.
//!
//! A model remembers what was acknowledged and what was tried. After each recovery the log must hold everything
//! acknowledged, with the same bytes at the same positions, without a gap and with nothing that was never appended;
//! and the newest checkpoint must be at least the last acknowledged one, whole. What recovery shows is acknowledged
//! from then on, because it was served.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use promosvc_engine::error::ErrorKind;
use promosvc_engine::types::TimeUs;
use promosvc_server::storage::{
    Files, KIND_EVENTS, Log, LogOptions, LogReader, LogWriter, Record, RecordHead, Records,
    Recovered, checkpoints,
};

use super::omitting::{Omission, Omitting};
use super::seeded::Seeded;
use super::simulated_disk::{Mishap, SimulatedDisk};

/// What a run saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) appends: u64,
    pub(crate) acknowledged: u64,
    pub(crate) checkpoints: u64,
    pub(crate) segments_trimmed: u64,
    pub(crate) power_failures: u64,
    pub(crate) kills: u64,
    pub(crate) failures: u64,
    pub(crate) cuts: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Seen) {
        let Seen {
            appends,
            acknowledged,
            checkpoints,
            segments_trimmed,
            power_failures,
            kills,
            failures,
            cuts,
        } = other;
        self.appends += appends;
        self.acknowledged += acknowledged;
        self.checkpoints += checkpoints;
        self.segments_trimmed += segments_trimmed;
        self.power_failures += power_failures;
        self.kills += kills;
        self.failures += failures;
        self.cuts += cuts;
    }

    /// Whether everything that a run can do was done.
    pub(crate) fn is_broad(&self) -> bool {
        let Seen {
            appends,
            acknowledged,
            checkpoints,
            segments_trimmed,
            power_failures,
            kills,
            failures,
            cuts,
        } = *self;
        let least = appends.min(acknowledged).min(checkpoints);
        let least = least.min(segments_trimmed).min(power_failures);
        least.min(kills).min(failures).min(cuts) > 0
    }
}

type Parts = Vec<(u16, Vec<u8>)>;

struct Run {
    random: Seeded,
    disk: SimulatedDisk,
    /// The disk as this life's process sees it.
    files: Arc<dyn Files>,
    is_appending: Arc<AtomicBool>,
    omission: Option<Omission>,
    options: LogOptions,
    /// Acknowledged records by position, also trimmed ones.
    records: BTreeMap<u64, Record>,
    /// Position after the last acknowledged record.
    end: u64,
    /// Appended since, not acknowledged.
    tried: Vec<Record>,
    /// No position from here on was trimmed.
    trimmed_before: u64,
    checkpoints_tried: BTreeMap<u64, Vec<Parts>>,
    checkpoint: Option<u64>,
    /// Something was being written, so that recovery may find a half-written tail.
    may_be_cut: bool,
    has_ever_failed: bool,
    seen: Seen,
}

/// Runs one seed; an error says what was lost, and where.
pub(crate) fn run(seed: u64, omission: Option<Omission>) -> Result<Seen, String> {
    let mut random = Seeded::new(seed);
    let first_position = random.pick(&[0, 0, 1000]);
    let options = LogOptions {
        segment_bytes: random.between(200, 6000),
        step_bytes: random.between(1, 3000),
        first_position,
        is_durable: random.percent(85),
        verify_from: 0,
    };
    let disk = SimulatedDisk::new(random.next());
    let mut run = Run {
        files: Arc::new(disk.clone()),
        is_appending: Arc::default(),
        disk,
        random,
        omission,
        options,
        records: BTreeMap::new(),
        end: first_position,
        tried: Vec::new(),
        trimmed_before: first_position,
        checkpoints_tried: BTreeMap::new(),
        checkpoint: None,
        may_be_cut: false,
        has_ever_failed: false,
        seen: Seen::default(),
    };
    let lives = run.random.between(2, 6);
    let mut has_power_failed = false;
    for life in 0..=lives {
        let result = run.live(life == lives, has_power_failed);
        has_power_failed = result.map_err(|what| format!("seed {seed}, life {life}: {what}"))?;
    }
    Ok(run.seen)
}

impl Run {
    /// One life of a process, from recovery to its end; says whether the power failed.
    fn live(&mut self, is_last: bool, had_power_failed: bool) -> Result<bool, String> {
        let mut had_power_failed = had_power_failed;
        if !is_last {
            self.plan();
        }
        let mut writer = loop {
            self.begin_life();
            match LogWriter::open(Arc::clone(&self.files), self.options.clone()) {
                Ok((writer, recovered)) => {
                    self.check_recovery(&writer, &recovered, had_power_failed)?;
                    break writer;
                }
                Err(_) if self.disk.has_ended() || self.disk.has_failed() => {
                    self.may_be_cut = true;
                    self.has_ever_failed |= self.disk.has_failed();
                    had_power_failed |= self.end_life();
                }
                Err(error) => return Err(format!("refused: {error}")),
            }
        };
        for _ in 0..self.random.between(1, 40) {
            if self.disk.has_ended() || self.disk.has_failed() {
                break;
            }
            self.act(&mut writer)?;
        }
        if self.disk.has_failed() && !self.disk.has_ended() {
            self.check_failed(&mut writer)?;
        }
        drop(writer);
        Ok(self.end_life())
    }

    /// Plans what will happen in this life, if anything.
    fn plan(&mut self) {
        let mishap = self.random.pick(&[
            Mishap::Failure,
            Mishap::FullDisk,
            Mishap::Kill,
            Mishap::PowerFailure,
            Mishap::PowerFailure,
        ]);
        let after = self.random.pick(&[3, 10, 30, 100]);
        self.disk.plan(self.random.below(after), mishap);
    }

    /// Ends a process, wherever it is; says whether the power failed with it.
    fn end_life(&mut self) -> bool {
        let has_power_failed = self.random.percent(60);
        match has_power_failed {
            true => self.seen.power_failures += 1,
            false => self.seen.kills += 1,
        }
        self.disk.restart(has_power_failed);
        has_power_failed
    }

    fn begin_life(&mut self) {
        let disk: Arc<dyn Files> = Arc::new(self.disk.clone());
        self.files = match self.omission {
            Some(omission) => {
                let omitting = Omitting::new(disk, omission);
                self.is_appending = Arc::clone(&omitting.is_appending);
                Arc::new(omitting)
            }
            None => disk,
        };
    }

    fn act(&mut self, writer: &mut LogWriter) -> Result<(), String> {
        match self.random.below(20) {
            0..=10 => self.append(writer, true),
            11..=13 => self.append(writer, false),
            14..=15 => self.write_checkpoint(writer),
            16..=17 => self.trim(writer),
            18 => {
                let from = self
                    .random
                    .between(writer.status().first_position, self.end);
                self.check_records(writer.read_from(from), from, false)
                    .map(drop)
            }
            _ => {
                let from = self
                    .random
                    .between(writer.status().first_position, self.end);
                self.check_records(self.read(from), from, false).map(drop)
            }
        }
    }

    fn append(&mut self, writer: &mut LogWriter, is_synced: bool) -> Result<(), String> {
        let payload = self.payload();
        let head = RecordHead {
            at: TimeUs(self.random.next() as i64),
            kind: KIND_EVENTS,
            version: self.random.below(3) as u16,
            entries: self.random.between(1, (payload.len() as u64).min(5)) as u32,
        };
        // An append may make those before it durable, and then fail.
        let position = writer.next_position();
        self.tried.push(Record {
            position,
            at: head.at,
            kind: head.kind,
            version: head.version,
            entries: head.entries,
            payload: payload.clone(),
        });
        self.may_be_cut = true;
        self.seen.appends += 1;
        self.is_appending.store(true, Ordering::Relaxed);
        let appended = writer.append(&head, &payload);
        self.is_appending.store(false, Ordering::Relaxed);
        let Ok(appended) = appended else {
            return Ok(());
        };
        if appended != position {
            return Err(format!(
                "appended at {appended}; the next position was {position}"
            ));
        }
        if is_synced && writer.sync().is_ok() {
            self.acknowledge(writer.next_position());
        }
        Ok(())
    }

    /// Bytes of any kind, also such that look like records.
    fn payload(&mut self) -> Vec<u8> {
        let length = self.random.pick(&[10, 100, 600, 2500]);
        let length = self.random.between(1, length) as usize;
        match self.random.below(4) {
            0 => vec![0; length],
            1 => {
                // A piece of the log itself, records and all.
                let names = self.disk.list().unwrap_or_default();
                let name = names.iter().rfind(|name| name.ends_with(".log"));
                let bytes = name
                    .and_then(|name| self.disk.bytes(name))
                    .unwrap_or_default();
                let begin = bytes.len().min(64);
                let end = bytes.len().min(begin + length);
                let mut piece = bytes[begin..end].to_vec();
                piece.push(1);
                piece
            }
            _ => (0..length).map(|_| self.random.next() as u8).collect(),
        }
    }

    fn acknowledge(&mut self, end: u64) {
        for record in self.tried.drain(..) {
            self.seen.acknowledged += 1;
            self.records.insert(record.position, record);
        }
        self.end = end;
    }

    fn write_checkpoint(&mut self, writer: &mut LogWriter) -> Result<(), String> {
        if !self.options.is_durable {
            return Ok(());
        }
        let position = writer.status().durable_position;
        let mut parts = Parts::new();
        for kind in 0..self.random.below(4) {
            let length = self.random.below(1500);
            let bytes = (0..length).map(|_| self.random.next() as u8).collect();
            parts.push((kind as u16, bytes));
        }
        let tried = self.checkpoints_tried.entry(position).or_default();
        tried.push(parts.clone());
        if checkpoints::write(&*self.files, position, parts).is_ok() {
            self.seen.checkpoints += 1;
            self.checkpoint = Some(position);
        }
        Ok(())
    }

    fn trim(&mut self, writer: &mut LogWriter) -> Result<(), String> {
        let mut limit = self.end;
        if self.options.is_durable {
            // The log is needed from the older of the kept checkpoints on.
            let positions = checkpoints::positions(&*self.files).unwrap_or_default();
            limit = self.checkpoint.min(positions.first().copied()).unwrap_or(0);
        }
        let before = self.random.between(limit / 2, limit);
        self.trimmed_before = self.trimmed_before.max(before);
        self.seen.segments_trimmed += writer.trim(before).unwrap_or(0) as u64;
        Ok(())
    }

    fn read(&self, from: u64) -> promosvc_engine::error::Result<Records> {
        LogReader::open(Arc::clone(&self.files))?.records(from, None)
    }

    /// Compares what is read from a position on with the model: everything acknowledged, then nothing but what was
    /// tried. Gives the position after the last.
    fn check_records(
        &self,
        records: promosvc_engine::error::Result<Records>,
        from: u64,
        may_be_short: bool,
    ) -> Result<u64, String> {
        let mut expected = self
            .records
            .values()
            .chain(&self.tried)
            .filter(|record| record.end() > from);
        let mut position = from;
        for record in records.map_err(|error| error.to_string())? {
            let record = record.map_err(|error| format!("after position {position}: {error}"))?;
            if record.position != position && !(record.position..record.end()).contains(&from) {
                return Err(format!(
                    "position {position} is followed by {}",
                    record.position
                ));
            }
            match expected.next() {
                Some(model) if *model == record => position = record.end(),
                Some(model) => {
                    return Err(format!(
                        "position {}: not what was appended at {}",
                        record.position, model.position
                    ));
                }
                None => return Err(format!("position {}: never appended", record.position)),
            }
        }
        if position < self.end && !may_be_short {
            return Err(format!(
                "ends at position {position}; acknowledged to {}",
                self.end
            ));
        }
        Ok(position)
    }

    fn check_recovery(
        &mut self,
        writer: &LogWriter,
        recovered: &Recovered,
        had_power_failed: bool,
    ) -> Result<(), String> {
        let first = recovered.first_position;
        let may_be_short = !self.options.is_durable && had_power_failed;
        if first > self.trimmed_before && !may_be_short {
            let trimmed = self.trimmed_before;
            return Err(format!("begins at {first}; trimmed below {trimmed} only"));
        }
        let end = self.check_records(self.read(first), first, may_be_short)?;
        let served = self.check_records(writer.read_from(first), first, may_be_short)?;
        let next = recovered.next_position;
        if (served, next) != (end, end) {
            return Err(format!(
                "read to {end}, served to {served}, goes on at {next}"
            ));
        }
        if let Some(cut) = &recovered.cut {
            self.seen.cuts += 1;
            // One of 0 bytes is said at each start, until something is appended.
            if cut.bytes > 0 && !self.may_be_cut && !may_be_short {
                return Err(format!("cut although nothing was being written: {cut}"));
            }
        }
        let kept = std::mem::take(&mut self.tried);
        for record in kept.into_iter().filter(|record| record.position < end) {
            self.records.insert(record.position, record);
        }
        self.records.split_off(&end);
        self.end = end;
        self.trimmed_before = self.trimmed_before.max(first);
        self.may_be_cut = self.has_ever_failed;
        self.check_checkpoint(first)
    }

    fn check_checkpoint(&mut self, log_first: u64) -> Result<(), String> {
        let newest =
            checkpoints::newest(&self.files, log_first).map_err(|error| error.to_string())?;
        if let Some(error) = newest.damaged.first() {
            return Err(format!("a checkpoint is not whole: {error}"));
        }
        let found = newest.checkpoint.as_ref().map(|found| found.position);
        if found < self.checkpoint {
            let acknowledged = self.checkpoint;
            return Err(format!(
                "newest checkpoint {found:?}; acknowledged {acknowledged:?}"
            ));
        }
        let Some(checkpoint) = newest.checkpoint else {
            return Ok(());
        };
        let parts: promosvc_engine::error::Result<Parts> = checkpoint
            .parts()
            .map(|part| part.map(|part| (part.kind, part.payload)))
            .collect();
        let parts = parts.map_err(|error| error.to_string())?;
        let tried = self.checkpoints_tried.get(&checkpoint.position);
        if !tried.is_some_and(|tried| tried.contains(&parts)) {
            return Err(format!("checkpoint {}: never written", checkpoint.position));
        }
        if checkpoint.position > self.end {
            let position = checkpoint.position;
            return Err(format!(
                "checkpoint {position}; the log ends at {}",
                self.end
            ));
        }
        self.checkpoint = found;
        Ok(())
    }

    /// After a failed write or sync nothing is taken any more, and everything acknowledged can be read.
    fn check_failed(&mut self, writer: &mut LogWriter) -> Result<(), String> {
        self.seen.failures += 1;
        self.has_ever_failed = true;
        if writer.status().failure.is_empty() {
            // A checkpoint failed; the log does not depend on it.
            return Ok(());
        }
        let head = RecordHead {
            at: TimeUs(0),
            kind: KIND_EVENTS,
            version: 0,
            entries: 1,
        };
        let answers = [
            writer.append(&head, b"late").err(),
            writer.sync().err(),
            writer.trim(u64::MAX).err(),
        ];
        for answer in answers {
            let reason = answer.map(|error| (error.kind, error.reason));
            if reason != Some((ErrorKind::Unavailable, "LOG_FAILED")) {
                return Err(format!("after a failure: {reason:?}"));
            }
        }
        let first = writer.status().first_position;
        self.check_records(writer.read_from(first), first, false)
            .map(drop)
    }
}
