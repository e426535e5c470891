//! Checkpoints: what was folded from the log, so that a start need not fold all of it again.
//!
//! ```text
//! header 64 (magic PROMOCKP) · parts: {length u64 · crc32c u32 · kind u16 · zero u16 · payload · zeros to 8 bytes}
//! ```
//! The last part has kind 65535 and holds how many came before it, u64; the file ends with it. A checksum begins with
//! the header's salt and the part's index, and covers all else.
//!
//! A checkpoint is written aside, synced, renamed to `<position, 20 digits>.checkpoint`, and the directory synced; so
//! one that has its name is whole. The two newest are kept: if the newest is damaged after all, the one before it
//! serves as long as the log reaches back to it. Memory: one part at a time, written as read.

use std::sync::Arc;

use promosvc_engine::error::{Error, Result};

use super::files::{FileHandle, Files};
use super::recovery::sync_directory;
use super::segment::{corrupt, path_of, position_of};
use super::{header, record};

/// How many are kept.
pub const KEPT: usize = 2;
/// Largest payload of a part.
pub const PART_BYTES_MAX: u64 = 4 << 30;
const MAGIC: [u8; 8] = *b"PROMOCKP";
const SUFFIX: &str = ".checkpoint";
const SUFFIX_ASIDE: &str = ".checkpoint.new";
const PART_HEADER_BYTES: usize = 16;
const KIND_END: u16 = u16::MAX;

/// A whole checkpoint.
pub struct Checkpoint {
    /// It holds the log before this position.
    pub position: u64,
    handle: Box<dyn FileHandle>,
    path: String,
}

/// A part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the payload is.
    pub kind: u16,
    /// The payload.
    pub payload: Vec<u8>,
}

/// What `newest` found.
pub struct Newest {
    /// The newest that is whole; `None` where there is none, and the log has everything.
    pub checkpoint: Option<Checkpoint>,
    /// Newer ones that are damaged, each with file and offset; the caller says so in its log.
    pub damaged: Vec<Error>,
}

/// Writes a checkpoint of the log before `position`; returns when it is durable. The two newest are kept.
pub fn write(
    files: &dyn Files,
    position: u64,
    parts: impl IntoIterator<Item = (u16, Vec<u8>)>,
) -> Result<()> {
    try_write(files, position, parts.into_iter().map(Ok))
}

/// Writes a checkpoint whose parts may fail to be made; then none is written, and the last two stay.
pub fn try_write(
    files: &dyn Files,
    position: u64,
    parts: impl IntoIterator<Item = Result<(u16, Vec<u8>)>>,
) -> Result<()> {
    remove_all(files, |name| name.ends_with(SUFFIX_ASIDE))?;
    let aside = format!("{position:020}{SUFFIX_ASIDE}");
    write_aside(files, &aside, position, parts)?;
    files
        .rename(&aside, &name_of(position))
        .map_err(|error| Error::io(path_of(files, &aside), &error))?;
    sync_directory(files)?;
    let positions = positions(files)?;
    let oldest_kept = positions.iter().rev().nth(KEPT - 1).copied().unwrap_or(0);
    remove_all(files, |name| {
        position_of(name, SUFFIX).is_some_and(|position| position < oldest_kept)
    })
}

/// Positions of the checkpoints, ascending. The log is needed from the first of them on.
pub fn positions(files: &dyn Files) -> Result<Vec<u64>> {
    let mut positions: Vec<u64> = list(files)?
        .iter()
        .filter_map(|name| position_of(name, SUFFIX))
        .collect();
    positions.sort_unstable();
    Ok(positions)
}

/// The newest checkpoint from which the log, that begins at `log_first`, can go on.
///
/// A damaged one is passed over only if an older one is whole and the log reaches back to it, or the log reaches back
/// to 0; otherwise it is refused.
pub fn newest(files: &Arc<dyn Files>, log_first: u64) -> Result<Newest> {
    let mut damaged = Vec::new();
    for position in positions(&**files)?.into_iter().rev() {
        if position < log_first {
            break;
        }
        match open(&**files, position).and_then(verified) {
            Ok(checkpoint) => {
                return Ok(Newest {
                    checkpoint: Some(checkpoint),
                    damaged,
                });
            }
            Err(error) if error.reason == "LOG_CORRUPT" => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    match damaged.first() {
        Some(error) if log_first > 0 => Err(error.clone()),
        _ => Ok(Newest {
            checkpoint: None,
            damaged,
        }),
    }
}

impl Checkpoint {
    /// Its parts in the order in which they were written.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            checkpoint: self,
            salt: None,
            offset: header::BYTES as u64,
            index: 0,
            has_ended: false,
        }
    }

    fn corrupt(&self, offset: u64, what: impl std::fmt::Display) -> Error {
        corrupt(&self.path, offset, what)
    }

    fn length(&self) -> Result<u64> {
        self.handle
            .length()
            .map_err(|error| Error::io(&self.path, &error))
    }

    /// Fills the buffer from `offset` on; a file that ends before that is damaged.
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let filled = self
            .handle
            .read_at(buffer, offset)
            .map_err(|error| Error::io(&self.path, &error))?;
        if filled < buffer.len() {
            return Err(self.corrupt(offset + filled as u64, "the file ends here"));
        }
        Ok(())
    }
}

