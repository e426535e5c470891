//! Walks the records of one segment, checking each; and looks beyond the place where they stop.
//!
//! A walk stops at the first place that is not the next record: zeros, the end of the file, or damage. Whether that
//! is the end of what was written, a half-written tail or a corrupt middle is decided by what lies beyond: a whole
//! record there means that the bytes in between were once durable.

use promosvc_engine::error::Result;

use super::record::{self, ALIGNMENT, Header};
use super::segment::{self, Segment};

/// Bytes that are read at once.
const WINDOW_BYTES: u64 = 1 << 20;
/// Bytes that the search for whole records may check sums of. Honest bytes hardly ever look like a header with a
/// fitting position; a payload made for it could keep recovery busy for hours.
const SEARCH_BYTES_MAX: u64 = 256 << 20;

/// A walk over the records of a segment.
pub(super) struct Walk {
    pub(super) segment: Segment,
    /// Where the next record begins.
    pub(super) offset: u64,
    /// Position of its first entry.
    pub(super) position: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// What is at the next place.
#[derive(Debug)]
pub(super) enum Step {
    Record(Header),
    Stop(Stop),
}

/// Why a walk stopped.
#[derive(Debug)]
pub(super) struct Stop {
    /// Nothing was written here, as far as this place shows.
    pub(super) is_blank: bool,
    /// The file ends here, without the zeros that mark the end.
    pub(super) is_cut_off: bool,
    /// A whole record lies here, but one that does not belong here.
    pub(super) is_whole: bool,
    pub(super) why: String,
}

/// What lies beyond the place where a walk stopped.
#[derive(Debug)]
pub(super) struct Beyond {
    /// Where the last byte that is not zero ends.
    pub(super) nonzero_end: u64,
    /// The first whole record of a later position.
    pub(super) whole_at: Option<u64>,
}

impl Stop {
    fn new(why: impl Into<String>) -> Self {
        Self {
            is_blank: false,
            is_cut_off: false,
            is_whole: false,
            why: why.into(),
        }
    }
}

impl Walk {
    pub(super) fn new(segment: Segment) -> Self {
        Self {
            offset: segment::HEADER_BYTES as u64,
            position: segment.first,
            segment,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// Looks at the next record; `payload` then gives its payload and `pass` goes on. A place that is not a record is
    /// read anew before it counts, because somebody may be writing there.
    pub(super) fn look(&mut self) -> Result<Step> {
        let is_fresh = self.window.is_empty() || self.window_at == self.offset;
        match self.look_once()? {
            Step::Stop(_) if !is_fresh => {
                self.forget();
                self.look_once()
            }
            step => Ok(step),
        }
    }

    /// Forgets what was read, so that the next look reads anew.
    pub(super) fn forget(&mut self) {
        self.window.clear();
    }

    /// All bytes of the record that was looked at.
    pub(super) fn record(&self, header: &Header) -> &[u8] {
        let begin = (self.offset - self.window_at) as usize;
        let bytes = header.record_bytes().unwrap_or(0) as usize;
        self.window.get(begin..begin + bytes).unwrap_or(&[])
    }

    /// Its payload.
    pub(super) fn payload(&self, header: &Header) -> &[u8] {
        let record = self.record(header);
        record
            .get(record::HEADER_BYTES..record::HEADER_BYTES + header.length as usize)
            .unwrap_or(&[])
    }

    /// Goes past the record that was looked at.
    pub(super) fn pass(&mut self, header: &Header) {
        self.offset += header.record_bytes().unwrap_or(0);
        self.position = header.end().unwrap_or(self.position);
    }

    fn look_once(&mut self) -> Result<Step> {
        let bytes = self.fill(record::HEADER_BYTES as u64)?;
        let Some(header) = record::parse(bytes) else {
            let mut stop = Stop::new("the file ends here");
            stop.is_cut_off = true;
            return Ok(Step::Stop(stop));
        };
        if header.length == 0 {
            let mut stop = Stop::new("nothing was written here");
            stop.is_blank = true;
            return Ok(Step::Stop(stop));
        }
        let Some(bytes) = header.record_bytes() else {
            let (length, limit) = (header.length, record::PAYLOAD_BYTES_MAX);
            let why = format!("a record of {length} bytes; the maximum is {limit}");
            return Ok(Step::Stop(Stop::new(why)));
        };
        let (salt, position) = (self.segment.salt, self.position);
        let record = self.fill(bytes)?;
        if (record.len() as u64) < bytes {
            let why = "the record goes on past the end of the file";
            return Ok(Step::Stop(Stop::new(why)));
        }
        if !header.is_whole(salt, record) {
            let why = "the checksum of the record does not fit";
            return Ok(Step::Stop(Stop::new(why)));
        }
        if !record::follows(&header, position) {
            let mut stop = Stop::new(format!(
                "the record has position {} and {} entries; it should begin at {position}",
                header.position, header.head.entries
            ));
            stop.is_whole = true;
            return Ok(Step::Stop(stop));
        }
        Ok(Step::Record(header))
    }

    /// Up to `count` bytes from where the walk is; fewer at the end of the file.
    fn fill(&mut self, count: u64) -> Result<&[u8]> {
        let window_end = self.window_at + self.window.len() as u64;
        if self.offset < self.window_at || self.offset + count > window_end {
            // The length is checked before anything of that length is allocated.
            let rest = self.segment.length()?.saturating_sub(self.offset);
            let bytes = count.max(WINDOW_BYTES).min(rest) as usize;
            self.window.resize(bytes, 0);
            self.window_at = self.offset;
            let filled = self.segment.read_at(&mut self.window, self.offset)?;
            self.window.truncate(filled);
        }
        let begin = (self.offset - self.window_at) as usize;
        let end = (begin + count as usize).min(self.window.len());
        Ok(self.window.get(begin..end).unwrap_or(&[]))
    }
}

/// Looks at everything from `offset` to the end of the file, for whole records of positions after `position`.
pub(super) fn look_beyond(segment: &Segment, offset: u64, position: u64) -> Result<Beyond> {
    let length = segment.length()?;
    let mut beyond = Beyond {
        nonzero_end: segment.nonzero_end(offset)?,
        whole_at: None,
    };
    let mut window = Vec::new();
    let mut candidate = Vec::new();
    let mut searched = 0;
    let mut at = offset;
    while at < beyond.nonzero_end {
        // Windows overlap by a header, so that none is cut in two.
        let bytes = (length - at).min(WINDOW_BYTES + record::HEADER_BYTES as u64);
        window.resize(bytes as usize, 0);
        let filled = segment.read_at(&mut window, at)?;
        let steps = (WINDOW_BYTES as usize).min(filled);
        for step in (0..steps).step_by(ALIGNMENT) {
            let Some(header) = window[..filled].get(step..).and_then(record::parse) else {
                break;
            };
            let here = at + step as u64;
            // Each entry takes at least one byte.
            let is_later =
                header.position > position && header.position - position <= here - offset;
            let Some(bytes) = header.record_bytes() else {
                continue;
            };
            if !is_later || header.end().is_none() || bytes > length - here {
                continue;
            }
            searched += bytes;
            if searched > SEARCH_BYTES_MAX {
                let what = "more look-alikes of records follow than can be told from real ones";
                return Err(segment.corrupt(offset, what));
            }
            candidate.resize(bytes as usize, 0);
            if segment.read_at(&mut candidate, here)? == candidate.len()
                && header.is_whole(segment.salt, &candidate)
            {
                beyond.whole_at = Some(here);
                return Ok(beyond);
            }
        }
        at += WINDOW_BYTES;
    }
    Ok(beyond)
}
