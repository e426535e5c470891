//! One state of the catalogue.

use std::sync::Arc;

use super::extras::{ExtraIds, ExtraPopular, PopularMeans};
use super::facts_hash::FactsHash;
use super::groups::{ItemGroups, NO_CATEGORY};
use super::item_table::{ItemTable, NewFields, kind_of};
use crate::history::LiveFact;
use crate::snapshot::Snapshot;
use crate::types::{ItemIdx, Money};

/// The items of a snapshot under the facts since, and the items that only facts tell of. Immutable.
#[derive(Clone)]
pub struct Catalogue {
    snapshot: Arc<Snapshot>,
    means: Arc<PopularMeans>,
    /// Items of the snapshot: what `all` is made from when extras are numbered anew.
    known: ItemTable,
    /// Items of the snapshot, then extras.
    all: ItemTable,
    extra_ids: Arc<ExtraIds>,
    extra_popular: Arc<ExtraPopular>,
    hash: FactsHash,
}

impl Catalogue {
    /// The items of a snapshot as it has them.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let known = ItemTable::new(&snapshot);
        Self {
            means: Arc::new(PopularMeans::new(&snapshot, &known.groups.categories)),
            all: known.clone(),
            known,
            extra_ids: Arc::default(),
            extra_popular: Arc::default(),
            hash: FactsHash::default(),
            snapshot,
        }
    }

    /// The state after some items' facts became these. Facts of which nothing is newer than the snapshot are passed
    /// over, and those that say nothing of an item that the snapshot has.
    pub fn with(&self, facts: impl IntoIterator<Item = Arc<LiveFact>>) -> Self {
        let mut next = self.clone();
        let since = self.snapshot.manifest.events_position;
        let mut new_extras = Vec::new();
        let mut is_regrouped = false;
        let has_extras = self.has_extras();
        for fact in facts {
            if fact.newest_position() < since {
                continue;
            }
            let Some(item) = self.find(&fact.item_id) else {
                new_extras.push(fact);
                continue;
            };
            let is_extra = item.at() >= self.known.len();
            let now = NewFields::new(&fact, &self.snapshot);
            if !is_extra && !now.has_any() {
                continue;
            }
            let table = if is_extra { &next.all } else { &next.known };
            let before = table
                .fact(item)
                .map(|fact| NewFields::new(fact, &self.snapshot));
            next.hash.replace(&fact.item_id, before, now);
            if is_extra {
                let categories = &next.all.groups.categories;
                is_regrouped |=
                    categories.find(now.category(item, &self.snapshot)) != categories.of(item.0);
            } else {
                next.known.set(item, &fact, &self.snapshot);
            }
            if has_extras {
                next.all.set(item, &fact, &self.snapshot);
            }
        }
        if !new_extras.is_empty() {
            next.add_extras(new_extras);
        } else if !has_extras {
            // One table with two names, so that a change copies a page once.
            next.all = next.known.clone();
        }
        if is_regrouped {
            next.rank_extras();
        }
        next
    }

    fn add_extras(&mut self, mut facts: Vec<Arc<LiveFact>>) {
        // The last word about an item stands.
        facts.reverse();
        facts.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        facts.dedup_by(|later, kept| later.item_id == kept.item_id);
        for fact in &facts {
            self.hash
                .replace(&fact.item_id, None, NewFields::new(fact, &self.snapshot));
        }
        let old = (self.known.len() as u32..self.all.len() as u32).map(ItemIdx);
        facts.extend(old.filter_map(|item| self.all.fact(item).cloned()));
        facts.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        let ids = facts.iter().map(|fact| Arc::clone(&fact.item_id));
        self.extra_ids = Arc::new(ExtraIds(ids.collect()));
        self.all = self.known.clone();
        self.all.extend(&facts, &self.snapshot);
        self.rank_extras();
    }

    fn rank_extras(&mut self) {
        let extras = self.known.len() as u32..self.all.len() as u32;
        let categories = &self.all.groups.categories;
        self.extra_popular = Arc::new(ExtraPopular::new(&self.means, categories, extras));
    }

    /// The snapshot under it.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// How many items there are, extras included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item with this id.
    pub fn find(&self, item_id: &str) -> Option<ItemIdx> {
        self.snapshot
            .items
            .find(item_id)
            .or_else(|| self.find_extra(item_id))
    }

    /// Whether there are items that the snapshot does not have.
    #[inline]
    pub fn has_extras(&self) -> bool {
        self.all.len() > self.known.len()
    }

    /// The extra with this id.
    pub fn find_extra(&self, item_id: &str) -> Option<ItemIdx> {
        let extra = self.extra_ids.find(item_id)?;
        Some(ItemIdx((self.known.len() + extra) as u32))
    }

    /// Whether the item can be had now.
    #[inline]
    pub fn is_available(&self, item: u32) -> bool {
        self.all.is_available(item)
    }

    /// Categories and kinds.
    #[inline]
    pub fn groups(&self) -> &ItemGroups {
        &self.all.groups
    }

    /// The category of an item that a cap counts; none for an item without a category.
    pub fn category_group(&self, item: u32) -> Option<u32> {
        let group = self.all.groups.categories.of(item);
        group.filter(|&group| group != NO_CATEGORY)
    }

    /// The popular score of an extra in the window at a position of `Popular::WINDOWS_DAYS`; 0 for other items.
    pub fn extra_score(&self, window: usize, item: u32) -> f32 {
        let extra = (item as usize).checked_sub(self.known.len());
        extra.map_or(0.0, |extra| self.extra_popular.score(window, extra))
    }

    /// Popular scores of extras.
    pub fn extra_popular(&self) -> &ExtraPopular {
        &self.extra_popular
    }

    /// SHA-256 over the facts since the snapshot (`facts_hash` says how); `None` without facts.
    pub fn facts_hash(&self) -> Option<[u8; 32]> {
        self.hash.digest()
    }

    /// The id.
    pub fn item_id(&self, item: ItemIdx) -> &str {
        match item.at().checked_sub(self.known.len()) {
            None => self.snapshot.items.id(item),
            Some(extra) => self.extra_ids.0.get(extra).map_or("", |id| id),
        }
    }

    /// What it is: product, post, ad, course, ...
    pub fn kind(&self, item: ItemIdx) -> &str {
        match self.new_fields(item) {
            Some(new) => new.kind(item, &self.snapshot),
            None => kind_of(item, &self.snapshot),
        }
    }

    /// The category; may be empty.
    pub fn category(&self, item: ItemIdx) -> &str {
        match self.new_fields(item) {
            Some(new) => new.category(item, &self.snapshot),
            None => self.snapshot.items.category(item),
        }
    }

    /// The name for people; may be empty.
    pub fn title(&self, item: ItemIdx) -> &str {
        match self.new_fields(item) {
            Some(new) => new.title(item, &self.snapshot),
            None => self.snapshot.items.title(item),
        }
    }

    /// Price of one unit, if known.
    pub fn unit_price(&self, item: ItemIdx) -> Option<Money<'_>> {
        match self.new_fields(item) {
            Some(new) => new.unit_price(item, &self.snapshot),
            None => self.snapshot.items.unit_price(item),
        }
    }

    fn new_fields(&self, item: ItemIdx) -> Option<NewFields<'_>> {
        let fact = self.all.fact(item)?;
        Some(NewFields::new(fact, &self.snapshot))
    }
}