/// Iterates over the parts of a checkpoint; ends after the first error.
pub struct Parts<'a> {
    checkpoint: &'a Checkpoint,
    salt: Option<u64>,
    offset: u64,
    index: u64,
    has_ended: bool,
}

impl Parts<'_> {
    fn advance(&mut self) -> Result<Option<Part>> {
        let Self {
            checkpoint, offset, ..
        } = *self;
        let salt = match self.salt {
            Some(salt) => salt,
            None => *self.salt.insert(read_header(checkpoint)?),
        };
        let mut head = [0; PART_HEADER_BYTES];
        checkpoint.read(&mut head, offset)?;
        let [l0, l1, l2, l3, l4, l5, l6, l7, c0, c1, c2, c3, k0, k1, ..] = head;
        let length = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        // The length is checked before anything of that length is allocated.
        let rest = checkpoint
            .length()?
            .saturating_sub(offset + PART_HEADER_BYTES as u64);
        if length > rest.min(PART_BYTES_MAX) {
            let what = format!(
                "a part of {length} bytes; {rest} are left, and none has more than {PART_BYTES_MAX}"
            );
            return Err(checkpoint.corrupt(offset, what));
        }
        let mut payload = vec![0; (length as usize).next_multiple_of(record::ALIGNMENT)];
        checkpoint.read(&mut payload, offset + PART_HEADER_BYTES as u64)?;
        if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(salt, self.index, &head, &payload) {
            return Err(checkpoint.corrupt(offset, "the checksum of the part does not fit"));
        }
        self.offset += (PART_HEADER_BYTES + payload.len()) as u64;
        payload.truncate(length as usize);
        let kind = u16::from_le_bytes([k0, k1]);
        if kind == KIND_END {
            self.check_end(offset, &payload)?;
            return Ok(None);
        }
        self.index += 1;
        Ok(Some(Part { kind, payload }))
    }

    fn check_end(&self, offset: u64, payload: &[u8]) -> Result<()> {
        if payload != self.index.to_le_bytes() {
            let what = format!(
                "the end does not say that {} parts came before it",
                self.index
            );
            return Err(self.checkpoint.corrupt(offset, what));
        }
        if self.checkpoint.length()? != self.offset {
            return Err(self.checkpoint.corrupt(self.offset, "bytes follow the end"));
        }
        Ok(())
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let part = self.advance().transpose();
        self.has_ended = !matches!(part, Some(Ok(_)));
        part
    }
}

fn read_header(checkpoint: &Checkpoint) -> Result<u64> {
    let mut bytes = [0; header::BYTES];
    checkpoint.read(&mut bytes, 0)?;
    header::parse(&bytes, MAGIC, checkpoint.position).map_err(|what| checkpoint.corrupt(0, what))
}

fn open(files: &dyn Files, position: u64) -> Result<Checkpoint> {
    let name = name_of(position);
    let path = path_of(files, &name);
    let handle = files
        .open_to_read(&name)
        .map_err(|error| Error::io(&path, &error))?;
    Ok(Checkpoint {
        position,
        handle,
        path,
    })
}

/// Reads all of a checkpoint once before any of it is used.
fn verified(checkpoint: Checkpoint) -> Result<Checkpoint> {
    for part in checkpoint.parts() {
        part?;
    }
    Ok(checkpoint)
}

fn write_aside(
    files: &dyn Files,
    name: &str,
    position: u64,
    parts: impl IntoIterator<Item = Result<(u16, Vec<u8>)>>,
) -> Result<()> {
    let path = path_of(files, name);
    let failed = |error: std::io::Error| Error::io(&path, &error);
    let handle = files.create(name).map_err(failed)?;
    let salt = files.salt();
    let mut offset = 0;
    let mut put = |bytes: &[u8]| {
        handle.write_at(bytes, offset).map_err(failed)?;
        offset += bytes.len() as u64;
        Ok::<(), Error>(())
    };
    put(&header::encode(MAGIC, salt, position))?;
    let mut index = 0;
    for part in parts {
        let (kind, payload) = part?;
        put_part(&mut put, salt, index, kind, payload)?;
        index += 1;
    }
    put_part(
        &mut put,
        salt,
        index,
        KIND_END,
        index.to_le_bytes().to_vec(),
    )?;
    handle.sync_data().map_err(failed)
}

