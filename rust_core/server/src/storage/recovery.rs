//! What is left of a log after its writer ended, however it did.
//!
//! Stages: list the segments; walk and check them; tell a half-written tail from damage; make what is kept durable;
//! wipe the rest. A tail is what one interrupted append can leave behind: bytes after the last whole record of the
//! last segment with no whole record after them, or a last segment that was only begun. Anything else was durable
//! once and is refused by file and offset: a program must not decide what of it to lose.
//!
//! What is kept is written once more before it is synced: after a failed sync the system's cache may show a record
//! that the disk does not have and that it no longer means to write. At most one record can be in that state, because
//! a durable log syncs before it appends again.
//!
//! A log whose appends are not synced (`is_durable: false`) may have holes anywhere after a power failure: it is cut at
//! the first, whatever follows. That is synced, so that what was cut off does not come back among newer records. Cost: one read of the segments from `verify_from` on.

use std::collections::VecDeque;
use std::fmt;

use promosvc_engine::error::{Error, ErrorKind, Result};

use super::files::Files;
use super::segment::{self, Opened, Segment};
use super::walk::{Step, Stop, Walk, look_beyond};
use super::writer::LogOptions;

/// What recovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Oldest position in the log.
    pub first_position: u64,
    /// Position of the next append.
    pub next_position: u64,
    /// Segments in the directory.
    pub segments: usize,
    /// Records that were checked.
    pub records: u64,
    /// What was cut off; the caller says so in its log.
    pub cut: Option<Cut>,
}

/// A half-written tail that was cut off. With 0 bytes the file ends where the last record does: a writer leaves zeros
/// there, so that something may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// Where it was cut.
    pub offset: u64,
    /// Bytes that are gone.
    pub bytes: u64,
    /// Later files that are gone; more than one only in a log that is never synced.
    pub segments_removed: usize,
    /// What was found at the offset.
    pub why: String,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            offset,
            bytes,
            segments_removed: _,
            why,
        } = self;
        write!(f, "{file}: cut at byte {offset}, {bytes} bytes: {why}")
    }
}

/// Where a writer goes on.
pub(super) struct End {
    pub(super) segment: Segment,
    pub(super) offset: u64,
    pub(super) position: u64,
    /// Zeros reach so far.
    pub(super) zeroed_until: u64,
    pub(super) firsts: VecDeque<u64>,
}

/// A segment that was walked to where its records stop.
struct Walked {
    walk: Walk,
    last_record_at: Option<u64>,
    records: u64,
    stop: Stop,
}

/// A segment that cannot follow on the one before.
struct Trouble {
    error: Error,
    /// Bytes of a file whose creation was interrupted.
    half_made_bytes: Option<u64>,
}

/// Recovers a directory that this process alone writes.
pub(super) fn recover(files: &dyn Files, options: &LogOptions) -> Result<(End, Recovered)> {
    let mut firsts = segment::list(files)?;
    let from = if options.is_durable {
        let reached = firsts.partition_point(|&first| first <= options.verify_from);
        // The last but one shows whether the last belongs to it.
        reached
            .min(firsts.len().saturating_sub(1))
            .saturating_sub(1)
    } else {
        0
    };
    let (tail, records, trouble) = walk_all(files, &firsts[from..])?;
    let kept = from + tail.as_ref().map_or(0, |(count, _)| *count);
    let dropped = firsts.split_off(kept);
    if let Some(trouble) = &trouble
        && options.is_durable
        && !is_interrupted_creation(trouble, &dropped, tail.as_ref().map(|(_, tail)| tail))
    {
        return Err(trouble.error.clone());
    }
    let mut cut = remove_all(files, &dropped, trouble)?;
    let (segment, offset, position) = match tail {
        Some((_, tail)) => {
            cut = cut_tail(&tail, cut, options)?;
            (tail.walk.segment, tail.walk.offset, tail.walk.position)
        }
        None => {
            // A log never goes back to positions that it may have had.
            let oldest = dropped.first().copied().unwrap_or(0);
            let first = options.first_position.max(oldest);
            let segment = Segment::create(files, first)?;
            segment.sync()?;
            firsts.push(first);
            (segment, segment::HEADER_BYTES as u64, first)
        }
    };
    sync_directory(files)?;
    let recovered = Recovered {
        first_position: firsts.first().copied().unwrap_or(position),
        next_position: position,
        segments: firsts.len(),
        records,
        cut,
    };
    let end = End {
        zeroed_until: segment.length()?.max(offset),
        segment,
        offset,
        position,
        firsts: firsts.into(),
    };
    Ok((end, recovered))
}

