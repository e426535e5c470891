//! What one group of commands does to the log: decided on what is durable, and on what the commands before in the same
//! group will have done once they are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::history::{AnsweredRequest, Effect, EventKeySet, KnownRequest, RequestWindow};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;
use prost::Message;

use super::entry;
use super::memory::Memory;
use super::record_events::JudgedEvents;
use super::ticket::{Outcome, Reply};
use super::upsert_items::{CheckedItems, item_effect};
use crate::wire::promosvc::log::v1 as log;
use crate::wire::promosvc::v1 as wire;

/// A group, and the record that makes it durable. Kept for its memory from group to group.
#[derive(Default)]
pub(super) struct Plan {
    first: u64,
    entries: u32,
    payload: Vec<u8>,
    snapshot: Option<Arc<Snapshot>>,
    writes: Vec<Write>,
    /// What the group itself makes known.
    keys: EventKeySet,
    items: HashSet<String>,
    /// Place in `writes` of each request.
    requests: HashMap<String, usize>,
    /// What their answers will weigh in the window.
    request_bytes: u64,
}

/// A command whose answer waits for the record.
enum Write {
    Events {
        events: JudgedEvents,
        reply: Reply,
    },
    Items {
        items: CheckedItems,
        answer: Arc<[u8]>,
        reply: Reply,
    },
    /// The same request once more: the same answer.
    Repeated {
        answer: Arc<[u8]>,
        reply: Reply,
    },
}

impl Plan {
    /// Begins a group whose first entry will have the log position `first`.
    pub(super) fn begin(&mut self, first: u64, memory: &Memory) {
        let Self {
            first: own_first,
            entries,
            payload,
            snapshot,
            writes,
            keys,
            items,
            requests,
            request_bytes,
        } = self;
        *own_first = first;
        *entries = 0;
        *request_bytes = 0;
        *snapshot = memory.snapshot();
        payload.clear();
        writes.clear();
        keys.clear();
        items.clear();
        requests.clear();
    }

    /// Records those events that were not recorded before, here or in the file import that the snapshot holds.
    pub(super) fn add_events(&mut self, mut events: JudgedEvents, reply: Reply, memory: &Memory) {
        let snapshot = self.snapshot.as_deref();
        let keys = &mut self.keys;
        events.take_new(&mut self.payload, |key| {
            !memory.knows_event(key, snapshot) && keys.insert(key)
        });
        self.entries += events.candidates().len() as u32;
        self.writes.push(Write::Events { events, reply });
    }

    /// Writes facts, unless the request was answered before: then it gets that answer, or is refused if it says
    /// something else now.
    pub(super) fn add_items(&mut self, items: CheckedItems, reply: Reply, memory: &Memory) {
        match self.repetition(&items, memory) {
            Ok(Some(answer)) => self.writes.push(Write::Repeated { answer, reply }),
            Ok(None) => self.add_new_items(items, reply, memory),
            Err(error) => reply.release(Err(error)),
        }
    }

    /// Entries of the record.
    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// Position behind its last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.entries)
    }

    /// The encoded entries.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Lets the memory and every reader know what is durable now.
    pub(super) fn publish(&self, memory: &Memory, at: TimeUs) {
        let windows = memory.windows();
        let mut effects = Vec::with_capacity(self.entries as usize);
        for write in &self.writes {
            match write {
                Write::Events { events, .. } => {
                    for event in events.candidates() {
                        windows.insert_event(event.key, at, self.first + effects.len() as u64);
                        effects.push(event.effect());
                    }
                }
                Write::Items { items, answer, .. } => {
                    effects.extend(items.facts.iter().map(item_effect));
                    windows.insert_request(
                        &items.request_id,
                        items.body_hash,
                        Arc::clone(answer),
                        at,
                        self.first + effects.len() as u64,
                    );
                    effects.push(Effect::Answered(AnsweredRequest {
                        request_id: &items.request_id,
                        body_hash: items.body_hash,
                        answer,
                    }));
                }
                Write::Repeated { .. } => {}
            }
        }
        memory.apply(self.first, &effects, self.end());
    }

    /// Releases all tickets.
    pub(super) fn release(&mut self) {
        for write in self.writes.drain(..) {
            match write {
                Write::Events { events, reply } => reply.release(Ok(Outcome::Events(events))),
                Write::Items { answer, reply, .. } | Write::Repeated { answer, reply } => {
                    reply.release(Ok(Outcome::Encoded(answer)));
                }
            }
        }
    }

    /// Answers everybody with the same error.
    pub(super) fn fail(&mut self, error: &Error) {
        for write in self.writes.drain(..) {
            match write {
                Write::Events { reply, .. }
                | Write::Items { reply, .. }
                | Write::Repeated { reply, .. } => reply.release(Err(error.clone())),
            }
        }
    }

    /// The answer that the request got before, also earlier in this group.
    fn repetition(&self, items: &CheckedItems, memory: &Memory) -> Result<Option<Arc<[u8]>>> {
        let at = self.requests.get(&items.request_id).copied();
        let known = match at.and_then(|at| self.writes.get(at)) {
            Some(Write::Items {
                items: before,
                answer,
                ..
            }) => {
                if before.body_hash == items.body_hash {
                    KnownRequest::SameBody(Arc::clone(answer))
                } else {
                    KnownRequest::OtherBody
                }
            }
            Some(Write::Events { .. } | Write::Repeated { .. }) | None => {
                memory.windows().find_request(items)
            }
        };
        match known {
            KnownRequest::Unknown => Ok(None),
            KnownRequest::SameBody(answer) => Ok(Some(answer)),
            KnownRequest::OtherBody => Err(request_id_reused(&items.request_id)),
        }
    }

    fn add_new_items(&mut self, items: CheckedItems, reply: Reply, memory: &Memory) {
        let snapshot = self.snapshot.as_deref();
        let created = items.facts.iter().filter(|fact| {
            !memory.knows_item(&fact.item_id, snapshot) && !self.items.contains(&fact.item_id)
        });
        let created = created.count();
        // One entry for each fact, and one for the answer.
        let entries = self.entries + items.facts.len() as u32 + 1;
        let answer = wire::UpsertItemsResponse {
            created_count: created as i32,
            updated_count: (items.facts.len() - created) as i32,
            events_position: (self.first + u64::from(entries)) as i64,
        }
        .encode_to_vec();
        let request_bytes =
            self.request_bytes + RequestWindow::cost(&items.request_id, answer.len());
        let room = memory
            .check_catalogue_room()
            .and_then(|()| memory.windows().check_room(request_bytes));
        if let Err(error) = room {
            return reply.release(Err(error));
        }
        self.entries = entries;
        self.request_bytes = request_bytes;
        self.payload.extend_from_slice(&items.entries);
        let request = log::AnsweredRequest {
            request_id: items.request_id.clone(),
            body_hash: items.body_hash.to_vec(),
            answer: answer.clone(),
        };
        entry::encode(entry::REQUEST, &request, &mut self.payload);
        self.items
            .extend(items.facts.iter().map(|fact| fact.item_id.clone()));
        self.requests
            .insert(items.request_id.clone(), self.writes.len());
        self.writes.push(Write::Items {
            items,
            answer: answer.into(),
            reply,
        });
    }
}

fn request_id_reused(request_id: &str) -> Error {
    Error {
        field: "request_id".to_owned(),
        ..Error::new(
            ErrorKind::AlreadyExists,
            "REQUEST_ID_REUSED",
            format!(
                "request_id is {request_id:?}, which was answered before with another body; a new write needs an id of \
                 its own"
            ),
        )
        .with("value", request_id)
    }
}
