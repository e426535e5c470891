//! `event_ids.arrow`: by what imported events are known when they are recorded once more.

use arrow_buffer::ScalarBuffer;

use super::arrow_schema::{ColumnSpec, ColumnType};
use super::files::Files;
use crate::error::Result;
use crate::types::EventKey;

pub(super) const FILE: &str = "event_ids.arrow";

/// Keys of imported events of the dedupe window, ascending.
#[derive(Debug)]
pub struct EventIds {
    high: ScalarBuffer<u64>,
    low: ScalarBuffer<u64>,
}

/// Reads and checks the keys.
pub(super) fn read(files: &Files) -> Result<EventIds> {
    let mut arrow = files.arrow(
        FILE,
        vec![
            ColumnSpec::new("high", ColumnType::UInt64),
            ColumnSpec::new("low", ColumnType::UInt64),
        ],
    )?;
    let ids = EventIds {
        high: arrow.uint64s()?,
        low: arrow.uint64s()?,
    };
    if let Some(row) = (1..ids.len()).find(|&row| ids.key(row - 1) >= ids.key(row)) {
        return Err(arrow.wrong_value("high", format!("row {row} is not after the row before")));
    }
    arrow.finish()?;
    Ok(ids)
}

impl EventIds {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.high.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an event was imported; binary search.
    pub fn contains(&self, key: EventKey) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        false
    }

    /// All keys, ascending.
    pub fn iter(&self) -> impl Iterator<Item = EventKey> {
        (0..self.len()).map(|row| self.key(row))
    }

    /// The key of a row that exists.
    fn key(&self, row: usize) -> EventKey {
        EventKey(u128::from(self.high[row]) << 64 | u128::from(self.low[row]))
    }
}
