//! A real directory that can be told to fail, or to take its time.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use promosvc_server::storage::{DiskFiles, FileHandle, Files};

/// What the disk does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Good,
    /// Writes end with this system error (28 is ENOSPC).
    FailsWrites(i32),
    /// Syncs end with this system error (5 is EIO).
    FailsSyncs(i32),
    /// Syncs wait until the mood changes.
    Holds,
}

/// The switch of a disk.
#[derive(Debug, Default)]
pub struct Control {
    state: Mutex<(Mood, usize)>,
    changed: Condvar,
}

impl Control {
    pub fn set(&self, mood: Mood) {
        self.state.lock().unwrap().0 = mood;
        self.changed.notify_all();
    }

    /// Waits until so many syncs are held at once.
    pub fn wait_until_held(&self, syncs: usize) {
        let state = self.state.lock().unwrap();
        let held = self
            .changed
            .wait_timeout_while(state, super::PATIENCE, |(_, held)| *held < syncs)
            .unwrap();
        assert!(!held.1.timed_out(), "no sync was held");
    }

    fn write(&self) -> io::Result<()> {
        match self.state.lock().unwrap().0 {
            Mood::FailsWrites(code) => Err(io::Error::from_raw_os_error(code)),
            Mood::Good | Mood::FailsSyncs(_) | Mood::Holds => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        while state.0 == Mood::Holds {
            state = self.changed.wait(state).unwrap();
        }
        state.1 -= 1;
        match state.0 {
            Mood::FailsSyncs(code) => Err(io::Error::from_raw_os_error(code)),
            Mood::Good | Mood::FailsWrites(_) | Mood::Holds => Ok(()),
        }
    }
}

/// The directory.
pub struct MoodyFiles {
    disk: DiskFiles,
    control: Arc<Control>,
}

struct MoodyFile {
    file: Box<dyn FileHandle>,
    control: Arc<Control>,
}

impl MoodyFiles {
    /// A directory that is made where it is missing, and its switch.
    pub fn create(path: &Path) -> (Arc<dyn Files>, Arc<Control>) {
        let control = Arc::new(Control::default());
        let files = Self {
            disk: DiskFiles::create(path).expect("a directory"),
            control: Arc::clone(&control),
        };
        (Arc::new(files), control)
    }

    fn wrap(&self, file: Box<dyn FileHandle>) -> Box<dyn FileHandle> {
        Box::new(MoodyFile {
            file,
            control: Arc::clone(&self.control),
        })
    }
}

impl Files for MoodyFiles {
    fn directory(&self) -> String {
        self.disk.directory()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        self.control.write()?;
        Ok(self.wrap(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        Ok(self.wrap(self.disk.open(name)?))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        self.disk.open_to_read(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.control.sync()?;
        self.disk.sync_directory()
    }

    fn salt(&self) -> u64 {
        self.disk.salt()
    }
}

impl FileHandle for MoodyFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.control.write()?;
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.control.sync()?;
        self.file.sync_data()
    }
}
