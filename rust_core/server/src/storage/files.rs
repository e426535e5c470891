//! The file system as the log sees it: one flat directory.
//!
//! Everything that a disk may do wrong goes through here, so that a simulated disk can stand in: it may lose, tear and
//! reorder whatever was not synced, run full, or fail a sync. Names are single components; errors are the system's,
//! and the caller says which file they are about.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use promosvc_engine::error::{Error, Result};

/// A directory of files.
pub trait Files: Send + Sync {
    /// What error messages call the directory.
    fn directory(&self) -> String;
    /// Names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file; one that exists already is an error.
    fn create(&self, name: &str) -> io::Result<Box<dyn FileHandle>>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn FileHandle>>;
    /// Opens a file for reading.
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn FileHandle>>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Renames a file; one that had the new name is replaced at once.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Returns when creations, removals and renames are durable.
    fn sync_directory(&self) -> io::Result<()>;
    /// A number that nobody can guess.
    fn salt(&self) -> u64;
}

/// An open file.
pub trait FileHandle: Send + Sync {
    /// Bytes in the file.
    fn length(&self) -> io::Result<u64>;
    /// Reads what there is from `offset` on, up to the whole buffer; less only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at `offset`; the file grows as needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when what was written, and the length, are durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// A real directory.
#[derive(Debug)]
pub struct DiskFiles {
    path: PathBuf,
}

impl DiskFiles {
    /// A directory that is there already.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let data = fs::metadata(&path).map_err(|error| Error::io(path.display(), &error))?;
        if !data.is_dir() {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(Error::io(path.display(), &error));
        }
        Ok(Self { path })
    }

    /// A directory, made durably where it is missing.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let create = || {
            fs::create_dir_all(&path)?;
            match path.parent() {
                Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
                _ => Ok(()),
            }
        };
        create().map_err(|error| Error::io(path.display(), &error))?;
        Self::open(path)
    }
}

impl Files for DiskFiles {
    fn directory(&self) -> String {
        self.path.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        Ok(Box::new(DiskFile(options.open(self.path.join(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        Ok(Box::new(DiskFile(options.open(self.path.join(name))?)))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        Ok(Box::new(DiskFile(File::open(self.path.join(name))?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn salt(&self) -> u64 {
        // The standard library's hasher is keyed by the system's randomness.
        use std::hash::{BuildHasher, Hasher, RandomState};
        RandomState::new().build_hasher().finish()
    }
}

struct DiskFile(File);

impl FileHandle for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .0
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
