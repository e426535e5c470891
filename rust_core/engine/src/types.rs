//! The words that all rooms share: indices, times, money, sources and features.
//!
//! Indices are only meaningful with the snapshot that they came from. Times are microseconds since
//! 1970-01-01 UTC, as in the event log.

mod event_key;
mod item_set;
mod pages;
mod prefetch;
mod rank_key;

pub use event_key::EventKey;
pub use item_set::ItemSet;
pub use pages::Pages;
pub(crate) use prefetch::prefetch;
pub use rank_key::RankKey;

use serde::Deserialize;

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

/// Where candidates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Items similar to the items of the history and the cart.
    ItemKnn,
    /// Items of similar users.
    UserKnn,
    /// Items the user chose before (only where seen items are not hidden).
    Repeat,
    /// Popular in the last day.
    #[serde(rename = "popular_1d")]
    Popular1d,
    /// Popular in the last 7 days.
    #[serde(rename = "popular_7d")]
    Popular7d,
    /// Popular in the last 30 days.
    #[serde(rename = "popular_30d")]
    Popular30d,
}

impl Source {
    /// All sources in the order in which weights and scores are stored.
    pub const ALL: [Source; 6] = [
        Source::ItemKnn,
        Source::UserKnn,
        Source::Repeat,
        Source::Popular1d,
        Source::Popular7d,
        Source::Popular30d,
    ];

    /// The name in configuration, snapshot and reports.
    pub fn name(self) -> &'static str {
        match self {
            Source::ItemKnn => "item_knn",
            Source::UserKnn => "user_knn",
            Source::Repeat => "repeat",
            Source::Popular1d => "popular_1d",
            Source::Popular7d => "popular_7d",
            Source::Popular30d => "popular_30d",
        }
    }

    /// Whether it needs to know nothing of the user.
    pub fn is_popular(self) -> bool {
        match self {
            Source::ItemKnn | Source::UserKnn | Source::Repeat => false,
            Source::Popular1d | Source::Popular7d | Source::Popular30d => true,
        }
    }
}

/// One item of H with its decayed weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taste {
    /// Row of the item table.
    pub item: u32,
    /// `w · 2^(−age / half_life)`.
    pub weight: f32,
    /// Whether it lies in the cart.
    pub is_in_cart: bool,
}

/// What an entity key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A user.
    User,
    /// An item.
    Item,
    /// A user and a category.
    UserCategory,
}

/// What a feature value is worth. The numbers are those of the snapshot's status bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FeatureStatus {
    /// Computed from events.
    Present = 1,
    /// No value.
    Missing = 2,
    /// Older than the view's time to live.
    Expired = 3,
    /// Filled in.
    Imputed = 4,
}
