//! Users of one shard: where each is, and who was away longest.
//!
//! Users lie in chunks that never move, 64 bytes each (a cache line), found by a table of eight-byte slots. The order
//! of their newest events is not kept: a list through them would cost every event two more cache misses. It is made
//! when somebody must go (a scan and a sort, about 0.1 us a user) and then used up. Whoever has come back since is
//! newer than everybody in it, so that passing over them keeps the order exact.

use std::collections::VecDeque;

use super::super::text_hash::text_hash;
use super::LiveEvent;
use super::memory::{heap_bytes, room_for};
use super::table::Table;
use crate::types::prefetch;

const CHUNK: usize = 256;
/// A user, a table slot of 8 bytes where the table is half full, and a place in the order.
const USER_BYTES: u64 = 64 + 16 + 16;

/// One user, in a cache line of their own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct User {
    /// Empty where nobody is.
    pub(super) user_id: Box<str>,
    /// By position, ascending; never empty while the user is here.
    pub(super) events: VecDeque<LiveEvent>,
    /// Events before this position may have been forgotten.
    pub(super) truncated_before: u64,
    /// Position of the newest event.
    newest: u64,
}

const _: () = assert!(size_of::<User>() == 64);

/// Users and their table.
#[derive(Debug)]
pub(super) struct Users {
    chunks: Vec<Vec<User>>,
    table: Table,
    /// Places where nobody is.
    vacant: Vec<u32>,
    /// Who was away longest, last: position of the newest event as it was, and place.
    order: Vec<(u64, u32)>,
    /// The newest events kept of a user.
    events_max: usize,
    /// Memory of all.
    pub(super) bytes: u64,
    /// Events of all.
    pub(super) event_count: usize,
}

impl User {
    /// Begins to fetch the id and the newest event.
    pub(super) fn prefetch(&self) {
        prefetch(self.user_id.as_bytes().get(..1).unwrap_or_default());
        let newest = self.events.back().map(std::slice::from_ref);
        prefetch(newest.unwrap_or_default());
    }
}

