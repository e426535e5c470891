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
//! A log that is never synced (`is_durable: false`) may have holes anywhere after a power failure: it is cut at the
//! first, whatever follows. Cost: one read of the segments from `verify_from` on.

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

/// A half-written tail that was cut off.
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
    let mut cut = remove_all(files, &dropped, trouble, options)?;
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
            if options.is_durable {
                segment.sync()?;
            }
            firsts.push(first);
            (segment, segment::HEADER_BYTES as u64, first)
        }
    };
    if options.is_durable {
        sync_directory(files)?;
    }
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
            let path = segment::path_of(files, &segment::name_of(first));
            let what = "there is no header, only zeros or nothing";
            return Ok(Err(Trouble {
                error: segment::corrupt(&path, 0, what),
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
fn remove_all(
    files: &dyn Files,
    dropped: &[u64],
    trouble: Option<Trouble>,
    options: &LogOptions,
) -> Result<Option<Cut>> {
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
    if options.is_durable {
        sync_directory(files)?;
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
    if options.is_durable {
        rewrite_last(segment, *last_record_at, walk.offset)?;
        segment.sync()?;
    }
    let bytes = beyond.nonzero_end - walk.offset;
    if bytes == 0 {
        return Ok(removed);
    }
    Ok(Some(Cut {
        file: segment.path.clone(),
        offset: walk.offset,
        bytes: bytes + removed.as_ref().map_or(0, |removed| removed.bytes),
        segments_removed: removed.map_or(0, |removed| removed.segments_removed),
        why: if stop.is_blank {
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