/// Returns when the directory's names are durable.
pub(super) fn sync_directory(files: &dyn Files) -> Result<()> {
    files
        .sync_directory()
        .map_err(|error| Error::io(files.directory(), &error))
}

type Tail = Option<(usize, Walked)>;

/// Walks segments until one does not fit: how many did and the last of them, records, and the trouble.
fn walk_all(files: &dyn Files, firsts: &[u64]) -> Result<(Tail, u64, Option<Trouble>)> {
    let mut tail: Tail = None;
    let mut records = 0;
    for (index, &first) in firsts.iter().enumerate() {
        let before = tail.as_ref().map(|(_, walked)| walked);
        match walk_one(files, first, before) {
            Ok(Ok(walked)) => {
                records += walked.records;
                tail = Some((index + 1, walked));
            }
            Ok(Err(half_made)) => return Ok((tail, records, Some(half_made))),
            Err(error) if error.kind == ErrorKind::DataLoss => {
                let trouble = Trouble {
                    error,
                    half_made_bytes: None,
                };
                return Ok((tail, records, Some(trouble)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((tail, records, None))
}

fn walk_one(
    files: &dyn Files,
    first: u64,
    before: Option<&Walked>,
) -> Result<std::result::Result<Walked, Trouble>> {
    let segment = match Segment::open(files, first)? {
        Opened::Segment(segment) => segment,
        Opened::HalfMade(bytes) => {
            return Ok(Err(Trouble {
                error: segment::headless(files, first),
                half_made_bytes: Some(bytes),
            }));
        }
    };
    if let Some(before) = before
        && !super::record::is_next(first, before.walk.position)
    {
        return Err(before.walk.segment.corrupt(
            before.walk.offset,
            format_args!(
                "{}; records end at position {}, and the next segment begins at {first}",
                before.stop.why, before.walk.position
            ),
        ));
    }
    let mut walk = Walk::new(segment);
    let mut last_record_at = None;
    let mut records = 0;
    loop {
        match walk.look()? {
            Step::Record(header) => {
                last_record_at = Some(walk.offset);
                records += 1;
                walk.pass(&header);
            }
            Step::Stop(stop) => {
                return Ok(Ok(Walked {
                    walk,
                    last_record_at,
                    records,
                    stop,
                }));
            }
        }
    }
}

/// Whether the trouble is what an interrupted creation of the last segment leaves, and the one before is whole.
fn is_interrupted_creation(trouble: &Trouble, dropped: &[u64], before: Option<&Walked>) -> bool {
    let [first] = dropped else { return false };
    trouble.half_made_bytes.is_some() && before.is_none_or(|before| before.walk.position == *first)
}

/// Removes segments, newest first, so that those left never have a gap.
fn remove_all(files: &dyn Files, dropped: &[u64], trouble: Option<Trouble>) -> Result<Option<Cut>> {
    let (Some(&first), Some(trouble)) = (dropped.first(), trouble) else {
        return Ok(None);
    };
    let mut bytes = 0;
    for &first in dropped.iter().rev() {
        let name = segment::name_of(first);
        let failed = |error: std::io::Error| Error::io(segment::path_of(files, &name), &error);
        bytes += files
            .open_to_read(&name)
            .and_then(|handle| handle.length())
            .map_err(failed)?;
        files.remove(&name).map_err(failed)?;
    }
    Ok(Some(Cut {
        file: segment::path_of(files, &segment::name_of(first)),
        offset: 0,
        bytes,
        segments_removed: dropped.len(),
        why: trouble.error.message,
    }))
}

/// Keeps what is whole, durably, and wipes what follows it.
fn cut_tail(tail: &Walked, removed: Option<Cut>, options: &LogOptions) -> Result<Option<Cut>> {
    let Walked {
        walk,
        last_record_at,
        records: _,
        stop,
    } = tail;
    let segment = &walk.segment;
    let beyond = look_beyond(segment, walk.offset, walk.position)?;
    if options.is_durable && (stop.is_whole || beyond.whole_at.is_some()) {
        let more = beyond
            .whole_at
            .map(|at| format!("; a whole record follows at byte {at}"));
        let what = format!("{}{}", stop.why, more.unwrap_or_default());
        return Err(segment.corrupt(walk.offset, what));
    }
    segment.write_zeros(walk.offset, beyond.nonzero_end)?;
    rewrite_last(segment, *last_record_at, walk.offset)?;
    segment.sync()?;
    let bytes = beyond.nonzero_end - walk.offset;
    if bytes == 0 && !stop.is_cut_off {
        return Ok(removed);
    }
    Ok(Some(Cut {
        file: segment.path.clone(),
        offset: walk.offset,
        bytes: bytes + removed.as_ref().map_or(0, |removed| removed.bytes),
        segments_removed: removed.map_or(0, |removed| removed.segments_removed),
        why: if stop.is_blank && bytes > 0 {
            "zeros, then bytes that are no record".to_owned()
        } else {
            stop.why.clone()
        },
    }))
}

/// Writes the last record over itself, or the header where there is none, so that a sync cannot pass it over.
fn rewrite_last(segment: &Segment, last_record_at: Option<u64>, end: u64) -> Result<()> {
    let Some(at) = last_record_at else {
        return segment.write_header();
    };
    let mut bytes = vec![0; (end - at) as usize];
    let filled = segment.read_at(&mut bytes, at)?;
    segment.write_at(&bytes[..filled], at)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use promosvc_engine::types::TimeUs;

    use super::*;
    use crate::storage::record::{self, RecordHead};
    use crate::storage::{DiskFiles, KIND_EVENTS, Log, LogWriter};

    /// Records of 1 entry and 132 payload bytes take 168 bytes each: four to a segment, at 64, 232, 400 and 568.
    const PAYLOAD: [u8; 132] = [b'x'; 132];
    const HEAD: RecordHead = RecordHead {
        at: TimeUs(0),
        kind: KIND_EVENTS,
        version: 1,
        entries: 1,
    };

    fn options() -> LogOptions {
        LogOptions {
            segment_bytes: 800,
            step_bytes: 400,
            ..LogOptions::default()
        }
    }

    fn open(directory: &Path, options: LogOptions) -> Result<(LogWriter, Recovered)> {
        LogWriter::open(Arc::new(DiskFiles::open(directory)?), options)
    }

    /// A log of so many records.
    fn log(count: usize) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, _) = open(directory.path(), options()).unwrap();
        for _ in 0..count {
            writer.append(&HEAD, &PAYLOAD).unwrap();
            writer.sync().unwrap();
        }
        directory
    }

    fn path(directory: &Path, first: u64) -> PathBuf {
        directory.join(segment::name_of(first))
    }

    fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    fn refusal(directory: &Path) -> String {
        let error = open(directory, options()).err().unwrap();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::DataLoss, "LOG_CORRUPT")
        );
        let offset = error.metadata.iter().find(|(name, _)| *name == "offset");
        assert!(
            error
                .message
                .contains(&format!("byte {}", offset.unwrap().1))
        );
        let (_, text) = error
            .message
            .split_at(directory.to_str().unwrap().len() + 1);
        text.to_owned()
    }

    #[test]
    fn a_half_written_tail_is_cut_at_the_last_whole_record() {
        let directory = log(3);
        let last = path(directory.path(), 0);
        edit(&last, |bytes| bytes[500..568].fill(0));
        let (mut writer, recovered) = open(directory.path(), options()).unwrap();
        let cut = recovered.cut.unwrap();
        assert_eq!((recovered.next_position, recovered.records), (2, 2));
        assert_eq!((cut.offset, cut.bytes), (400, 100));
        assert!(
            cut.to_string()
                .ends_with("cut at byte 400, 100 bytes: the checksum of the record does not fit"),
            "{cut}"
        );
        assert!(
            fs::read(&last).unwrap()[400..]
                .iter()
                .all(|&byte| byte == 0)
        );
        assert_eq!(writer.append(&HEAD, &PAYLOAD).unwrap(), 2);
        drop(writer);
        let (_, recovered) = open(directory.path(), options()).unwrap();
        assert_eq!((recovered.next_position, recovered.cut), (3, None));
    }

    #[test]
    fn bytes_behind_zeros_are_cut_too() {
        let directory = log(1);
        edit(&path(directory.path(), 0), |bytes| bytes[300] = 1);
        let (_, recovered) = open(directory.path(), options()).unwrap();
        let cut = recovered.cut.unwrap();
        assert_eq!((cut.offset, cut.bytes), (232, 69));
        assert_eq!(cut.why, "zeros, then bytes that are no record");
    }

    #[test]
    fn a_file_that_ends_with_its_last_record_is_said() {
        let directory = log(3);
        edit(&path(directory.path(), 0), |bytes| bytes.truncate(400));
        let (_, recovered) = open(directory.path(), options()).unwrap();
        let cut = recovered.cut.unwrap();
        assert_eq!(recovered.next_position, 2);
        assert_eq!(
            (cut.offset, cut.bytes, &*cut.why),
            (400, 0, "the file ends here")
        );
    }

    #[test]
    fn a_damaged_record_with_a_whole_one_behind_it_is_refused() {
        let directory = log(3);
        edit(&path(directory.path(), 0), |bytes| bytes[300] ^= 1);
        assert_eq!(
            refusal(directory.path()),
            "00000000000000000000.log: damaged at byte 232: the checksum of the record does not fit; \
             a whole record follows at byte 400"
        );
        // The same where the length is what is damaged.
        let directory = log(3);
        edit(&path(directory.path(), 0), |bytes| bytes[232..236].fill(0));
        assert!(refusal(directory.path()).contains("damaged at byte 232"));
    }

    #[test]
    fn damage_in_an_earlier_segment_is_refused() {
        let directory = log(5);
        edit(&path(directory.path(), 0), |bytes| bytes[600] ^= 1);
        assert_eq!(
            refusal(directory.path()),
            "00000000000000000000.log: damaged at byte 568: the checksum of the record does not fit; \
             records end at position 3, and the next segment begins at 4"
        );
    }

    #[test]
    fn a_missing_segment_is_a_gap() {
        let directory = log(9);
        fs::remove_file(path(directory.path(), 4)).unwrap();
        assert_eq!(
            refusal(directory.path()),
            "00000000000000000000.log: damaged at byte 736: nothing was written here; \
             records end at position 4, and the next segment begins at 8"
        );
    }

    #[test]
    fn a_renamed_segment_is_refused() {
        let directory = log(5);
        fs::rename(path(directory.path(), 4), path(directory.path(), 5)).unwrap();
        assert_eq!(
            refusal(directory.path()),
            "00000000000000000005.log: damaged at byte 0: position 4; its name says 5"
        );
    }

    #[test]
    fn a_segment_that_was_only_begun_is_removed() {
        for bytes in [0, 10, 64, 5000] {
            let directory = log(4);
            let begun = path(directory.path(), 4);
            fs::write(&begun, vec![0; bytes]).unwrap();
            let (mut writer, recovered) = open(directory.path(), options()).unwrap();
            let cut = recovered.cut.unwrap();
            assert_eq!(
                (cut.offset, cut.bytes, cut.segments_removed),
                (0, bytes as u64, 1)
            );
            assert!(!begun.exists());
            assert_eq!(writer.append(&HEAD, &PAYLOAD).unwrap(), 4);
            assert!(begun.exists());
        }
    }

    #[test]
    fn a_segment_that_was_only_begun_does_not_hide_damage_before_it() {
        let directory = log(4);
        edit(&path(directory.path(), 0), |bytes| bytes[600] ^= 1);
        fs::write(path(directory.path(), 4), []).unwrap();
        assert!(refusal(directory.path()).contains("00000000000000000004.log: damaged at byte 0"));
    }

    #[test]
    fn an_only_segment_that_was_only_begun_gives_no_position_back() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(path(directory.path(), 70), []).unwrap();
        let (_, recovered) = open(directory.path(), options()).unwrap();
        assert_eq!(
            (recovered.first_position, recovered.next_position),
            (70, 70)
        );
    }

    #[test]
    fn a_log_that_is_not_synced_is_cut_at_its_first_hole() {
        let directory = log(12);
        edit(&path(directory.path(), 4), |bytes| bytes[300] ^= 1);
        let options = LogOptions {
            is_durable: false,
            ..options()
        };
        let (writer, recovered) = open(directory.path(), options).unwrap();
        let cut = recovered.cut.unwrap();
        assert_eq!((recovered.next_position, recovered.segments), (5, 2));
        assert_eq!((cut.offset, cut.segments_removed), (232, 1));
        assert_eq!(writer.read_from(0).unwrap().map(Result::unwrap).count(), 5);
    }

    #[test]
    fn files_of_absurd_size_are_refused_before_they_are_read() {
        let directory = log(1);
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path(directory.path(), 0));
        file.unwrap().set_len(1 << 40).unwrap();
        assert!(refusal(directory.path()).contains("1099511627776 bytes; a segment has at most"));
    }

    #[test]
    fn a_payload_of_look_alikes_does_not_keep_recovery_busy() {
        let directory = log(1);
        // Behind a torn record: headers that claim 16 MiB each and later positions, one every 32 bytes.
        let mut like = Vec::new();
        record::encode(&mut like, 0, 2, &HEAD, &[1; 8]);
        like[..4].copy_from_slice(&(record::PAYLOAD_BYTES_MAX as u32).to_le_bytes());
        edit(&path(directory.path(), 0), |bytes| {
            bytes.truncate(232);
            bytes.resize(1000, 1);
            for _ in 0..1000 {
                bytes.extend_from_slice(&like[..32]);
            }
            bytes.resize(bytes.len() + record::PAYLOAD_BYTES_MAX, 1);
        });
        assert!(refusal(directory.path()).contains("damaged at byte 232: more look-alikes"));
    }
}
