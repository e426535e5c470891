//! Everything that the log said about one item, field by field.

use std::sync::Arc;

use super::super::ItemFact;
use super::super::checkpoint::invalid;
use super::memory::heap_bytes;
use crate::error::Result;

/// Fields of `promosvc.log.v1.ItemFact`.
const FIELDS: usize = 9;
/// Longest item id in UTF-8 bytes, as on the wire.
const ITEM_ID_BYTES_MAX: usize = 128;
/// Place in the list, table slot, and the pointer's two counts.
const ROW_BYTES: u64 = 8 + 16 + 16;

/// A value and where the log says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    /// What it is.
    pub value: T,
    /// Position of the entry that says so.
    pub position: u64,
}

/// The price of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePrice {
    /// In minor units.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: Arc<str>,
}

/// The newest value of each field of an item; `None` where the log says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFact {
    /// The item.
    pub item_id: Arc<str>,
    /// Position of the first entry about it.
    pub told_at: u64,
    /// What it is.
    pub kind: Option<Told<Arc<str>>>,
    /// Name for people.
    pub title: Option<Told<Arc<str>>>,
    /// Empty for none.
    pub category: Option<Told<Arc<str>>>,
    /// Brand.
    pub brand: Option<Told<Arc<str>>>,
    /// Price of one unit.
    pub unit_price: Option<Told<LivePrice>>,
    /// Pieces that can be had.
    pub stock: Option<Told<i64>>,
    /// Whether it can be had at all.
    pub is_available: Option<Told<bool>>,
}

impl LiveFact {
    /// What one entry of the log says.
    pub(super) fn new(position: u64, word: &ItemFact<'_>) -> Self {
        let mut fact = Self {
            item_id: word.item_id.into(),
            told_at: position,
            kind: None,
            title: None,
            category: None,
            brand: None,
            unit_price: None,
            stock: None,
            is_available: None,
        };
        fact.tell(position, word);
        fact
    }

    /// Takes the fields that a later entry says.
    pub(super) fn tell(&mut self, position: u64, word: &ItemFact<'_>) {
        let ItemFact {
            item_id: _,
            kind,
            title,
            category,
            brand,
            unit_price,
            stock,
            is_available,
        } = *word;
        tell_text(&mut self.kind, position, kind);
        tell_text(&mut self.title, position, title);
        tell_text(&mut self.category, position, category);
        tell_text(&mut self.brand, position, brand);
        if let Some((amount_minor, currency)) = unit_price {
            let value = LivePrice {
                amount_minor,
                currency: currency.into(),
            };
            self.unit_price = Some(Told { value, position });
        }
        if let Some(value) = stock {
            self.stock = Some(Told { value, position });
        }
        if let Some(value) = is_available {
            self.is_available = Some(Told { value, position });
        }
    }

    /// All fields at once, as an entry of the log would say them.
    pub fn as_item_fact(&self) -> ItemFact<'_> {
        ItemFact {
            item_id: &self.item_id,
            kind: text(&self.kind),
            title: text(&self.title),
            category: text(&self.category),
            brand: text(&self.brand),
            unit_price: self
                .unit_price
                .as_ref()
                .map(|told| (told.value.amount_minor, &*told.value.currency)),
            stock: self.stock.as_ref().map(|told| told.value),
            is_available: self.is_available.as_ref().map(|told| told.value),
        }
    }

    /// Position of the newest entry that says something about it.
    pub fn newest_position(&self) -> u64 {
        let said = self.field_positions().into_iter().flatten().max();
        said.map_or(self.told_at, |position| position.max(self.told_at))
    }

    /// Positions as a checkpoint holds them: entry k is that of field k + 1 of `promosvc.log.v1.ItemFact` (the first,
    /// of `item_id`, is where the log first told of the item), 0 for a field that is not set.
    pub fn positions(&self) -> [u64; FIELDS] {
        let [kind, title, category, brand, price, stock, is_available] = self.field_positions();
        let of = |position: Option<u64>| position.unwrap_or(0);
        [
            self.told_at,
            of(kind),
            of(title),
            of(category),
            of(brand),
            of(price),
            of(price),
            of(stock),
            of(is_available),
        ]
    }

    /// The facts of a checkpoint's entry.
    ///
    /// # Errors
    /// `DataLoss` when there are not nine positions. All else is checked by the import.
    pub fn from_checkpoint(fact: &ItemFact<'_>, positions: &[u64]) -> Result<Self> {
        let Ok(positions) = <[u64; FIELDS]>::try_from(positions) else {
            let what = format!(
                "{} has {} positions; {FIELDS} would be right",
                fact.item_id,
                positions.len()
            );
            return Err(invalid("catalogue", what));
        };
        let [
            told_at,
            kind,
            title,
            category,
            brand,
            price,
            _currency,
            stock,
            is_available,
        ] = positions;
        let mut new = Self::new(told_at, fact);
        set(&mut new.kind, kind);
        set(&mut new.title, title);
        set(&mut new.category, category);
        set(&mut new.brand, brand);
        set(&mut new.unit_price, price);
        set(&mut new.stock, stock);
        set(&mut new.is_available, is_available);
        Ok(new)
    }

    /// What is wrong with a fact that is to be of the log before `position`.
    pub(super) fn check(&self, position: u64) -> std::result::Result<(), String> {
        let length = self.item_id.len();
        if length == 0 || length > ITEM_ID_BYTES_MAX {
            return Err(format!(
                "item_id has {length} bytes; 1 to {ITEM_ID_BYTES_MAX} would be right"
            ));
        }
        let of_fields = self.field_positions().into_iter().flatten();
        for said in of_fields.chain([self.told_at]) {
            if said < self.told_at || said >= position {
                return Err(format!(
                    "position {said} is not between {} and {position}",
                    self.told_at
                ));
            }
        }
        Ok(())
    }

    /// Memory.
    pub(super) fn bytes(&self) -> u64 {
        let heap = |text: &Arc<str>| heap_bytes(16 + text.len());
        let texts = [&self.kind, &self.title, &self.category, &self.brand];
        let of_texts: u64 = texts
            .into_iter()
            .flatten()
            .map(|told| heap(&told.value))
            .sum();
        let of_price = self
            .unit_price
            .as_ref()
            .map_or(0, |told| heap(&told.value.currency));
        ROW_BYTES + heap_bytes(size_of::<Self>()) + heap(&self.item_id) + of_texts + of_price
    }

    /// Where the log says each field: kind, title, category, brand, price, stock, availability.
    pub fn field_positions(&self) -> [Option<u64>; 7] {
        [
            self.kind.as_ref().map(|told| told.position),
            self.title.as_ref().map(|told| told.position),
            self.category.as_ref().map(|told| told.position),
            self.brand.as_ref().map(|told| told.position),
            self.unit_price.as_ref().map(|told| told.position),
            self.stock.as_ref().map(|told| told.position),
            self.is_available.as_ref().map(|told| told.position),
        ]
    }
}

fn tell_text(field: &mut Option<Told<Arc<str>>>, position: u64, text: Option<&str>) {
    if let Some(text) = text {
        let value = text.into();
        *field = Some(Told { value, position });
    }
}

fn text(field: &Option<Told<Arc<str>>>) -> Option<&str> {
    field.as_ref().map(|told| &*told.value)
}

fn set<T>(field: &mut Option<Told<T>>, position: u64) {
    if let Some(told) = field {
        told.position = position;
    }
}
