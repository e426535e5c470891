//! Item ids as numbers: append-only, written by the fold, read by everybody.
//!
//! Two halves. The *index* (text -> number) is asked by the fold for every event and by hardly anybody else. The *texts*
//! (number -> text) are read by requests: chunks behind one lock, held by a writer for a push; a chunk never moves. A
//! number is never given to another item.
//!
//! The items of a record are looked up together, in stages (slot, entry, text, comparison), each of which asks memory
//! for what the next one reads; one after the other they would wait for three cache misses each.
//!
//! Bounded twice. Each item remembers the position of its newest event, so that a move of the floor takes away the
//! items that no kept event can name, and gives back the chunks of which nothing is left (40 bytes each remain). And
//! past its share of the memory a new item gets no number; the event is then left out and its user marked incomplete.
//! 40 bytes an item, and its text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::text_hash::text_hash;
use super::LiveItem;
use super::memory::heap_bytes;
use super::record::Incoming;
use super::table::Table;
use crate::types::prefetch;

const CHUNK: usize = 1024;
/// A table slot where the table is half full, and an entry.
const SLOT_BYTES: u64 = 16 + 24;
/// Two counts before the text of an `Arc<str>`.
const COUNTS_BYTES: usize = 16;

/// Item ids and their numbers.
pub(super) struct Interner {
    index: Mutex<Table>,
    texts: RwLock<Texts>,
    bytes: AtomicU64,
    bytes_max: u64,
}

#[derive(Default)]
struct Texts {
    chunks: Vec<Chunk>,
    count: usize,
}

#[derive(Default)]
struct Chunk {
    /// Empty when no text of it is left.
    entries: Vec<Entry>,
    left: usize,
}

struct Entry {
    text: Option<Arc<str>>,
    /// Position of the newest event that names it.
    used_at: AtomicU64,
}

impl Interner {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            index: Mutex::new(Table::default()),
            texts: RwLock::new(Texts::default()),
            bytes: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// Gives each event the number of its item; an event stays without when there is no room for one more.
    pub(super) fn intern_all(&self, events: &mut [Incoming<'_>], item_ids: &[&str]) {
        let mut index = self.index();
        let hashes: Vec<u64> = item_ids.iter().map(|text| text_hash(text)).collect();
        self.fetch(&index, &hashes);
        for ((event, text), hash) in events.iter_mut().zip(item_ids).zip(hashes) {
            event.item = self.intern_in(&mut index, text, hash, event.position);
        }
    }

    /// The number of an item that the log names at `position`; `None` when there is no room for one more.
    pub(super) fn intern(&self, text: &str, position: u64) -> Option<LiveItem> {
        self.intern_in(&mut self.index(), text, text_hash(text), position)
    }

    /// The number of an item, if it has one.
    pub(super) fn find(&self, text: &str) -> Option<LiveItem> {
        let index = self.index();
        let texts = self.texts();
        let is_it = |place| texts.is(place, text);
        LiveItem::from_index(index.find(text_hash(text), is_it)? as usize)
    }

    /// The text of a number; `None` when it was taken away.
    pub(super) fn text(&self, item: LiveItem) -> Option<Arc<str>> {
        self.texts().entry(item.index())?.text.clone()
    }

    /// The texts of many numbers.
    pub(super) fn texts_of(&self, items: &[LiveItem]) -> Vec<Option<Arc<str>>> {
        let texts = self.texts();
        let text_of = |item: &LiveItem| texts.entry(item.index())?.text.clone();
        items.iter().map(text_of).collect()
    }

    /// Takes away the items of which no event at `floor` or later tells, a chunk at a time.
    pub(super) fn forget_before(&self, floor: u64) {
        let mut chunk = 0;
        while self.forget_in_chunk(chunk, floor) {
            chunk += 1;
        }
    }

    /// Items that have a number.
    pub(super) fn len(&self) -> usize {
        self.texts().chunks.iter().map(|chunk| chunk.left).sum()
    }

    /// Memory of all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn intern_in(
        &self,
        index: &mut Table,
        text: &str,
        hash: u64,
        position: u64,
    ) -> Option<LiveItem> {
        let texts = self.texts();
        if let Some(place) = index.find(hash, |place| texts.is(place, text)) {
            let used_at = &texts.entry(place as usize)?.used_at;
            // Nobody else writes it: the index is held.
            if used_at.load(Ordering::Relaxed) < position {
                used_at.store(position, Ordering::Relaxed);
            }
            return LiveItem::from_index(place as usize);
        }
        drop(texts);
        let bytes = item_bytes(text);
        if self.bytes() + bytes > self.bytes_max {
            return None;
        }
        let item = self.texts_mut().push(text, position)?;
        index.insert(hash, item.index() as u32);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Some(item)
    }

    /// Asks for all memory that looking these up will read.
    fn fetch(&self, index: &Table, hashes: &[u64]) {
        let texts = self.texts();
        for hash in hashes {
            index.prefetch(*hash);
        }
        let entry = |hash: &u64| texts.entry(index.find(*hash, |_| true)? as usize);
        for entry in hashes.iter().filter_map(entry) {
            prefetch(std::slice::from_ref(entry));
        }
        for text in hashes
            .iter()
            .filter_map(entry)
            .filter_map(|entry| entry.text.as_ref())
        {
            prefetch(text.as_bytes().get(..1).unwrap_or_default());
        }
    }

    fn forget_in_chunk(&self, number: usize, floor: u64) -> bool {
        let mut index = self.index();
        let mut texts = self.texts_mut();
        let is_last = number + 1 == texts.chunks.len();
        let Some(chunk) = texts.chunks.get_mut(number) else {
            return false;
        };
        for (place, entry) in chunk.entries.iter_mut().enumerate() {
            if *entry.used_at.get_mut() < floor
                && let Some(text) = entry.text.take()
            {
                index.remove(text_hash(&text), (number * CHUNK + place) as u32);
                self.bytes.fetch_sub(item_bytes(&text), Ordering::Relaxed);
                chunk.left -= 1;
            }
        }
        if chunk.left == 0 && !is_last {
            chunk.entries = Vec::new();
        }
        true
    }

    fn index(&self) -> MutexGuard<'_, Table> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn texts(&self) -> RwLockReadGuard<'_, Texts> {
        self.texts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn texts_mut(&self) -> RwLockWriteGuard<'_, Texts> {
        self.texts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Texts {
    fn entry(&self, place: usize) -> Option<&Entry> {
        self.chunks.get(place / CHUNK)?.entries.get(place % CHUNK)
    }

    fn is(&self, place: u32, text: &str) -> bool {
        let known = self
            .entry(place as usize)
            .and_then(|entry| entry.text.as_deref());
        known == Some(text)
    }

    fn push(&mut self, text: &str, position: u64) -> Option<LiveItem> {
        let item = LiveItem::from_index(self.count)?;
        if self.count.is_multiple_of(CHUNK) {
            self.chunks.push(Chunk {
                entries: Vec::with_capacity(CHUNK),
                left: 0,
            });
        }
        let chunk = self.chunks.last_mut()?;
        chunk.entries.push(Entry {
            text: Some(text.into()),
            used_at: AtomicU64::new(position),
        });
        chunk.left += 1;
        self.count += 1;
        Some(item)
    }
}

fn item_bytes(text: &str) -> u64 {
    SLOT_BYTES + heap_bytes(COUNTS_BYTES + text.len())
}
