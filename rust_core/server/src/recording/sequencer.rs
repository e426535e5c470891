//! The sequencer: the one thread that decides, in order, what is written to the event log.
//!
//! For each group of commands that wait: look at their deadlines, decide what of each is new (`plan`), append one record,
//! one fdatasync for all, let the memory and every reader know, release the tickets. Readers and windows learn of
//! nothing before it is durable, so that a checkpoint never holds an id whose event was lost.
//!
//! While it waits for the disk, commands gather and make the next group: that is all the batching there is, and no
//! write waits for a timer. After a failed append or sync nobody knows what is on the disk, so the log is closed for
//! writing until a restart has read it again; reads go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind};

use super::command::{Command, Work};
use super::entry;
use super::event_log::EventLog;
use super::memory::Memory;
use super::plan::Plan;
use super::queue::Queue;
use super::ticket::Outcome;
use crate::clock::Clock;
use crate::deadline;
use crate::storage::{KIND_EVENTS, RecordHead};

/// What the thread works with.
pub(super) struct Sequencer {
    pub(super) queue: Arc<Queue>,
    pub(super) log: Arc<EventLog>,
    pub(super) memory: Arc<Memory>,
    pub(super) clock: Arc<Clock>,
}

impl Sequencer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(self) {
        let mut group = Vec::new();
        let mut plan = Plan::default();
        while self.queue.take_group(&mut group) {
            let written = catch_unwind(AssertUnwindSafe(|| self.write(&mut group, &mut plan)));
            if written.is_err() {
                // Commands that were lost with it learn so by their tickets.
                self.log.fail(&Error::new(
                    ErrorKind::Internal,
                    "PANIC",
                    "writing failed by a defect of the program, whose output says where",
                ));
                group.clear();
                plan = Plan::default();
            }
        }
    }

    fn write(&self, group: &mut Vec<Command>, plan: &mut Plan) {
        let at = self.clock.now();
        self.memory.expire(at);
        // Before the group is planned: all that was judged by the snapshot before is durable and known by now.
        for command in group.iter() {
            if let Work::Snapshot(snapshot) = &command.work {
                self.memory.judge_by(Arc::clone(snapshot));
            }
        }
        plan.begin(self.log.durable_position(), &self.memory);
        for command in group.drain(..) {
            let Command {
                work,
                deadline,
                reply,
            } = command;
            let work = match work {
                Work::Snapshot(_) => {
                    reply.release(Ok(Outcome::Done));
                    continue;
                }
                work => work,
            };
            let may_be_written = self
                .log
                .check()
                .and_then(|()| deadline::check(deadline, "the write was appended"));
            if let Err(error) = may_be_written {
                reply.release(Err(error));
                continue;
            }
            match work {
                Work::Events(events) => plan.add_events(events, reply, &self.memory),
                Work::Items(items) => plan.add_items(items, reply, &self.memory),
                Work::Snapshot(_) => {}
            }
        }
        if plan.entries() > 0 {
            let head = RecordHead {
                at,
                kind: KIND_EVENTS,
                version: entry::VERSION,
                entries: plan.entries(),
            };
            if let Err(error) = self.log.append(&head, plan.payload()) {
                return plan.fail(&error);
            }
            plan.publish(&self.memory, at);
            self.log.advance(plan.end());
        }
        plan.release();
    }
}
