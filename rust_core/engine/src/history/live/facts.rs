//! What the log says about items: the newest value of each field and where it stands in the log.
//!
//! A fact is an immutable value behind an `Arc`, replaced when the log says something new, so that whoever collects
//! facts holds the lock for as long as it takes to copy pointers. Facts stand in the order in which the
//! log first told of their items: the same in every process that folded the same log, which the numbering of extra
//! items rests on. Nothing is evicted, because a stock of 0 must not be forgotten; who takes new facts in asks
//! `has_room` first. A move of the floor drops items of which all was said before it: every kept snapshot knows it.
//!
//! About 300 bytes an item, and its texts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::checkpoint::{CatalogueShard, invalid, not_empty};
use super::super::text_hash::text_hash;
use super::super::{ItemFact, LiveFact};
use super::table::Table;
use crate::error::Result;

/// Facts about items. Written by the fold, read by everybody.
pub struct LiveCatalogue {
    facts: RwLock<Facts>,
    version: AtomicU64,
    bytes_max: u64,
}

#[derive(Default)]
struct Facts {
    /// In the order of `told_at`.
    rows: Vec<Arc<LiveFact>>,
    table: Table,
    bytes: u64,
    position: u64,
}

impl LiveCatalogue {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            facts: RwLock::new(Facts::default()),
            version: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// A number that changes with every fact that is folded. Read before the facts, it never claims too much.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Appends the facts of which a field was said at `since` or later, in the order in which the log first told of
    /// their items. Fields said before `since` are in them too: ask each for its position.
    pub fn facts_since(&self, since: u64, out: &mut Vec<Arc<LiveFact>>) {
        let facts = self.read();
        let is_new = |fact: &&Arc<LiveFact>| fact.newest_position() >= since;
        out.extend(facts.rows.iter().filter(is_new).cloned());
    }

    /// The facts about one item.
    pub fn fact(&self, item_id: &str) -> Option<Arc<LiveFact>> {
        let facts = self.read();
        let row = facts.find(item_id, text_hash(item_id))?;
        facts.rows.get(row as usize).cloned()
    }

    /// Whether there is room for more; ask before facts are written to the log, because the fold refuses none.
    pub fn has_room(&self) -> bool {
        self.bytes() < self.bytes_max
    }

    /// Items with facts.
    pub fn len(&self) -> usize {
        self.read().rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of all.
    pub(super) fn bytes(&self) -> u64 {
        self.read().bytes
    }

    pub(super) fn apply(&self, position: u64, word: &ItemFact<'_>) {
        let mut facts = self.write();
        if position < facts.position {
            return;
        }
        facts.position = position + 1;
        if word.item_id.is_empty() {
            return;
        }
        let hash = text_hash(word.item_id);
        match facts.find(word.item_id, hash) {
            Some(row) => {
                let row = row as usize;
                let bytes = facts.rows[row].bytes();
                Arc::make_mut(&mut facts.rows[row]).tell(position, word);
                facts.bytes = facts.bytes - bytes + facts.rows[row].bytes();
            }
            None => facts.add(Arc::new(LiveFact::new(position, word)), hash),
        }
        drop(facts);
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn drop_before(&self, floor: u64) {
        let mut facts = self.write();
        if facts
            .rows
            .iter()
            .all(|fact| fact.newest_position() >= floor)
        {
            return;
        }
        let kept = std::mem::take(&mut *facts);
        facts.position = kept.position;
        for fact in kept.rows {
            if fact.newest_position() >= floor {
                let hash = text_hash(&fact.item_id);
                facts.add(fact, hash);
            }
        }
    }

    pub(super) fn export(&self, position: u64) -> CatalogueShard {
        let facts = self.read();
        CatalogueShard {
            position: position.max(facts.position),
            items: facts.rows.clone(),
        }
    }

    pub(super) fn import(&self, shard: CatalogueShard) -> Result<()> {
        let mut new = Facts {
            position: shard.position,
            ..Facts::default()
        };
        let mut told_before = None;
        for (at, fact) in shard.items.into_iter().enumerate() {
            let part = || format!("catalogue item {at}");
            fact.check(shard.position)
                .map_err(|what| invalid(&part(), what))?;
            if told_before.is_some_and(|before| before >= fact.told_at) {
                let what = format!(
                    "it was told of at {}, not after the one before",
                    fact.told_at
                );
                return Err(invalid(&part(), what));
            }
            told_before = Some(fact.told_at);
            let hash = text_hash(&fact.item_id);
            if new.find(&fact.item_id, hash).is_some() {
                return Err(invalid(&part(), format!("{} stands twice", fact.item_id)));
            }
            new.add(fact, hash);
        }
        let mut facts = self.write();
        if facts.position > 0 {
            return Err(not_empty("the catalogue", facts.position));
        }
        *facts = new;
        drop(facts);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Facts> {
        self.facts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Facts> {
        self.facts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn find(&self, item_id: &str, hash: u64) -> Option<u32> {
        let is_it = |row: u32| *self.rows[row as usize].item_id == *item_id;
        self.table.find(hash, is_it)
    }

    fn add(&mut self, fact: Arc<LiveFact>, hash: u64) {
        self.bytes += fact.bytes();
        self.table.insert(hash, self.rows.len() as u32);
        self.rows.push(fact);
    }
}
