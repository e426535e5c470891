//! Availability, groups and facts of all items, in columns that views share.

use std::sync::Arc;

use super::groups::ItemGroups;
use crate::history::{LiveFact, Told};
use crate::snapshot::Snapshot;
use crate::types::{ItemIdx, Money, Pages};

/// What an item is that nothing else was said of.
const DEFAULT_KIND: &str = "product";
/// Items of one word of bits.
const WORD: usize = 64;

/// Columns over the items of a snapshot and, behind them, extras.
#[derive(Clone)]
pub(super) struct ItemTable {
    pub(super) groups: ItemGroups,
    /// One bit for each item.
    available: Pages<u64>,
    /// What the log said since the snapshot, of items that it spoke of.
    facts: Pages<Option<Arc<LiveFact>>>,
}

/// The fields of a fact that are newer than a snapshot.
#[derive(Clone, Copy)]
pub(super) struct NewFields<'a> {
    fact: &'a LiveFact,
    since: u64,
}

impl ItemTable {
    /// The items of a snapshot as it has them.
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let items = &snapshot.items;
        let word = |at: usize| {
            let of_word = at * WORD..items.len().min((at + 1) * WORD);
            of_word.fold(0, |word, item| {
                let is_available = items.is_available(ItemIdx(item as u32));
                word | u64::from(is_available) << (item % WORD)
            })
        };
        Self {
            groups: ItemGroups::new(items),
            available: (0..items.len().div_ceil(WORD)).map(word).collect(),
            facts: Pages::filled(None, items.len()),
        }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.facts.len()
    }

    #[inline]
    pub(super) fn is_available(&self, item: u32) -> bool {
        let word = self.available.get(item as usize / WORD);
        word.is_some_and(|word| word >> (item as usize % WORD) & 1 == 1)
    }

    pub(super) fn fact(&self, item: ItemIdx) -> Option<&Arc<LiveFact>> {
        self.facts.get(item.at())?.as_ref()
    }

    /// Takes the newest facts of an item that exists.
    pub(super) fn set(&mut self, item: ItemIdx, fact: &Arc<LiveFact>, snapshot: &Snapshot) {
        let new = NewFields::new(fact, snapshot);
        self.set_available(item.at(), new.is_available(item, snapshot));
        self.groups
            .categories
            .set(item.0, new.category(item, snapshot));
        self.groups.kinds.set(item.0, new.kind(item, snapshot));
        self.facts.set(item.at(), Some(Arc::clone(fact)));
    }

    /// Appends extras.
    pub(super) fn extend(&mut self, extras: &[Arc<LiveFact>], snapshot: &Snapshot) {
        let first = self.len();
        let items = (first as u32..).map(ItemIdx).zip(extras);
        let items = items.map(|(item, fact)| (item, NewFields::new(fact, snapshot)));
        let categories = items
            .clone()
            .map(|(item, new)| new.category(item, snapshot));
        self.groups.categories.extend(categories);
        let kinds = items.clone().map(|(item, new)| new.kind(item, snapshot));
        self.groups.kinds.extend(kinds);
        let count = first + extras.len();
        let words = count.div_ceil(WORD) - self.available.len();
        self.available.extend(std::iter::repeat_n(0, words));
        self.facts.extend(extras.iter().cloned().map(Some));
        for (item, new) in items {
            self.set_available(item.at(), new.is_available(item, snapshot));
        }
    }

    fn set_available(&mut self, item: usize, is_available: bool) {
        let Some(&word) = self.available.get(item / WORD) else {
            return;
        };
        let bit = 1 << (item % WORD);
        let changed = if is_available {
            word | bit
        } else {
            word & !bit
        };
        if changed != word {
            self.available.set(item / WORD, changed);
        }
    }
}

impl<'a> NewFields<'a> {
    /// Those that the snapshot cannot hold yet.
    pub(super) fn new(fact: &'a LiveFact, snapshot: &Snapshot) -> Self {
        Self {
            fact,
            since: snapshot.manifest.events_position,
        }
    }

    /// Whether there is any. A fact may also just name an item.
    pub(super) fn has_any(self) -> bool {
        let Self { fact, since } = self;
        fact.field_positions()
            .into_iter()
            .flatten()
            .any(|position| position >= since)
    }

    fn of<T>(self, told: &'a Option<Told<T>>) -> Option<&'a T> {
        let told = told.as_ref()?;
        (told.position >= self.since).then_some(&told.value)
    }

    pub(super) fn brand(self) -> Option<&'a str> {
        self.of(&self.fact.brand).map(|text| &**text)
    }

    pub(super) fn own_kind(self) -> Option<&'a str> {
        self.of(&self.fact.kind).map(|text| &**text)
    }

    pub(super) fn own_title(self) -> Option<&'a str> {
        self.of(&self.fact.title).map(|text| &**text)
    }

    pub(super) fn own_category(self) -> Option<&'a str> {
        self.of(&self.fact.category).map(|text| &**text)
    }

    pub(super) fn own_unit_price(self) -> Option<Money<'a>> {
        self.of(&self.fact.unit_price).map(|price| Money {
            amount_minor: price.amount_minor,
            currency: &price.currency,
        })
    }

    pub(super) fn own_stock(self) -> Option<i64> {
        self.of(&self.fact.stock).copied()
    }

    pub(super) fn own_is_available(self) -> Option<bool> {
        self.of(&self.fact.is_available).copied()
    }

    /// The kind, also where the fact says nothing of it; so are all below.
    pub(super) fn kind(self, item: ItemIdx, snapshot: &'a Snapshot) -> &'a str {
        self.own_kind().unwrap_or_else(|| kind_of(item, snapshot))
    }

    pub(super) fn title(self, item: ItemIdx, snapshot: &'a Snapshot) -> &'a str {
        self.own_title()
            .unwrap_or_else(|| snapshot.items.title(item))
    }

    pub(super) fn category(self, item: ItemIdx, snapshot: &'a Snapshot) -> &'a str {
        let of_snapshot = || snapshot.items.category(item);
        self.own_category().unwrap_or_else(of_snapshot)
    }

    pub(super) fn unit_price(self, item: ItemIdx, snapshot: &'a Snapshot) -> Option<Money<'a>> {
        let of_snapshot = || snapshot.items.unit_price(item);
        self.own_unit_price().or_else(of_snapshot)
    }

    fn is_available(self, item: ItemIdx, snapshot: &Snapshot) -> bool {
        let is_extra = item.at() >= snapshot.items.len();
        let can_be_had = self
            .own_is_available()
            .unwrap_or_else(|| is_extra || snapshot.items.can_be_had(item));
        let stock = self.own_stock().or_else(|| snapshot.items.stock(item));
        can_be_had && stock.is_none_or(|stock| stock > 0)
    }
}

/// The kind of an item that the log said nothing of.
pub(super) fn kind_of(item: ItemIdx, snapshot: &Snapshot) -> &str {
    if item.at() < snapshot.items.len() {
        snapshot.items.kind(item)
    } else {
        DEFAULT_KIND
    }
}
