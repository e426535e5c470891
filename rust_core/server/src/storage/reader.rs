//! Reads a log, also one that another process is writing.
//!
//! A reader needs no lock: it walks whole records and stops at `until`, or without it at the last whole record. A
//! writer may be at work where it reads, so a place that is no record is looked at again before it means anything.

use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};

use super::files::Files;
use super::record::Record;
use super::segment::{self, Opened, Segment};
use super::walk::{Step, Stop, Walk, look_beyond};

/// A log that is read only.
#[derive(Clone)]
pub struct LogReader {
    files: Arc<dyn Files>,
}

/// Records in order; ends after the first error.
pub struct Records {
    files: Arc<dyn Files>,
    walk: Option<Walk>,
    /// Records that end at or before it are passed over.
    from: u64,
    until: Option<u64>,
    has_ended: bool,
}

/// What comes after the place where a segment's records stop.
enum Next {
    /// The segment has gone on meanwhile.
    More,
    Segment(Segment),
    End,
}

impl LogReader {
    /// Opens a directory; it may be empty.
    pub fn open(files: Arc<dyn Files>) -> Result<Self> {
        segment::list(&*files)?;
        Ok(Self { files })
    }

    /// Oldest position in the log; `None` for an empty one.
    pub fn first_position(&self) -> Result<Option<u64>> {
        Ok(segment::list(&*self.files)?.first().copied())
    }

    /// First positions of its segments, ascending.
    pub fn segments(&self) -> Result<Vec<u64>> {
        segment::list(&*self.files)
    }

    /// Records that hold positions from `from` on and begin before `until`.
    ///
    /// The first may begin before `from`, when that lies within it. Positions that were trimmed are refused at once
    /// (LOG_TRIMMED); a log that ends before `from` or `until` gives an error at its end (LOG_SHORT).
    pub fn records(&self, from: u64, until: Option<u64>) -> Result<Records> {
        let firsts = segment::list(&*self.files)?;
        let index = firsts.partition_point(|&first| first <= from);
        let walk = match (index.checked_sub(1), firsts.first()) {
            (None, None) => None,
            (None, Some(&oldest)) => return Err(trimmed(&*self.files, from, oldest)),
            (Some(index), _) => self.begin(firsts[index], &firsts)?,
        };
        Ok(Records {
            files: Arc::clone(&self.files),
            walk,
            from,
            until,
            has_ended: false,
        })
    }

    fn begin(&self, first: u64, firsts: &[u64]) -> Result<Option<Walk>> {
        match Segment::open_to_read(&*self.files, first)? {
            Some(Opened::Segment(segment)) => Ok(Some(Walk::new(segment))),
            Some(Opened::HalfMade(_)) if firsts.last() == Some(&first) => Ok(None),
            Some(Opened::HalfMade(_)) => Err(segment::headless(&*self.files, first)),
            None => Err(trimmed(&*self.files, first, first)),
        }
    }
}

impl Records {
    /// Position after the last record that was given or passed over; `from` before the first.
    pub fn position(&self) -> u64 {
        self.walk
            .as_ref()
            .map_or(self.from, |walk| walk.position.max(self.from))
    }

    fn advance(&mut self) -> Result<Option<Record>> {
        loop {
            let Some(walk) = &mut self.walk else {
                return self.end(self.from);
            };
            if self.until.is_some_and(|until| walk.position >= until) {
                return Ok(None);
            }
            match walk.look()? {
                Step::Record(header) => {
                    let is_wanted = header.end().is_some_and(|end| end > self.from);
                    let record = is_wanted.then(|| Record {
                        position: header.position,
                        at: header.head.at,
                        kind: header.head.kind,
                        version: header.head.version,
                        entries: header.head.entries,
                        payload: walk.payload(&header).to_vec(),
                    });
                    walk.pass(&header);
                    if record.is_some() {
                        return Ok(record);
                    }
                }
                Step::Stop(stop) => {
                    let position = walk.position;
                    match after(&*self.files, walk, &stop)? {
                        Next::More => walk.forget(),
                        Next::Segment(segment) => *walk = Walk::new(segment),
                        Next::End => return self.end(position),
                    }
                }
            }
        }
    }

