//! Live items by their row in one snapshot.
//!
//! Live state numbers items itself, because its events outlive snapshots. What such a number is in a snapshot is looked
//! up when it is first asked for (0.5 us) and remembered; then it is one load. The vector grows in chunks that never
//! move, each twice as long as the one before, so that readers need no lock. Two threads that look the same item up at
//! once find the same.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::catalogue::Catalogue;
use crate::history::{LiveItem, LiveState};
use crate::types::ItemIdx;

/// Numbers in the first chunk.
const FIRST: usize = 1024;
/// Enough for all numbers of 32 bits.
const CHUNKS: usize = 23;

/// Nobody has asked yet.
const UNKNOWN: u32 = 0;
/// The snapshot has no such item.
const NO_ROW: u32 = 1;
/// What stands for row 0.
const ROWS: u32 = 2;

/// For each live item its row, once somebody has asked for it.
#[derive(Debug, Default)]
pub(super) struct Translation {
    chunks: [OnceLock<Box<[AtomicU32]>>; CHUNKS],
}

impl Translation {
    /// The item as the catalogue numbers it; `None` for one that it does not know. The catalogue must be one of the
    /// snapshot that this translates to.
    pub(super) fn item_of(
        &self,
        live_item: LiveItem,
        live: &LiveState,
        catalogue: &Catalogue,
    ) -> Option<ItemIdx> {
        let place = self.place(live_item.index())?;
        match place.load(Ordering::Relaxed) {
            UNKNOWN => {
                let item_id = live.item_id(live_item)?;
                let row = catalogue.snapshot().items.find(&item_id);
                place.store(row.map_or(NO_ROW, |row| row.0 + ROWS), Ordering::Relaxed);
                row.or_else(|| catalogue.find_extra(&item_id))
            }
            // Extras come and go with the catalogue; so they are not remembered.
            NO_ROW if catalogue.has_extras() => catalogue.find_extra(&live.item_id(live_item)?),
            NO_ROW => None,
            row => Some(ItemIdx(row - ROWS)),
        }
    }

    fn place(&self, index: usize) -> Option<&AtomicU32> {
        let chunk = (index / FIRST + 1).ilog2() as usize;
        let first = FIRST * ((1 << chunk) - 1);
        let unknown = || {
            (0..FIRST << chunk)
                .map(|_| AtomicU32::new(UNKNOWN))
                .collect()
        };
        self.chunks
            .get(chunk)?
            .get_or_init(unknown)
            .get(index - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let translation = Translation::default();
        for index in (0..10 * FIRST).rev() {
            let place = translation.place(index).unwrap();
            assert_eq!(place.swap(index as u32 + ROWS, Ordering::Relaxed), UNKNOWN);
        }
        for index in 0..10 * FIRST {
            let place = translation.place(index).unwrap();
            assert_eq!(place.load(Ordering::Relaxed), index as u32 + ROWS);
        }
        // The last chunk would hold the largest number.
        let last = u32::MAX as usize;
        assert_eq!((last / FIRST + 1).ilog2() as usize, CHUNKS - 1);
    }
}
