//! Memory that a request works in, kept by its thread.
//!
//! It is taken out of the thread while in use and put back after: a request that panics loses it, and the
//! next one starts with a fresh one.

use std::cell::Cell;

use crate::candidates::{ScoreBoard, TopItems};
use crate::history::{JoinedHistory, LiveEvent};
use crate::ranking::{CategoryCounts, ItemSlots};
use crate::types::{ItemSet, RankKey, Taste};

/// Memory of one request.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) visit: VisitScratch,
    /// item_knn, user_knn, repeat.
    pub(super) boards: [ScoreBoard; 3],
    /// Items that pass, where a request names categories.
    pub(super) passing: Vec<u32>,
    pub(super) top: TopItems,
    pub(super) candidates: ItemSet,
    pub(super) keys: Vec<RankKey>,
    pub(super) page: Vec<RankKey>,
    pub(super) category_counts: CategoryCounts,
    pub(super) slots: ItemSlots,
}

/// What a visitor is made of.
#[derive(Default)]
pub(super) struct VisitScratch {
    pub(super) blocked: ItemSet,
    pub(super) tastes: Vec<Taste>,
    /// The user's live events since the snapshot, by time, then position.
    pub(super) live_events: Vec<LiveEvent>,
    /// Those of items that the catalogue knows.
    pub(super) translated: Vec<TranslatedEvent>,
    pub(super) joined: JoinedHistory,
}

/// A live event with its item as the catalogue numbers it.
#[derive(Clone, Copy)]
pub(super) struct TranslatedEvent {
    pub(super) item: u32,
    /// Index into live state's names.
    pub(super) name: u8,
    pub(super) at_us: i64,
}

impl VisitScratch {
    /// Empties everything and fits it to a catalogue of `item_count` items.
    pub(super) fn reset(&mut self, item_count: usize) {
        self.blocked.reset(item_count);
        self.tastes.clear();
        self.live_events.clear();
        self.translated.clear();
        self.joined.reset();
    }
}

thread_local! {
    static OF_THREAD: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Runs `work` with this thread's scratch.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = OF_THREAD.take().unwrap_or_default();
    let result = work(&mut scratch);
    OF_THREAD.set(Some(scratch));
    result
}
