//! Files that leave out one sync, to prove that a test would notice.
//!
//! Which sync it is shows in what came before it in this life of the process. One of these is made for each life.

use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use promosvc_server::storage::{FileHandle, Files};

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Omission {
    /// The sync after an append.
    RecordSync,
    /// The sync of what was appended before, in an append.
    SyncBeforeAppend,
    /// The sync of a new segment's header.
    HeaderSync,
    /// The sync of the directory after a segment was made.
    SegmentNameSync,
    /// The sync of what recovery keeps and wipes.
    RecoverySync,
    /// The rewriting of what recovery keeps, before that sync.
    RecoveryRewrite,
    /// The sync of the directory at the end of recovery.
    RecoveryNameSync,
    /// The sync of a checkpoint.
    CheckpointSync,
    /// The sync of the directory after a checkpoint was renamed.
    CheckpointNameSync,
    /// The sync of the directory between the removals of two segments.
    TrimNameSync,
}

impl Omission {
    pub(crate) const ALL: [Omission; 10] = [
        Omission::RecordSync,
        Omission::SyncBeforeAppend,
        Omission::HeaderSync,
        Omission::SegmentNameSync,
        Omission::RecoverySync,
        Omission::RecoveryRewrite,
        Omission::RecoveryNameSync,
        Omission::CheckpointSync,
        Omission::CheckpointNameSync,
        Omission::TrimNameSync,
    ];
}

/// Wraps files for one life of a process.
pub(crate) struct Omitting {
    files: Arc<dyn Files>,
    omission: Omission,
    /// The directory sync that would come next.
    next: AtomicU8,
    has_recovered: AtomicBool,
    /// An append is under way, in this life's writer.
    pub(crate) is_appending: Arc<AtomicBool>,
}

impl Omitting {
    pub(crate) fn new(files: Arc<dyn Files>, omission: Omission) -> Self {
        Self {
            files,
            omission,
            next: AtomicU8::new(Omission::RecoveryNameSync as u8),
            has_recovered: AtomicBool::new(false),
            is_appending: Arc::default(),
        }
    }

    /// Notes a change of names, by the sync that follows it; recovery has one for all of its own.
    fn note(&self, follows: Omission) {
        if self.has_recovered.load(Ordering::Relaxed) {
            self.next.store(follows as u8, Ordering::Relaxed);
        }
    }

    fn wrap(&self, name: &str, handle: Box<dyn FileHandle>, is_new: bool) -> Box<dyn FileHandle> {
        if !name.ends_with(".log") && !name.ends_with(".new") {
            return handle;
        }
        Box::new(OmittingFile {
            handle,
            omission: self.omission,
            is_checkpoint: name.ends_with(".new"),
            is_new,
            is_first: AtomicBool::new(true),
            is_appending: Arc::clone(&self.is_appending),
        })
    }
}

impl Files for Omitting {
    fn directory(&self) -> String {
        self.files.directory()
    }

    fn list(&self) -> Result<Vec<String>> {
        self.files.list()
    }

    fn create(&self, name: &str) -> Result<Box<dyn FileHandle>> {
        if name.ends_with(".log") {
            self.note(Omission::SegmentNameSync);
        }
        Ok(self.wrap(name, self.files.create(name)?, true))
    }

    fn open(&self, name: &str) -> Result<Box<dyn FileHandle>> {
        Ok(self.wrap(name, self.files.open(name)?, false))
    }

    fn open_to_read(&self, name: &str) -> Result<Box<dyn FileHandle>> {
        self.files.open_to_read(name)
    }

    fn remove(&self, name: &str) -> Result<()> {
        if name.ends_with(".log") {
            self.note(Omission::TrimNameSync);
        }
        self.files.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.note(Omission::CheckpointNameSync);
        self.files.rename(from, to)
    }

    fn sync_directory(&self) -> Result<()> {
        self.has_recovered.store(true, Ordering::Relaxed);
        if self.next.load(Ordering::Relaxed) == self.omission as u8 {
            return Ok(());
        }
        self.files.sync_directory()
    }

    fn salt(&self) -> u64 {
        self.files.salt()
    }
}

struct OmittingFile {
    handle: Box<dyn FileHandle>,
    omission: Omission,
    is_checkpoint: bool,
    is_new: bool,
    /// Not synced yet in this life.
    is_first: AtomicBool,
    is_appending: Arc<AtomicBool>,
}

impl FileHandle for OmittingFile {
    fn length(&self) -> Result<u64> {
        self.handle.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.handle.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let is_recovery = !self.is_new && self.is_first.load(Ordering::Relaxed);
        let is_rewrite = is_recovery && bytes.iter().any(|&byte| byte != 0);
        if is_rewrite && self.omission == Omission::RecoveryRewrite {
            return Ok(());
        }
        self.handle.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        let is_first = self.is_first.swap(false, Ordering::Relaxed);
        let sync = match (self.is_checkpoint, is_first, self.is_new) {
            (true, _, _) => Omission::CheckpointSync,
            (false, false, _) if self.is_appending.load(Ordering::Relaxed) => {
                Omission::SyncBeforeAppend
            }
            (false, false, _) => Omission::RecordSync,
            (false, true, true) => Omission::HeaderSync,
            (false, true, false) => Omission::RecoverySync,
        };
        if sync == self.omission {
            return Ok(());
        }
        self.handle.sync_data()
    }
}
