//! Reads a file whole, if it is what the manifest says: length first, then SHA-256.
//!
//! The length is checked before anything is allocated, so that a wrong file cannot ask for memory.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use arrow_buffer::{Buffer, MutableBuffer};
use sha2::{Digest, Sha256};

use super::manifest::FileEntry;
use crate::error::{Error, Result};

/// Longest manifest.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// Reads a listed file into memory aligned for every column type. `name` is its path inside `dir`.
pub(super) fn read_listed(dir: &Path, name: &str, entry: &FileEntry) -> Result<Buffer> {
    let (mut file, bytes) = open_regular(dir, name)?;
    if bytes != entry.bytes {
        return Err(wrong_length(name, bytes, entry.bytes));
    }
    let length = usize::try_from(bytes).map_err(|_| wrong_length(name, bytes, entry.bytes))?;
    let mut memory = MutableBuffer::from_len_zeroed(length);
    read_all(&mut file, dir, name, memory.as_slice_mut())?;
    let found = hex_sha256(&memory);
    if found != entry.sha256 {
        return Err(Error::data_loss(
            name,
            "CHECKSUM_MISMATCH",
            format!("its SHA-256 is {found}; the manifest says {}", entry.sha256),
        ));
    }
    Ok(memory.into())
}

/// Reads the manifest, which no list vouches for but the directory's name.
pub(super) fn read_manifest(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let (mut file, bytes) = open_regular(dir, name)?;
    if bytes > MANIFEST_BYTES_MAX {
        return Err(wrong_length(name, bytes, MANIFEST_BYTES_MAX));
    }
    let mut memory = vec![0; bytes as usize];
    read_all(&mut file, dir, name, &mut memory)?;
    Ok(memory)
}

/// SHA-256 in lower-case hex.
pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn open_regular(dir: &Path, name: &str) -> Result<(File, u64)> {
    let path = dir.join(name);
    let io_error = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::data_loss(name, "FILE_MISSING", "it does not exist"),
        _ => Error::io(path.display(), &error),
    };
    let metadata = std::fs::symlink_metadata(&path).map_err(io_error)?;
    if !metadata.is_file() {
        return Err(Error::data_loss(
            name,
            "NOT_A_FILE",
            "it is not a regular file",
        ));
    }
    let file = File::open(&path).map_err(io_error)?;
    let bytes = file.metadata().map_err(io_error)?.len();
    Ok((file, bytes))
}

fn read_all(file: &mut File, dir: &Path, name: &str, memory: &mut [u8]) -> Result<()> {
    file.read_exact(memory).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::data_loss(
            name,
            "FILE_TRUNCATED",
            "it became shorter while it was read",
        ),
        _ => Error::io(dir.join(name).display(), &error),
    })
}

fn wrong_length(name: &str, found: u64, expected: u64) -> Error {
    Error::data_loss(
        name,
        "LENGTH_MISMATCH",
        format!("it has {found} bytes; {expected} were expected"),
    )
    .with("value", found)
    .with("expected", expected)
}
