//! A disk that does what disks may do to whatever was not synced.
//!
//! Processes see the cache; the disk has what was synced, and of the rest what chance gives it. Files: a sector of 512
//! bytes is written whole, but at any time, so that after a power failure it holds what it was after any number of the
//! writes to it, whatever became of its neighbours; the length may be any that the file has had since. Names: each
//! creation, removal and rename that was not synced is kept or lost by itself. A failed sync may have written some
//! sectors; the others it forgets, so that the next sync passes them over although the cache shows them.
//!
//! One thing may be planned for the n-th operation: an error of that operation, or the end of the process or of power,
//! after which nothing works until `restart`. The seed repeats all of it.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use promosvc_server::storage::{FileHandle, Files};

use super::seeded::Seeded;

const SECTOR: usize = 512;

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It fails; a write has got some way.
    Failure,
    /// No file can grow from here on, until a restart.
    FullDisk,
    /// The process ends.
    Kill,
    /// The power fails.
    PowerFailure,
}

/// A simulated disk; clones share it.
#[derive(Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

struct State {
    random: Seeded,
    inodes: Vec<Inode>,
    /// Names as processes see them.
    names: BTreeMap<String, usize>,
    names_on_disk: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    operations: u64,
    plan: Option<(u64, Mishap)>,
    is_full: bool,
    has_ended: bool,
    has_failed: bool,
}

#[derive(Default)]
struct Inode {
    cache: Vec<u8>,
    disk: Vec<u8>,
    writes: Vec<Write>,
}

struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

