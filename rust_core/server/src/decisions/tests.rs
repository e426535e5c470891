//! A queue that is full, and a disk that fails: nobody waits, and every decision is counted.

#[path = "../../../engine/tests/support/mod.rs"]
mod snapshots;

use std::io;
use std::sync::{Condvar, Mutex};

use promosvc_engine::decision::RecommendRequest;
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;
use tempfile::TempDir;

use super::*;
use crate::storage::{DiskFiles, FileHandle, Files, LogLock};

/// What the disk does with a write.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Writes,
    /// Every write waits until it is over.
    Stands,
    Fails,
}

/// A disk with a mood.
struct MoodyDisk {
    disk: DiskFiles,
    gate: Arc<Gate>,
}

struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

struct GateState {
    mood: Mood,
    /// A write waits.
    is_waiting: bool,
}

struct MoodyFile {
    file: Box<dyn FileHandle>,
    gate: Arc<Gate>,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(GateState {
                mood: Mood::Writes,
                is_waiting: false,
            }),
            changed: Condvar::new(),
        })
    }

    fn turn(&self, mood: Mood) {
        self.state.lock().expect("the gate").mood = mood;
        self.changed.notify_all();
    }

    fn wait_for_a_writer(&self) {
        let state = self.state.lock().expect("the gate");
        let _waited = self
            .changed
            .wait_while(state, |state| !state.is_waiting)
            .expect("the gate");
    }

    fn pass(&self) -> io::Result<()> {
        let mut state = self.state.lock().expect("the gate");
        while state.mood == Mood::Stands {
            state.is_waiting = true;
            self.changed.notify_all();
            state = self.changed.wait(state).expect("the gate");
        }
        match state.mood {
            Mood::Fails => Err(io::ErrorKind::StorageFull.into()),
            Mood::Writes | Mood::Stands => Ok(()),
        }
    }
}

impl MoodyDisk {
    fn file(&self, file: io::Result<Box<dyn FileHandle>>) -> io::Result<Box<dyn FileHandle>> {
        Ok(Box::new(MoodyFile {
            file: file?,
            gate: Arc::clone(&self.gate),
        }))
    }
}

impl Files for MoodyDisk {
    fn directory(&self) -> String {
        self.disk.directory()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        self.file(self.disk.create(name))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        self.file(self.disk.open(name))
    }
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn FileHandle>> {
        self.file(self.disk.open_to_read(name))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn sync_directory(&self) -> io::Result<()> {
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
        self.gate.pass()?;
        self.file.write_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A decision log on a moody disk, and an engine to decide with.
struct Bench {
    root: TempDir,
    gate: Arc<Gate>,
    log: DecisionLog,
    engine: Engine,
}

fn bench(queue_records_max: usize) -> Bench {
    let root = tempfile::tempdir().expect("a directory");
    let directory = snapshots::random::example().write(root.path());
    let settings: EngineSettings =
        serde_json::from_value(serde_json::json!({"placements": {"default": {
            "page_size": 3, "sources": [], "category_cap": 0, "include_reasons": true,
            "seen": {"hide_seen": true, "event_names": ["purchase"], "window_days": 0}
        }}}))
        .expect("settings");
    let engine = Engine::new(settings.clone()).expect("an engine");
    engine.publish(Arc::new(Snapshot::open(&directory).expect("opens")));

    let config = DecisionsConfig {
        directory: root.path().join("decisions"),
        sample_rate: 1.0,
        queue_records_max,
        segment_bytes: 1 << 20,
        retention_hours: 1,
    };
    let (counts, gate) = (Arc::new(Counts::default()), Gate::new());
    let disk = MoodyDisk {
        disk: DiskFiles::create(&config.directory).expect("creates"),
        gate: Arc::clone(&gate),
    };
    let lock = LogLock::acquire(&config.directory).expect("locks");
    let writer = Writer::on(Arc::new(disk), lock, &config, Arc::clone(&counts)).expect("opens");
    let log = DecisionLog::start(writer, counts, &config, &settings.placements).expect("starts");
    Bench {
        root,
        gate,
        log,
        engine,
    }
}

impl Bench {
    fn keep(&self, request: &[u8]) {
        let (answer, trace) = self
            .engine
            .recommend_traced("default", &RecommendRequest::default(), TimeUs(0))
            .expect("an answer");
        self.log.keep(request, "default", answer, trace);
    }

    /// Ends the log: written, dropped, and records in the log.
    fn end(self) -> (u64, u64, u64) {
        self.gate.turn(Mood::Writes);
        let counts = Arc::clone(&self.log.counts);
        drop(self.log);
        let reader = DecisionReader::open(&self.root.path().join("decisions")).expect("opens");
        (
            counts.written(),
            counts.dropped(),
            reader.end().expect("reads"),
        )
    }
}

#[test]
fn a_full_queue_drops_and_counts() {
    let bench = bench(2);
    bench.gate.turn(Mood::Stands);
    bench.keep(&[]);
    bench.gate.wait_for_a_writer();
    // One is being written, two wait, and the rest find no place.
    for _ in 0..7 {
        bench.keep(&[]);
    }
    assert_eq!(bench.log.status().dropped, 5);
    assert_eq!(bench.end(), (3, 5, 3));
}

#[test]
fn a_queue_of_large_decisions_is_bounded_in_bytes() {
    let bench = bench(1_000);
    bench.gate.turn(Mood::Stands);
    bench.keep(&[]);
    bench.gate.wait_for_a_writer();
    // Fifteen requests of 4 MiB fit into 64 MiB with what else a decision has; the sixteenth does not.
    let request = vec![0; 4 << 20];
    for _ in 0..20 {
        bench.keep(&request);
    }
    assert_eq!(bench.log.status().dropped, 5);
    assert_eq!(bench.end(), (16, 5, 16));
}

#[test]
fn after_a_failed_disk_everything_is_dropped_and_counted() {
    let bench = bench(1_000);
    bench.keep(&[]);
    while bench.log.counts.written() < 1 {
        std::thread::yield_now();
    }
    bench.gate.turn(Mood::Fails);
    for _ in 0..3 {
        bench.keep(&[]);
    }
    while bench.log.counts.dropped() < 3 {
        std::thread::yield_now();
    }
    // The disk is well again, and the log stays closed until it is opened anew.
    bench.gate.turn(Mood::Writes);
    bench.keep(&[]);
    assert_eq!(bench.end(), (1, 4, 1));
}
