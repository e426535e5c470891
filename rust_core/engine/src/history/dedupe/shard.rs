//! One shard of the dedupe window: a queue of ids in the order of recording, and a table that finds them.
//!
//! The table holds places in the queue, counted on through 32 bits, not ids: 5 bytes a slot. An id recorded once more
//! gets a new place; its old one stays in the queue, found by nobody, until its turn.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::super::EventKey;
use crate::types::TimeUs;

/// 24 in the queue, and a table slot where the table is little less than half full.
pub(super) const ID_BYTES: u64 = 24 + 12;
/// Ids of one chunk of the queue; chunks never move.
const CHUNK: usize = 1024;

/// Ids of one shard.
#[derive(Debug)]
pub(super) struct Shard {
    queue: Queue,
    table: HashTable<u32>,
    /// It holds its entries of the log before this position.
    pub(super) position: u64,
    ids_max: usize,
}

/// Ids in the order of recording.
#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Vec<Recorded>>,
    /// Ids of the first chunk that were taken out.
    taken: usize,
    /// Place of the first chunk's first id.
    start: u32,
    length: usize,
}

/// The 16 bytes as two halves, which need less alignment than one whole.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    high: u64,
    low: u64,
    at: TimeUs,
}

const _: () = assert!(size_of::<Recorded>() == 24);

impl Shard {
    pub(super) fn new(ids_max: usize) -> Self {
        Self {
            queue: Queue::default(),
            table: HashTable::new(),
            position: 0,
            ids_max,
        }
    }

    /// A new shard of the same size.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.ids_max)
    }

    /// Ids in the queue.
    pub(super) fn len(&self) -> usize {
        self.queue.length
    }

    pub(super) fn oldest_at(&self) -> Option<TimeUs> {
        self.queue.front().map(|(_, oldest)| oldest.at)
    }

    pub(super) fn contains(&self, key: EventKey) -> bool {
        let is_it = |place: &u32| self.queue.get(*place).is_some_and(|known| known.is(key));
        self.table.find(table_hash(key), is_it).is_some()
    }

    pub(super) fn insert(&mut self, key: EventKey, at: TimeUs, position: u64) -> bool {
        if position < self.position {
            return false;
        }
        self.position = position + 1;
        self.record(key, at)
    }

    /// Puts an id behind all others; `false` when it was known.
    pub(super) fn record(&mut self, key: EventKey, at: TimeUs) -> bool {
        let queue = &self.queue;
        let place = queue.end();
        let is_it = |place: &u32| queue.get(*place).is_some_and(|known| known.is(key));
        let rehash = |place: &u32| queue.get(*place).map_or(0, |known| known.low);
        let is_new = match self.table.entry(table_hash(key), is_it, rehash) {
            Entry::Occupied(mut known) => {
                *known.get_mut() = place;
                false
            }
            Entry::Vacant(vacant) => {
                vacant.insert(place);
                true
            }
        };
        self.queue.push(Recorded {
            high: (key.0 >> 64) as u64,
            low: key.0 as u64,
            at,
        });
        if self.queue.length > self.ids_max {
            self.forget_oldest();
        }
        is_new
    }

    pub(super) fn expire(&mut self, before: TimeUs) {
        while self.oldest_at().is_some_and(|at| at < before) {
            self.forget_oldest();
        }
    }

    /// Ids and times in the order of recording, each id once, where it was recorded last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EventKey, TimeUs)> {
        let is_each_once = self.table.len() == self.queue.length;
        let is_last = move |place: u32, recorded: &Recorded| {
            is_each_once
                || self
                    .table
                    .find(recorded.low, |known| *known == place)
                    .is_some()
        };
        let last = self
            .queue
            .iter()
            .filter(move |(place, recorded)| is_last(*place, recorded));
        last.map(|(_, recorded)| (recorded.key(), recorded.at))
    }

    fn forget_oldest(&mut self) {
        if let Some((place, oldest)) = self.queue.pop() {
            // Not found if it was recorded once more.
            if let Ok(known) = self.table.find_entry(oldest.low, |known| *known == place) {
                known.remove();
            }
        }
    }
}

impl Queue {
    /// The place that the next id gets.
    fn end(&self) -> u32 {
        self.start.wrapping_add((self.taken + self.length) as u32)
    }

    fn get(&self, place: u32) -> Option<&Recorded> {
        let at = place.wrapping_sub(self.start) as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    fn front(&self) -> Option<(u32, &Recorded)> {
        let place = self.start.wrapping_add(self.taken as u32);
        self.get(place).map(|oldest| (place, oldest))
    }

    fn push(&mut self, recorded: Recorded) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(recorded),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(recorded);
                self.chunks.push_back(chunk);
            }
        }
        self.length += 1;
    }

    fn pop(&mut self) -> Option<(u32, Recorded)> {
        let (place, oldest) = self.front().map(|(place, oldest)| (place, *oldest))?;
        self.taken += 1;
        self.length -= 1;
        if self.taken == CHUNK {
            self.chunks.pop_front();
            self.taken = 0;
            self.start = self.start.wrapping_add(CHUNK as u32);
        }
        Some((place, oldest))
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Recorded)> {
        let places = self.chunks.iter().flatten().enumerate().skip(self.taken);
        places.map(|(at, recorded)| (self.start.wrapping_add(at as u32), recorded))
    }
}

impl Recorded {
    fn is(&self, key: EventKey) -> bool {
        self.key() == key
    }

    fn key(&self) -> EventKey {
        EventKey(u128::from(self.high) << 64 | u128::from(self.low))
    }
}

/// A key is a hash already; the shard took its highest bits, the table takes the lower half.
fn table_hash(key: EventKey) -> u64 {
    key.0 as u64
}
