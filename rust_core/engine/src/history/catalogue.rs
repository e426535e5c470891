//! Price and availability, behind one trait.

use crate::snapshot::Snapshot;
use crate::types::{ItemIdx, Money};

/// Who knows what an item costs and whether it can be had.
pub trait Catalogue {
    /// Whether the item can be had now.
    fn is_available(&self, item: ItemIdx) -> bool;
    /// Price of one unit, if known.
    fn unit_price(&self, item: ItemIdx) -> Option<Money<'_>>;
}

impl Catalogue for Snapshot {
    fn is_available(&self, item: ItemIdx) -> bool {
        self.items.is_available(item)
    }

    fn unit_price(&self, item: ItemIdx) -> Option<Money<'_>> {
        self.items.unit_price(item)
    }
}