enum NameChange {
    Create(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Seeded::new(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            names_on_disk: BTreeMap::new(),
            name_changes: Vec::new(),
            operations: 0,
            plan: None,
            is_full: false,
            has_ended: false,
            has_failed: false,
        })))
    }

    /// Plans a mishap after so many more operations.
    pub(crate) fn plan(&self, after: u64, mishap: Mishap) {
        let mut state = self.lock();
        state.plan = Some((state.operations + after, mishap));
    }

    /// Whether the process has ended, and nothing works.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// Whether a planned error has happened since the last restart.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    /// A new process; after a power failure it finds what the disk has.
    pub(crate) fn restart(&self, has_power_failed: bool) {
        let state = &mut *self.lock();
        state.plan = None;
        state.is_full = false;
        state.has_ended = false;
        state.has_failed = false;
        if !has_power_failed {
            return;
        }
        for inode in &mut state.inodes {
            inode.lose_power(&mut state.random);
        }
        let percent = state.random.pick(&[0, 50, 90, 100]);
        for change in std::mem::take(&mut state.name_changes) {
            if state.random.percent(percent) {
                change.apply(&mut state.names_on_disk);
            }
        }
        state.names = state.names_on_disk.clone();
    }

    /// Bytes of a file as processes see them.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = *state.names.get(name)?;
        Some(state.inodes[inode].cache.clone())
    }

    /// Replaces the bytes of a file, on the disk too: damage.
    pub(crate) fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        let state = &mut *self.lock();
        if let Some(&inode) = state.names.get(name) {
            state.inodes[inode] = Inode {
                cache: bytes.clone(),
                disk: bytes,
                writes: Vec::new(),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation that changes something; the mishap that is planned for it.
    fn operate(&mut self) -> Result<Option<Mishap>> {
        self.check()?;
        self.operations += 1;
        match self.plan {
            Some((at, mishap)) if at < self.operations => {
                self.plan = None;
                match mishap {
                    Mishap::Failure => self.has_failed = true,
                    Mishap::FullDisk => self.is_full = true,
                    Mishap::Kill | Mishap::PowerFailure => self.has_ended = true,
                }
                Ok(Some(mishap))
            }
            _ => Ok(None),
        }
    }

    fn check(&self) -> Result<()> {
        if self.has_ended {
            return Err(Error::other("the process has ended"));
        }
        Ok(())
    }

    fn inode(&self, name: &str) -> Result<usize> {
        self.check()?;
        let inode = self.names.get(name).copied();
        inode.ok_or_else(|| Error::from(ErrorKind::NotFound))
    }

    fn change_names(&mut self, change: NameChange) -> Result<()> {
        let mishap = self.operate()?;
        let is_lost = match mishap {
            None | Some(Mishap::FullDisk) => false,
            Some(Mishap::Failure) => true,
            Some(Mishap::Kill | Mishap::PowerFailure) => self.random.percent(50),
        };
        if !is_lost {
            change.apply(&mut self.names);
            self.name_changes.push(change);
        }
        outcome(mishap)
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.cache, offset, bytes);
        self.writes.push(Write {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    fn sync(&mut self) {
        // Not the whole cache: what an earlier sync failed to write is forgotten.
        for write in self.writes.drain(..) {
            put(&mut self.disk, write.offset, &write.bytes);
        }
    }

    /// Writes some sectors and forgets the others.
    fn forget(&mut self, random: &mut Seeded) {
        let percent = random.pick(&[0, 50, 90, 100]);
        let writes = std::mem::take(&mut self.writes);
        let mut lengths = vec![self.disk.len()];
        for write in &writes {
            let end = write.offset + write.bytes.len();
            lengths.push(end.max(*lengths.last().unwrap_or(&0)));
        }
        let length = match random.percent(percent) {
            true => *lengths.last().unwrap_or(&0),
            false => random.pick(&lengths),
        };
        // How many of the writes to it each sector has seen.
        let mut seen: BTreeMap<usize, u64> = BTreeMap::new();
        for (index, write) in writes.iter().enumerate() {
            let end = write.offset + write.bytes.len();
            let mut at = write.offset;
            while at < end {
                let sector = at / SECTOR;
                let stop = end.min((sector + 1) * SECTOR);
                let limit = *seen
                    .entry(sector)
                    .or_insert_with(|| match random.percent(percent) {
                        true => u64::MAX,
                        false => random.below(writes.len() as u64 + 1),
                    });
                if (index as u64) < limit {
                    let bytes = &write.bytes[at - write.offset..stop - write.offset];
                    put(&mut self.disk, at, bytes);
                }
                at = stop;
            }
        }
        self.disk.resize(length, 0);
    }

    fn lose_power(&mut self, random: &mut Seeded) {
        self.forget(random);
        self.cache.clone_from(&self.disk);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
            NameChange::Rename(from, to, inode) => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn outcome(mishap: Option<Mishap>) -> Result<()> {
    match mishap {
        None | Some(Mishap::FullDisk) => Ok(()),
        Some(Mishap::Failure) => Err(Error::other("planned failure")),
        Some(Mishap::Kill | Mishap::PowerFailure) => Err(Error::other("the process has ended")),
    }
}

impl Files for SimulatedDisk {
    fn directory(&self) -> String {
        "simulated".to_owned()
    }

    fn list(&self) -> Result<Vec<String>> {
        let state = self.lock();
        state.check()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Box<dyn FileHandle>> {
        let state = &mut *self.lock();
        if state.names.contains_key(name) {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(NameChange::Create(name.to_owned(), inode))?;
        Ok(Box::new(SimulatedFile(self.clone(), inode)))
    }

    fn open(&self, name: &str) -> Result<Box<dyn FileHandle>> {
        let inode = self.lock().inode(name)?;
        Ok(Box::new(SimulatedFile(self.clone(), inode)))
    }

    fn open_to_read(&self, name: &str) -> Result<Box<dyn FileHandle>> {
        self.open(name)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.lock();
        state.inode(name)?;
        state.change_names(NameChange::Remove(name.to_owned()))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.lock();
        let inode = state.inode(from)?;
        state.change_names(NameChange::Rename(from.to_owned(), to.to_owned(), inode))
    }

    fn sync_directory(&self) -> Result<()> {
        let state = &mut *self.lock();
        let mishap = state.operate()?;
        if outcome(mishap).is_ok() {
            state.names_on_disk = state.names.clone();
            state.name_changes.clear();
        }
        outcome(mishap)
    }

    fn salt(&self) -> u64 {
        self.lock().random.next()
    }
}

struct SimulatedFile(SimulatedDisk, usize);

impl FileHandle for SimulatedFile {
    fn length(&self) -> Result<u64> {
        let state = self.0.lock();
        state.check()?;
        Ok(state.inodes[self.1].cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let state = self.0.lock();
        state.check()?;
        let cache = &state.inodes[self.1].cache;
        let bytes = cache.get(offset as usize..).unwrap_or(&[]);
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let state = &mut *self.0.lock();
        let mishap = state.operate()?;
        let inode = &mut state.inodes[self.1];
        let offset = offset as usize;
        if state.is_full && offset + bytes.len() > inode.cache.len() {
            let room = inode.cache.len().saturating_sub(offset);
            inode.write(offset, &bytes[..room.min(bytes.len())]);
            state.has_failed = true;
            return Err(Error::from(ErrorKind::StorageFull));
        }
        let count = match outcome(mishap) {
            Ok(()) => bytes.len(),
            Err(_) => state.random.below(bytes.len() as u64 + 1) as usize,
        };
        inode.write(offset, &bytes[..count]);
        outcome(mishap)
    }

    fn sync_data(&self) -> Result<()> {
        let state = &mut *self.0.lock();
        let mishap = state.operate()?;
        let inode = &mut state.inodes[self.1];
        match mishap {
            None | Some(Mishap::FullDisk) => inode.sync(),
            Some(Mishap::Failure) => inode.forget(&mut state.random),
            // A power failure takes what it takes, at the restart; a process that ends here may have synced.
            Some(Mishap::PowerFailure) => {}
            Some(Mishap::Kill) if state.random.percent(50) => inode.sync(),
            Some(Mishap::Kill) => {}
        }
        outcome(mishap)
    }
}
