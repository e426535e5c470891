//! Users of one shard: where each is, in the order of their newest events.
//!
//! Users lie in chunks that never move, 64 bytes each (a cache line), found by a table of eight-byte slots. A list
//! through them keeps the order of their newest events, so that the one that was away longest is found at once.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::super::text_hash::{Tag, text_hash};
use super::LiveEvent;
use super::memory::{heap_bytes, room_for};

const CHUNK: usize = 256;
const NONE: u32 = u32::MAX;
/// A user, and a table slot of 9 bytes where the table is little more than half full.
const USER_BYTES: u64 = 64 + 16;

/// One user.
#[derive(Debug)]
pub(super) struct User {
    /// Empty where nobody is.
    pub(super) user_id: Box<str>,
    /// By position, ascending; never empty while the user is here.
    pub(super) events: VecDeque<LiveEvent>,
    /// Events before this position may have been forgotten.
    pub(super) truncated_before: u64,
    older: u32,
    newer: u32,
}

const _: () = assert!(size_of::<User>() == 64);

/// Users, their table and their order.
#[derive(Debug)]
pub(super) struct Users {
    chunks: Vec<Vec<User>>,
    table: HashTable<Slot>,
    oldest: u32,
    newest: u32,
    /// First of the empty places; `newer` leads to the next.
    vacant: u32,
    /// The newest events kept of a user.
    events_max: usize,
    /// Memory of all.
    pub(super) bytes: u64,
    /// Events of all.
    pub(super) event_count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: Tag,
    at: u32,
}

impl Users {
    pub(super) fn new(events_max: usize) -> Self {
        Self {
            chunks: Vec::new(),
            table: HashTable::new(),
            oldest: NONE,
            newest: NONE,
            vacant: NONE,
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
        let tag = Tag::of(hash);
        let is_it = |slot: &Slot| slot.tag == tag && *self.get(slot.at).user_id == *user_id;
        self.table.find(tag.hash(), is_it).map(|slot| slot.at)
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

    /// Where a user is; a new one is made without events, outside the order.
    pub(super) fn find_or_add(&mut self, user_id: &str, hash: u64, truncated_before: u64) -> u32 {
        let tag = Tag::of(hash);
        let chunks = &self.chunks;
        let is_it = |slot: &Slot| {
            slot.tag == tag
                && *chunks[slot.at as usize / CHUNK][slot.at as usize % CHUNK].user_id == *user_id
        };
        let place = match self.table.entry(tag.hash(), is_it, |slot| slot.tag.hash()) {
            Entry::Occupied(known) => return known.get().at,
            Entry::Vacant(place) => place,
        };
        let user = User {
            user_id: user_id.into(),
            events: VecDeque::new(),
            truncated_before,
            older: NONE,
            newer: NONE,
        };
        let at = self.vacant;
        let at = if at == NONE {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            let number = self.chunks.len() - 1;
            let chunk = &mut self.chunks[number];
            chunk.push(user);
            (number * CHUNK + chunk.len() - 1) as u32
        } else {
            let old = &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK];
            self.vacant = old.newer;
            *old = user;
            at
        };
        place.insert(Slot { tag, at });
        self.bytes += USER_BYTES + heap_bytes(user_id.len());
        at
    }

    /// Puts an event behind a user's others, of which the newest stay, and the user behind all others.
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
        self.get_mut(at).events.push_back(event);
        if self.newest != at {
            self.unlink(at);
            self.link_newest(at);
        }
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
        let at = self.oldest;
        if at == NONE {
            return None;
        }
        let newest = self
            .get(at)
            .events
            .back()
            .map_or(0, |event| event.position + 1);
        Some(self.remove(at).max(newest))
    }

    fn remove(&mut self, at: u32) -> u64 {
        self.unlink(at);
        let vacant = self.vacant;
        let user = self.get_mut(at);
        let truncated_before = user.truncated_before;
        user.newer = vacant;
        let user_id = std::mem::take(&mut user.user_id);
        let events = std::mem::take(&mut user.events);
        self.vacant = at;
        self.event_count -= events.len();
        self.bytes -= USER_BYTES
            + heap_bytes(user_id.len())
            + events_bytes(room_for(events.len(), self.events_max));
        let tag = Tag::of(text_hash(&user_id));
        if let Ok(slot) = self.table.find_entry(tag.hash(), |slot| slot.at == at) {
            slot.remove();
        }
        truncated_before
    }

    fn unlink(&mut self, at: u32) {
        let (older, newer) = (self.get(at).older, self.get(at).newer);
        if older != NONE {
            self.get_mut(older).newer = newer;
        } else if self.oldest == at {
            self.oldest = newer;
        }
        if newer != NONE {
            self.get_mut(newer).older = older;
        } else if self.newest == at {
            self.newest = older;
        }
    }

    fn link_newest(&mut self, at: u32) {
        let before = self.newest;
        let user = self.get_mut(at);
        user.older = before;
        user.newer = NONE;
        if before == NONE {
            self.oldest = at;
        } else {
            self.get_mut(before).newer = at;
        }
        self.newest = at;
    }
}

fn events_bytes(room: usize) -> u64 {
    heap_bytes(room * size_of::<LiveEvent>())
}
