//! The words that all rooms share: indices, times, money.
//!
//! Indices are only meaningful with the snapshot that they came from. Times are microseconds since
//! 1970-01-01 UTC, as in the event log.

/// Row of the snapshot's item table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct ItemIdx(pub u32);

/// Row of the snapshot's user table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct UserIdx(pub u32);

impl ItemIdx {
    /// The index as a position in a column.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl UserIdx {
    /// The index as a position in a column.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// A point in time: microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct TimeUs(pub i64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct DurationUs(pub i64);

impl DurationUs {
    /// So many days of 86,400 seconds; saturates.
    pub fn from_days(days: i64) -> Self {
        Self(days.saturating_mul(86_400_000_000))
    }
}

impl TimeUs {
    /// This time minus `duration`; saturates.
    pub fn before(self, duration: DurationUs) -> Self {
        Self(self.0.saturating_sub(duration.0))
    }

    /// This time plus `duration`; saturates.
    pub fn after(self, duration: DurationUs) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

/// An amount in the minor unit of a currency (ISO 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money<'a> {
    /// The amount in minor units.
    pub amount_minor: i64,
    /// Three capital letters.
    pub currency: &'a str,
}
