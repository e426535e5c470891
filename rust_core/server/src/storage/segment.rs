//! A segment: one file of the log, named by the position of its first entry.
//!
//! 64 bytes of header, then records, then zeros that were written ahead of use. The header is durable before a record
//! goes in, and the next segment is made only when everything in this one is durable. So of all segments only the
//! last can be half made: a file shorter than a header, or all zeros.

use promosvc_engine::error::{Error, Result};

use super::files::{FileHandle, Files};
use super::{header, record};

/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = header::BYTES;
/// No segment file is longer; a longer one is foreign.
pub(super) const FILE_BYTES_MAX: u64 = 8 << 30;
const MAGIC: [u8; 8] = *b"PROMOLOG";
const SUFFIX: &str = ".log";
const DIGITS: usize = 20;
/// Zeros are written in pieces of this.
static ZEROS: [u8; 1 << 18] = [0; 1 << 18];

/// An open segment.
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) salt: u64,
    pub(super) handle: Box<dyn FileHandle>,
    /// For error messages.
    pub(super) path: String,
}

/// What a file with the name of a segment turned out to be.
pub(super) enum Opened {
    Segment(Segment),
    /// Its creation was interrupted; bytes of the file.
    HalfMade(u64),
}

impl Segment {
    /// Makes a segment; it is durable only after `sync_data` and a sync of the directory.
    pub(super) fn create(files: &dyn Files, first: u64) -> Result<Self> {
        let name = name_of(first);
        let path = path_of(files, &name);
        let handle = files
            .create(&name)
            .map_err(|error| Error::io(&path, &error))?;
        let segment = Self {
            first,
            salt: files.salt(),
            handle,
            path,
        };
        segment.write_header()?;
        Ok(segment)
    }

    /// Opens a segment and checks its header.
    pub(super) fn open(files: &dyn Files, first: u64) -> Result<Opened> {
        let name = name_of(first);
        Self::check(files, first, &name, files.open(&name))
    }

    /// The same for reading only; `None` where the file is not there.
    pub(super) fn open_to_read(files: &dyn Files, first: u64) -> Result<Option<Opened>> {
        let name = name_of(first);
        match files.open_to_read(&name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            handle => Self::check(files, first, &name, handle).map(Some),
        }
    }

    fn check(
        files: &dyn Files,
        first: u64,
        name: &str,
        handle: std::io::Result<Box<dyn FileHandle>>,
    ) -> Result<Opened> {
        let path = path_of(files, name);
        let handle = handle.map_err(|error| Error::io(&path, &error))?;
        let mut segment = Self {
            first,
            salt: 0,
            handle,
            path,
        };
        let length = segment.length()?;
        let mut bytes = [0; HEADER_BYTES];
        if segment.read_at(&mut bytes, 0)? < HEADER_BYTES {
            return Ok(Opened::HalfMade(length));
        }
        if bytes == [0; HEADER_BYTES] && segment.nonzero_end(0)? == 0 {
            return Ok(Opened::HalfMade(length));
        }
        segment.salt =
            header::parse(&bytes, MAGIC, first).map_err(|what| segment.corrupt(0, what))?;
        Ok(Opened::Segment(segment))
    }

    /// Writes the header, also over itself, and behind it the zeros that say that there is no record yet.
    pub(super) fn write_header(&self) -> Result<()> {
        let mut bytes = [0; HEADER_BYTES + record::HEADER_BYTES];
        bytes[..HEADER_BYTES].copy_from_slice(&header::encode(MAGIC, self.salt, self.first));
        self.write_at(&bytes, 0)
    }

    /// Bytes of the file; one of absurd size is refused.
    pub(super) fn length(&self) -> Result<u64> {
        let length = self
            .handle
            .length()
            .map_err(|error| Error::io(&self.path, &error))?;
        if length > FILE_BYTES_MAX {
            let what = format!("{length} bytes; a segment has at most {FILE_BYTES_MAX}");
            return Err(self.corrupt(FILE_BYTES_MAX, what));
        }
        Ok(length)
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.handle
            .read_at(buffer, offset)
            .map_err(|error| Error::io(&self.path, &error))
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.handle
            .write_at(bytes, offset)
            .map_err(|error| Error::io(&self.path, &error))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.handle
            .sync_data()
            .map_err(|error| Error::io(&self.path, &error))
    }

    /// Writes zeros from `offset` to `end`.
    pub(super) fn write_zeros(&self, mut offset: u64, end: u64) -> Result<()> {
        while offset < end {
            let count = (end - offset).min(ZEROS.len() as u64);
            self.write_at(&ZEROS[..count as usize], offset)?;
            offset += count;
        }
        Ok(())
    }

    /// Where the last byte that is not zero ends, looking from `offset` on; `offset` where there is none.
    pub(super) fn nonzero_end(&self, offset: u64) -> Result<u64> {
        let mut buffer = vec![0; 1 << 16];
        let (mut at, mut end) = (offset, offset);
        loop {
            let count = self.read_at(&mut buffer, at)?;
            if count == 0 {
                return Ok(end);
            }
            if let Some(last) = buffer[..count].iter().rposition(|&byte| byte != 0) {
                end = at + last as u64 + 1;
            }
            at += count as u64;
        }
    }

    /// An error that names this file and an offset in it.
    pub(super) fn corrupt(&self, offset: u64, what: impl std::fmt::Display) -> Error {
        corrupt(&self.path, offset, what)
    }
}

/// A file of a log that cannot be what was written.
pub(super) fn corrupt(path: &str, offset: u64, what: impl std::fmt::Display) -> Error {
    Error::data_loss(
        path,
        "LOG_CORRUPT",
        format_args!("damaged at byte {offset}: {what}"),
    )
    .with("offset", offset)
}

/// A segment without a header that others follow.
pub(super) fn headless(files: &dyn Files, first: u64) -> Error {
    let path = path_of(files, &name_of(first));
    corrupt(&path, 0, "there is no header, only zeros or nothing")
}

/// First positions of all segments of a directory, ascending.
pub(super) fn list(files: &dyn Files) -> Result<Vec<u64>> {
    let names = files
        .list()
        .map_err(|error| Error::io(files.directory(), &error))?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| position_of(name, SUFFIX))
        .collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Name of the segment that begins at a position.
pub(super) fn name_of(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The position in a name of 20 digits and a suffix; `None` for any other name.
pub(super) fn position_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

pub(super) fn path_of(files: &dyn Files, name: &str) -> String {
    format!("{}/{name}", files.directory())
}
