//! Who writes: `LOCK`, held by the one writer of a directory for as long as it lives.
//!
//! The lock is the system's (`flock`), so it ends with its process however that dies; the text in the file is the
//! PID of the last holder, for error messages. Readers need no lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use promosvc_engine::error::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

const NAME: &str = "LOCK";
/// Somebody who asks who holds the lock takes it for a moment; a writer tries again that often.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// The right to write a directory; dropping it gives it back.
#[derive(Debug)]
pub struct LogLock {
    _file: File,
}

impl LogLock {
    /// Takes the lock, or names the process that has it.
    pub fn acquire(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let failed = |error: &io::Error| Error::io(path.display(), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed(&error))?;
        for attempt in 1.. {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if attempt < ATTEMPTS => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => return Err(held(directory, written_pid(&mut file))),
                Err(error) => return Err(failed(&error.into())),
            }
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|error| failed(&error))?;
        Ok(Self { _file: file })
    }

    /// PID of the process that writes the directory now; `None` where nobody does. 0 when it has not said yet.
    pub fn holder(directory: &Path) -> Result<Option<u32>> {
        let path = directory.join(NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path.display(), &error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(Errno::WOULDBLOCK) => Ok(Some(written_pid(&mut file).unwrap_or(0))),
            Err(error) => Err(Error::io(path.display(), &error.into())),
        }
    }
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    // A PID has at most 10 digits; whatever else the file holds is not read.
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn held(directory: &Path, pid: Option<u32>) -> Error {
    let who = pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    );
    let directory = directory.display();
    Error::new(
        ErrorKind::FailedPrecondition,
        "LOG_LOCKED",
        format!("{directory} is being written by {who}; stop it first, or use another directory"),
    )
    .with("directory", directory)
    .with("pid", pid.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(LogLock::holder(directory.path()).unwrap(), None);
        let first = LogLock::acquire(directory.path()).unwrap();
        let pid = std::process::id();
        assert_eq!(LogLock::holder(directory.path()).unwrap(), Some(pid));
        let error = LogLock::acquire(directory.path()).unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::FailedPrecondition, "LOG_LOCKED")
        );
        assert!(error.message.contains(&format!("process {pid}")), "{error}");
        drop(first);
        assert_eq!(LogLock::holder(directory.path()).unwrap(), None);
        LogLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_file_with_other_text_is_no_reason_to_fail() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(NAME), [0xff; 100]).unwrap();
        let _lock = LogLock::acquire(directory.path()).unwrap();
        let pid = LogLock::holder(directory.path()).unwrap();
        assert_eq!(pid, Some(std::process::id()));
    }
}