impl Users {
    pub(super) fn new(events_max: usize) -> Self {
        Self {
            chunks: Vec::new(),
            table: Table::default(),
            vacant: Vec::new(),
            order: Vec::new(),
            events_max,
            bytes: 0,
            event_count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Where a user is.
    pub(super) fn find(&self, user_id: &str, hash: u64) -> Option<u32> {
        let is_it = |at| *self.get(at).user_id == *user_id;
        self.table.find(hash, is_it)
    }

    pub(super) fn get(&self, at: u32) -> &User {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut User {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// Everybody, in the order in which they lie in memory.
    pub(super) fn iter(&self) -> impl Iterator<Item = &User> {
        let places = self.chunks.iter().flatten();
        places.filter(|user| !user.user_id.is_empty())
    }

    /// The places of a chunk; `None` when there is no such chunk.
    pub(super) fn places(&self, chunk: usize) -> Option<std::ops::Range<u32>> {
        let first = chunk * CHUNK;
        let count = self.chunks.get(chunk)?.len();
        Some(first as u32..(first + count) as u32)
    }

    /// Begins to fetch what `find` reads of the table.
    pub(super) fn prefetch_slot(&self, hash: u64) {
        self.table.prefetch(hash);
    }

    /// Begins to fetch the user whom `find` will look at first, from a slot that was fetched.
    pub(super) fn prefetch_user(&self, hash: u64) {
        if let Some(user) = self.first(hash) {
            prefetch(std::slice::from_ref(user));
        }
    }

    /// Begins to fetch the id and the end of the events of that user, who was fetched.
    pub(super) fn prefetch_content(&self, hash: u64) {
        if let Some(user) = self.first(hash) {
            user.prefetch();
        }
    }

    /// Where a user is; a new one is made without events.
    pub(super) fn find_or_add(&mut self, user_id: &str, hash: u64, truncated_before: u64) -> u32 {
        if let Some(at) = self.find(user_id, hash) {
            return at;
        }
        let user = User {
            user_id: user_id.into(),
            events: VecDeque::new(),
            truncated_before,
            newest: 0,
        };
        let at = match self.vacant.pop() {
            Some(at) => {
                *self.get_mut(at) = user;
                at
            }
            None => {
                if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                let number = self.chunks.len() - 1;
                let chunk = &mut self.chunks[number];
                chunk.push(user);
                (number * CHUNK + chunk.len() - 1) as u32
            }
        };
        self.table.insert(hash, at);
        self.bytes += USER_BYTES + heap_bytes(user_id.len());
        at
    }

    /// Puts an event behind a user's others, of which the newest stay.
    pub(super) fn push(&mut self, at: u32, event: LiveEvent) {
        let events_max = self.events_max;
        let user = self.get_mut(at);
        let length = user.events.len();
        if length >= events_max {
            if let Some(dropped) = user.events.pop_front() {
                user.truncated_before = user.truncated_before.max(dropped.position + 1);
            }
        } else {
            let (room, needed) = (
                room_for(length, events_max),
                room_for(length + 1, events_max),
            );
            if needed > room {
                user.events.reserve_exact(needed - length);
                self.bytes += events_bytes(needed) - events_bytes(room);
            }
            self.event_count += 1;
        }
        let user = self.get_mut(at);
        user.events.push_back(event);
        user.newest = event.position;
    }

    /// Drops a user's events before a position. The user goes when none is left; what was marked as missing is given
    /// back then.
    pub(super) fn drop_before(&mut self, at: u32, floor: u64) -> Option<u64> {
        let events_max = self.events_max;
        let user = self.get_mut(at);
        if user.user_id.is_empty() {
            return None;
        }
        if user.truncated_before <= floor {
            user.truncated_before = 0;
        }
        let length = user.events.len();
        let dropped = user.events.partition_point(|event| event.position < floor);
        if dropped == length {
            return Some(self.remove(at));
        }
        if dropped > 0 {
            let (room, needed) = (
                room_for(length, events_max),
                room_for(length - dropped, events_max),
            );
            user.events.drain(..dropped);
            user.events.shrink_to(needed);
            self.event_count -= dropped;
            self.bytes -= events_bytes(room) - events_bytes(needed);
        }
        None
    }

    /// Forgets the user whose newest event is the oldest, and gives the position before which events are missing now.
    pub(super) fn remove_oldest(&mut self) -> Option<u64> {
        if self.len() == 0 {
            return None;
        }
        loop {
            let Some((newest, at)) = self.order.pop() else {
                self.make_order();
                continue;
            };
            let user = self.get(at);
            if !user.user_id.is_empty() && user.newest == newest {
                return Some(self.remove(at).max(newest + 1));
            }
        }
    }

    fn first(&self, hash: u64) -> Option<&User> {
        self.table.find(hash, |_| true).map(|at| self.get(at))
    }

    fn make_order(&mut self) {
        let places = self.chunks.iter().flatten().zip(0..);
        let here = places.filter(|(user, _)| !user.user_id.is_empty());
        self.order.extend(here.map(|(user, at)| (user.newest, at)));
        self.order
            .sort_unstable_by_key(|(newest, _)| std::cmp::Reverse(*newest));
    }

    fn remove(&mut self, at: u32) -> u64 {
        self.vacant.push(at);
        let user = self.get_mut(at);
        let truncated_before = user.truncated_before;
        let user_id = std::mem::take(&mut user.user_id);
        let events = std::mem::take(&mut user.events);
        self.event_count -= events.len();
        self.bytes -= USER_BYTES
            + heap_bytes(user_id.len())
            + events_bytes(room_for(events.len(), self.events_max));
        self.table.remove(text_hash(&user_id), at);
        truncated_before
    }
}

fn events_bytes(room: usize) -> u64 {
    heap_bytes(room * size_of::<LiveEvent>())
}
