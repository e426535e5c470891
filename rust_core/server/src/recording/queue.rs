//! Commands that wait for the sequencer, bounded by number and by bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use promosvc_engine::error::{Error, ErrorKind, Result};

use super::command::Command;

/// Memory of commands that wait: a dozen of the largest, far more of the usual.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries that are made durable at once: what a disk takes as one write without delaying those behind it.
const GROUP_ENTRIES_MAX: usize = 20_000;
/// Bytes of them, for the same reason; also far below the largest record of the log.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// When a shed write may come back: some groups later.
const RETRY_AFTER_MS: u64 = 100;

/// Where commands wait.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    commands_max: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Command>,
    bytes: usize,
    is_closed: bool,
    /// The sequencer sleeps; waking nobody costs a system call for each command.
    is_awaited: bool,
}

impl Queue {
    /// Takes up to `commands_max` commands.
    pub(super) fn new(commands_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            commands_max,
        }
    }

    /// Queues a command, or sheds it (`RECORDING_OVERLOADED`), or refuses it because the server stops (`STOPPING`).
    pub(super) fn push(&self, command: Command) -> Result<()> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "STOPPING",
                "the server stops and records nothing more; send it again to the next one",
            ));
        }
        let bytes = command.bytes();
        if state.waiting.len() >= self.commands_max
            || (!state.waiting.is_empty() && state.bytes + bytes > BYTES_MAX)
        {
            return Err(self.overloaded(state.waiting.len(), state.bytes));
        }
        state.bytes += bytes;
        state.waiting.push_back(command);
        if std::mem::take(&mut state.is_awaited) {
            drop(state);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for commands and takes those that make one group; `false` once the queue is closed and empty.
    pub(super) fn take_group(&self, group: &mut Vec<Command>) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_closed {
                return false;
            }
            state.is_awaited = true;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (mut entries, mut bytes) = (0, 0);
        while let Some(command) = state.waiting.front() {
            entries += command.entries();
            bytes += command.bytes();
            if !group.is_empty() && (entries > GROUP_ENTRIES_MAX || bytes > GROUP_BYTES_MAX) {
                break;
            }
            state.bytes -= command.bytes();
            group.extend(state.waiting.pop_front());
        }
        true
    }

    /// Takes nothing more; what waits is still given out.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Commands that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn overloaded(&self, commands: usize, bytes: usize) -> Error {
        Error {
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..Error::new(
                ErrorKind::Overloaded,
                "RECORDING_OVERLOADED",
                format!(
                    "{commands} writes with {bytes} bytes wait for the disk; the maximum is {} writes or {BYTES_MAX} \
                     bytes; come back in {RETRY_AFTER_MS} ms",
                    self.commands_max
                ),
            )
            .with("value", commands)
            .with("limit", self.commands_max)
            .with("bytes", bytes)
            .with("bytes_limit", BYTES_MAX)
            .with("retry_after_ms", RETRY_AFTER_MS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Work;
    use super::super::ticket::ticket;
    use super::super::upsert_items::CheckedItems;
    use super::*;

    fn command(bytes: usize) -> Command {
        Command {
            work: Work::Items(CheckedItems {
                request_id: String::new(),
                body_hash: [0; 16],
                facts: Vec::new(),
                entries: vec![0; bytes],
            }),
            deadline: None,
            reply: ticket().0,
        }
    }

    fn groups(queue: &Queue) -> Vec<Vec<usize>> {
        let mut groups = Vec::new();
        while queue.len() > 0 {
            let mut group = Vec::new();
            assert!(queue.take_group(&mut group));
            groups.push(group.iter().map(Command::bytes).collect());
        }
        groups
    }

    #[test]
    fn a_group_is_all_that_waits_up_to_a_bound() {
        let queue = Queue::new(10);
        let large = GROUP_BYTES_MAX + 1;
        for bytes in [1, GROUP_BYTES_MAX - 2, 1, 1, large, 2] {
            queue.push(command(bytes)).expect("room");
        }
        // One that is larger than a group is one by itself.
        assert_eq!(
            groups(&queue),
            [
                vec![1, GROUP_BYTES_MAX - 2, 1],
                vec![1],
                vec![large],
                vec![2]
            ]
        );
    }

    #[test]
    fn both_bounds_shed() {
        let queue = Queue::new(2);
        queue.push(command(1)).expect("the first");
        queue.push(command(1)).expect("the second");
        let error = queue.push(command(1)).expect_err("one too many");
        assert_eq!(
            (error.reason, error.retry_after_ms),
            ("RECORDING_OVERLOADED", Some(RETRY_AFTER_MS))
        );
        assert_eq!(groups(&queue), [[1, 1]]);

        // The first may have any size, or it could never come in.
        queue.push(command(BYTES_MAX + 1)).expect("an empty queue");
        queue.push(command(1)).expect_err("too many bytes");
        assert_eq!(groups(&queue).len(), 1);
        queue.push(command(1)).expect("room again");
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has() {
        let queue = Queue::new(2);
        queue.push(command(1)).expect("room");
        queue.close();
        assert_eq!(
            queue.push(command(1)).expect_err("closed").reason,
            "STOPPING"
        );
        assert_eq!(groups(&queue), [[1]]);
        assert!(!queue.take_group(&mut Vec::new()));
    }
}