    /// The end of the log, unless it should reach further.
    fn end(&self, position: u64) -> Result<Option<Record>> {
        let wanted = self.until.unwrap_or(0).max(self.from);
        if position >= wanted {
            return Ok(None);
        }
        let directory = self.files.directory();
        Err(Error::new(
            ErrorKind::DataLoss,
            "LOG_SHORT",
            format!("{directory}: the log ends at position {position}; it should reach {wanted}"),
        )
        .with("directory", directory)
        .with("position", position)
        .with("wanted", wanted))
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let record = self.advance().transpose();
        self.has_ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Where to go on after a segment's records stopped.
fn after(files: &dyn Files, walk: &mut Walk, stop: &Stop) -> Result<Next> {
    let position = walk.position;
    // A segment that is still empty has the name that the next would have.
    let is_empty = position == walk.segment.first;
    let next = match is_empty {
        true => None,
        false => Segment::open_to_read(files, position)?,
    };
    let firsts = segment::list(files)?;
    let last = firsts.last().copied();
    match next {
        Some(Opened::Segment(segment)) => return Ok(Next::Segment(segment)),
        Some(Opened::HalfMade(_)) if last == Some(position) => return Ok(Next::End),
        Some(Opened::HalfMade(_)) => return Err(segment::headless(files, position)),
        None => {}
    }
    let is_last = last.is_none_or(|last| last <= walk.segment.first);
    let beyond = look_beyond(&walk.segment, walk.offset, position)?;
    if is_last && beyond.whole_at.is_none() && !stop.is_whole {
        return Ok(Next::End);
    }
    // Either a writer came by since this place was read, or it is damaged.
    walk.forget();
    match walk.look()? {
        Step::Record(_) => Ok(Next::More),
        // The next segment was made meanwhile.
        Step::Stop(stop) if !stop.is_whole && !is_empty && last == Some(position) => Ok(Next::End),
        Step::Stop(stop) => match firsts.first() {
            Some(&oldest) if oldest > position => Err(trimmed(files, position, oldest)),
            _ => Err(walk.segment.corrupt(
                walk.offset,
                format_args!("{}, and more of the log follows", stop.why),
            )),
        },
    }
}

fn trimmed(files: &dyn Files, position: u64, oldest: u64) -> Error {
    let directory = files.directory();
    Error::new(
        ErrorKind::NotFound,
        "LOG_TRIMMED",
        format!("{directory}: position {position} is gone; the log begins at {oldest}"),
    )
    .with("directory", directory)
    .with("position", position)
    .with("first_position", oldest)
}

#[cfg(test)]
mod tests {
    use promosvc_engine::types::TimeUs;

    use super::*;
    use crate::storage::{DiskFiles, KIND_EVENTS, Log, LogOptions, LogWriter, RecordHead};

    fn append(writer: &mut LogWriter, count: usize) {
        let head = RecordHead {
            at: TimeUs(0),
            kind: KIND_EVENTS,
            version: 1,
            entries: 1,
        };
        for _ in 0..count {
            writer.append(&head, &[7; 300]).unwrap();
            writer.sync().unwrap();
        }
    }

    fn positions(records: impl Iterator<Item = Result<Record>>) -> Vec<u64> {
        records.map(|record| record.unwrap().position).collect()
    }

    #[test]
    fn a_reader_follows_a_writer_over_segments() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let reader = LogReader::open(Arc::clone(&files)).unwrap();
        assert_eq!(reader.first_position().unwrap(), None);
        assert!(reader.records(0, None).unwrap().next().is_none());
        let options = LogOptions {
            segment_bytes: 1024,
            step_bytes: 512,
            ..LogOptions::default()
        };
        let (mut writer, _) = LogWriter::open(files, options).unwrap();
        let mut records = reader.records(0, None).unwrap();
        assert!(records.next().is_none());
        append(&mut writer, 1);
        let mut records = reader.records(0, None).unwrap();
        assert_eq!(records.next().unwrap().unwrap().position, 0);
        // These come after the reader has read what lies behind the first.
        append(&mut writer, 20);
        assert_eq!(positions(records.by_ref()), Vec::from_iter(1..21));
        assert_eq!(records.position(), 21);
    }

    #[test]
    fn until_is_where_it_stops_and_where_it_must_get() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let reader = LogReader::open(Arc::clone(&files)).unwrap();
        let error = reader.records(0, Some(1)).unwrap().next().unwrap();
        assert_eq!(error.unwrap_err().reason, "LOG_SHORT");
        let (mut writer, _) = LogWriter::open(files, LogOptions::default()).unwrap();
        append(&mut writer, 5);
        let upto = |until| reader.records(1, Some(until)).unwrap();
        assert_eq!(positions(upto(3)), [1, 2]);
        assert_eq!(positions(upto(5)), [1, 2, 3, 4]);
        assert!(upto(0).next().is_none());
        let mut records = upto(6);
        assert_eq!(records.by_ref().take(4).filter(Result::is_ok).count(), 4);
        let error = records.next().unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::DataLoss, "LOG_SHORT")
        );
        assert!(
            error
                .message
                .contains("ends at position 5; it should reach 6")
        );
        assert!(records.next().is_none());
        // Somebody has seen position 6 already.
        let error = reader.records(6, None).unwrap().next().unwrap();
        assert_eq!(error.unwrap_err().reason, "LOG_SHORT");
    }

    #[test]
    fn a_reader_beside_a_busy_writer_sees_whole_records_only() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let options = LogOptions {
            segment_bytes: 20_000,
            step_bytes: 5_000,
            is_durable: false,
            ..LogOptions::default()
        };
        let (mut writer, _) = LogWriter::open(Arc::clone(&files), options).unwrap();
        let writing = std::thread::spawn(move || {
            append(&mut writer, 5_000);
            writer.next_position()
        });
        let reader = LogReader::open(files).unwrap();
        let mut seen = 0;
        while seen < 5_000 {
            let is_over = writing.is_finished();
            for (position, record) in (seen..).zip(reader.records(seen, None).unwrap()) {
                let record = record.unwrap();
                assert_eq!((record.position, record.payload), (position, vec![7; 300]));
                seen = position + 1;
            }
            assert!(seen == 5_000 || !is_over, "{seen}");
        }
        assert_eq!(writing.join().unwrap(), seen);
    }

    #[test]
    fn a_reader_that_trimming_overtakes_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let options = LogOptions {
            segment_bytes: 1024,
            step_bytes: 512,
            ..LogOptions::default()
        };
        let (mut writer, _) = LogWriter::open(Arc::clone(&files), options).unwrap();
        append(&mut writer, 10);
        let mut records = LogReader::open(files).unwrap().records(0, None).unwrap();
        assert_eq!(records.next().unwrap().unwrap().position, 0);
        writer.trim(u64::MAX).unwrap();
        let error = records.find_map(Result::err).unwrap();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::NotFound, "LOG_TRIMMED")
        );
    }

    #[test]
    fn damage_before_the_end_is_named_and_a_torn_end_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let (mut writer, _) = LogWriter::open(Arc::clone(&files), LogOptions::default()).unwrap();
        append(&mut writer, 3);
        let path = directory.path().join(segment::name_of(0));
        let whole = std::fs::read(&path).unwrap();
        let reader = LogReader::open(files).unwrap();
        let read_damaged_at = |offset: usize| {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let records: Vec<_> = reader.records(0, None).unwrap().collect();
            let error = records.last().unwrap().clone().err();
            (records.len(), error.map(|error| error.message))
        };
        // Records take 336 bytes, from 64 on.
        let (count, error) = read_damaged_at(64 + 336 + 50);
        assert_eq!(count, 2);
        let expected = "damaged at byte 400: the checksum of the record does not fit, and more of the log follows";
        assert!(error.unwrap().ends_with(expected));
        assert_eq!(read_damaged_at(64 + 2 * 336 + 50), (2, None));
    }
}