fn put_part(
    put: &mut impl FnMut(&[u8]) -> Result<()>,
    salt: u64,
    index: u64,
    kind: u16,
    mut payload: Vec<u8>,
) -> Result<()> {
    let mut head = [0; PART_HEADER_BYTES];
    head[..8].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    head[12..14].copy_from_slice(&kind.to_le_bytes());
    payload.resize(payload.len().next_multiple_of(record::ALIGNMENT), 0);
    let checksum = checksum(salt, index, &head, &payload);
    head[8..12].copy_from_slice(&checksum.to_le_bytes());
    put(&head)?;
    put(&payload)
}

fn checksum(salt: u64, index: u64, head: &[u8; PART_HEADER_BYTES], payload: &[u8]) -> u32 {
    [
        &salt.to_le_bytes()[..],
        &index.to_le_bytes(),
        &head[..8],
        &head[12..],
        payload,
    ]
    .into_iter()
    .fold(0, crc32c::crc32c_append)
}

fn name_of(position: u64) -> String {
    format!("{position:020}{SUFFIX}")
}

fn list(files: &dyn Files) -> Result<Vec<String>> {
    files
        .list()
        .map_err(|error| Error::io(files.directory(), &error))
}

fn remove_all(files: &dyn Files, is_old: impl Fn(&str) -> bool) -> Result<()> {
    for name in list(files)?.iter().filter(|name| is_old(name)) {
        files
            .remove(name)
            .map_err(|error| Error::io(path_of(files, name), &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::DiskFiles;

    fn part(kind: u16, bytes: usize) -> (u16, Vec<u8>) {
        (kind, vec![kind as u8 + 1; bytes])
    }

    fn read(checkpoint: &Checkpoint) -> Vec<(u16, Vec<u8>)> {
        let parts = checkpoint.parts().map(Result::unwrap);
        parts.map(|part| (part.kind, part.payload)).collect()
    }

    #[test]
    fn the_newest_of_two_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        assert!(newest(&files, 0).unwrap().checkpoint.is_none());
        for position in [5, 9, 700] {
            let parts = [part(1, 0), part(2, 17), part(1, position as usize)];
            write(&*files, position, parts.clone()).unwrap();
            let found = newest(&files, 0).unwrap();
            assert!(found.damaged.is_empty());
            let checkpoint = found.checkpoint.unwrap();
            assert_eq!(checkpoint.position, position);
            assert_eq!(read(&checkpoint), parts);
        }
        assert_eq!(positions(&*files).unwrap(), [9, 700]);
        write(&*files, 700, []).unwrap();
        let again = newest(&files, 700).unwrap().checkpoint.unwrap();
        assert_eq!(read(&again), []);
    }

    #[test]
    fn one_that_was_never_finished_is_neither_used_nor_kept() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let aside = directory.path().join("00000000000000000009.checkpoint.new");
        std::fs::write(&aside, b"half").unwrap();
        assert!(newest(&files, 0).unwrap().checkpoint.is_none());
        write(&*files, 7, [part(1, 3)]).unwrap();
        assert!(!aside.exists());
    }

    #[test]
    fn a_damaged_one_gives_way_only_to_one_that_the_log_reaches_back_to() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(DiskFiles::open(directory.path()).unwrap());
        write(&*files, 5, [part(1, 100)]).unwrap();
        write(&*files, 9, [part(1, 100)]).unwrap();
        let path = directory.path().join(name_of(9));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 4;
        std::fs::write(&path, bytes).unwrap();

        let found = newest(&files, 5).unwrap();
        assert_eq!(found.checkpoint.unwrap().position, 5);
        let [error] = &found.damaged[..] else {
            panic!("{:?}", found.damaged)
        };
        assert_eq!(error.reason, "LOG_CORRUPT");
        assert!(error.message.contains("damaged at byte 64"), "{error}");
        assert_eq!(newest(&files, 6).err().unwrap().reason, "LOG_CORRUPT");

        std::fs::remove_file(directory.path().join(name_of(5))).unwrap();
        let found = newest(&files, 0).unwrap();
        assert!(found.checkpoint.is_none() && found.damaged.len() == 1);
        assert_eq!(newest(&files, 1).err().unwrap().reason, "LOG_CORRUPT");
    }
}
