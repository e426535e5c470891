//! Item ids as numbers: append-only, written by the fold, read by everybody.
//!
//! Two halves. The *index* (text -> number) is asked by the fold for every event: sixteen tables by hash, each behind a
//! mutex that nobody else holds for long. The *texts* (number -> text) are read by requests: chunks behind one lock,
//! held for a look-up or a push; a chunk never moves. A number is never given to another item.
//!
//! Bounded twice. Each item remembers the position of its newest event, so that a move of the floor takes away the
//! items that no kept event can name, and gives back the chunks of which nothing is left (8 bytes each remain). And
//! past its share of the memory a new item gets no number; the event is then left out and its user marked incomplete.
//! About 170 bytes an item.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::super::text_hash::{Tag, text_hash};
use super::LiveItem;
use super::memory::heap_bytes;

const TABLES: usize = 16;
const CHUNK: usize = 1024;
/// An index slot of a table that is two thirds full, and a place in a chunk.
const SLOT_BYTES: u64 = 48 + 16;
/// Two counts before the text of an `Arc<str>`.
const COUNTS_BYTES: usize = 16;

/// Item ids and their numbers.
pub(super) struct Interner {
    index: [Mutex<HashTable<Slot>>; TABLES],
    texts: RwLock<Texts>,
    bytes: AtomicU64,
    bytes_max: u64,
}

struct Slot {
    text: Arc<str>,
    used_at: u64,
    item: LiveItem,
    tag: Tag,
}

#[derive(Default)]
struct Texts {
    chunks: Vec<Chunk>,
    count: usize,
}

#[derive(Default)]
struct Chunk {
    /// Empty when no text of it is left.
    texts: Vec<Option<Arc<str>>>,
    left: usize,
}

impl Interner {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            index: std::array::from_fn(|_| Mutex::new(HashTable::new())),
            texts: RwLock::new(Texts::default()),
            bytes: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// The number of an item that the log names at `position`; `None` when there is no room for one more.
    pub(super) fn intern(&self, text: &str, position: u64) -> Option<LiveItem> {
        let hash = text_hash(text);
        let tag = Tag::of(hash);
        let mut table = self.table(hash);
        let is_it = |slot: &Slot| slot.tag == tag && *slot.text == *text;
        match table.entry(tag.hash(), is_it, |slot| slot.tag.hash()) {
            Entry::Occupied(mut known) => {
                let slot = known.get_mut();
                slot.used_at = slot.used_at.max(position);
                Some(slot.item)
            }
            Entry::Vacant(place) => {
                let bytes = item_bytes(text);
                if self.bytes() + bytes > self.bytes_max {
                    return None;
                }
                let text: Arc<str> = text.into();
                let item = self.texts_mut().push(text.clone())?;
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                place.insert(Slot {
                    text,
                    used_at: position,
                    item,
                    tag,
                });
                Some(item)
            }
        }
    }

    /// The number of an item, if it has one.
    pub(super) fn find(&self, text: &str) -> Option<LiveItem> {
        let hash = text_hash(text);
        let tag = Tag::of(hash);
        let table = self.table(hash);
        let found = table.find(tag.hash(), |slot| slot.tag == tag && *slot.text == *text);
        found.map(|slot| slot.item)
    }

    /// The text of a number; `None` when it was taken away.
    pub(super) fn text(&self, item: LiveItem) -> Option<Arc<str>> {
        let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        let (chunk, place) = (item.index() / CHUNK, item.index() % CHUNK);
        texts.chunks.get(chunk)?.texts.get(place)?.clone()
    }

    /// Takes away the items of which no event at `floor` or later tells.
    pub(super) fn forget_before(&self, floor: u64) {
        for table in &self.index {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.retain(|slot| {
                let is_kept = slot.used_at >= floor;
                if !is_kept {
                    self.texts_mut().remove(slot.item);
                    self.bytes
                        .fetch_sub(item_bytes(&slot.text), Ordering::Relaxed);
                }
                is_kept
            });
        }
    }

    /// Items that have a number.
    pub(super) fn len(&self) -> usize {
        let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        texts.chunks.iter().map(|chunk| chunk.left).sum()
    }

    /// Memory of all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn table(&self, hash: u64) -> std::sync::MutexGuard<'_, HashTable<Slot>> {
        self.index[(hash >> 60) as usize % TABLES]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn texts_mut(&self) -> std::sync::RwLockWriteGuard<'_, Texts> {
        self.texts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Texts {
    fn push(&mut self, text: Arc<str>) -> Option<LiveItem> {
        let item = LiveItem::from_index(self.count)?;
        if self.count.is_multiple_of(CHUNK) {
            self.chunks.push(Chunk {
                texts: Vec::with_capacity(CHUNK),
                left: 0,
            });
        }
        let chunk = self.chunks.last_mut()?;
        chunk.texts.push(Some(text));
        chunk.left += 1;
        self.count += 1;
        Some(item)
    }

    fn remove(&mut self, item: LiveItem) {
        let (number, place) = (item.index() / CHUNK, item.index() % CHUNK);
        let is_last = number + 1 == self.chunks.len();
        if let Some(chunk) = self.chunks.get_mut(number)
            && let Some(text) = chunk.texts.get_mut(place)
            && text.take().is_some()
        {
            chunk.left -= 1;
            if chunk.left == 0 && !is_last {
                chunk.texts = Vec::new();
            }
        }
    }
}

fn item_bytes(text: &str) -> u64 {
    SLOT_BYTES + heap_bytes(COUNTS_BYTES + text.len())
}
