//! What is asked and what is answered, in the engine's own words.
//!
//! A decision is a pure function of (snapshot, request, now, seed): the same four give the same bytes.
//! The server's `convert` makes these from messages and messages from these; nothing here knows the wire.

use std::sync::Arc;

use serde::Deserialize;

use crate::snapshot::Snapshot;
use crate::types::{DurationUs, ItemIdx, TimeUs};

/// Most items in one answer.
pub const PAGE_SIZE_MAX: usize = 100;
/// Most users in one batch call.
pub const ENTITIES_MAX: usize = 500;
/// Longest id, placement, category or kind in UTF-8 bytes.
pub const ID_BYTES_MAX: usize = 128;
/// Most lines of a cart.
pub const CART_LINES_MAX: usize = 200;
/// Most excluded ids of a request.
pub const EXCLUDED_IDS_MAX: usize = 1_000;
/// Most categories or kinds of a filter, and most views of a feature request.
pub const FILTER_VALUES_MAX: usize = 100;
/// Most event names of a seen filter.
pub const SEEN_EVENT_NAMES_MAX: usize = 20;

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
}

/// Which items of the user's own history are hidden.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenRule {
    /// Whether seen items are hidden at all.
    pub hide_seen: bool,
    /// Event names that make an item seen.
    pub event_names: Vec<String>,
    /// Only events younger than this hide an item; `None` means of any age.
    #[serde(rename = "window_days", deserialize_with = "window_from_days")]
    pub window: Option<DurationUs>,
}

fn window_from_days<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DurationUs>, D::Error> {
    let days = i64::deserialize(deserializer)?;
    Ok((days > 0).then(|| DurationUs::from_days(days)))
}

/// How one named place of a shop shows items. Comes from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Items per page when the request says 0; 1 to `PAGE_SIZE_MAX`.
    pub page_size: usize,
    /// Sources that may give candidates; none means all.
    pub sources: Vec<Source>,
    /// Rule about seen items, unless the request overrides it.
    pub seen: SeenRule,
    /// Most items per category; 0 is no limit.
    pub category_cap: usize,
    /// Whether items say why they are there, unless the request overrides it.
    pub include_reasons: bool,
}

/// One validated request. Borrowed from the message it came from.
#[derive(Clone, Debug, Default)]
pub struct RecommendRequest<'a> {
    /// Empty for an anonymous visitor.
    pub user_id: &'a str,
    /// Items in the cart, in the caller's order.
    pub cart_item_ids: Vec<&'a str>,
    /// Decide without any personal history (and without the cart).
    pub personalization_off: bool,
    /// Items per page; 0 is the placement's default.
    pub page_size: usize,
    /// Any of these categories; empty means any.
    pub categories: Vec<&'a str>,
    /// Any of these kinds; empty means any.
    pub kinds: Vec<&'a str>,
    /// Also items that are not available.
    pub include_unavailable: bool,
    /// Overrides the placement's rule: `(hide_seen, event names or empty for the placement's, window)`.
    pub seen: Option<(bool, Vec<&'a str>, Option<DurationUs>)>,
    /// Never these.
    pub exclude_item_ids: Vec<&'a str>,
    /// Overrides the placement's limit; 0 is no limit.
    pub category_cap: Option<usize>,
    /// Overrides the placement's setting.
    pub include_reasons: Option<bool>,
}

/// Why an answer is less personal than it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DegradedReason {
    /// The user is not in the snapshot (or the visitor is anonymous, without a cart).
    UnknownUser,
    /// Known, but without usable history.
    NoHistory,
}

/// Why an answer has fewer items than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortfallReason {
    /// Fewer items pass the filters.
    FewerEligible,
    /// The limit per category left fewer.
    CategoryCap,
    /// No item passes the filters.
    NothingEligible,
}

/// What a part of a score rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// Similar to an item of the history or the cart.
    BecauseOfItem {
        /// That item.
        item: ItemIdx,
        /// How similar.
        similarity: f32,
        /// Whether it lies in the cart.
        is_in_cart: bool,
    },
    /// Chosen by similar users.
    SimilarUsers {
        /// How many of the neighbours chose it.
        user_count: u32,
    },
    /// Popular in a window.
    PopularItem {
        /// Length of the window.
        window_days: u32,
    },
    /// The user's own earlier choice.
    ChosenBefore {
        /// How often.
        event_count: u32,
        /// When last.
        last_event_at: TimeUs,
    },
    /// History items that are not named one by one.
    OtherHistory {
        /// How many.
        item_count: u32,
    },
}

/// One part of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    /// What it adds.
    pub contribution: f32,
    /// What it rests on.
    pub basis: Basis,
}

/// One item of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedItem {
    /// The item.
    pub item: ItemIdx,
    /// Blended score before diversity.
    pub score: f32,
    /// Contributions that add up to the score within 1e-4, largest first; empty unless asked for.
    pub reasons: Vec<Reason>,
}

/// The answer; names and prices are looked up in `snapshot`.
#[derive(Clone)]
pub struct Recommendation {
    /// The snapshot that the whole answer was made from.
    pub snapshot: Arc<Snapshot>,
    /// The time it was made for.
    pub decided_at: TimeUs,
    /// Items, best first.
    pub items: Vec<RankedItem>,
    /// Items asked for, after defaults.
    pub page_size: usize,
    /// Set when less personal than it could be.
    pub degraded: Option<DegradedReason>,
    /// Set when there are fewer items than asked for.
    pub shortfall: Option<ShortfallReason>,
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

/// Names one entity; `category` is empty except for `UserCategory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityKey<'a> {
    /// User or item id.
    pub entity_id: &'a str,
    /// Category of a cross.
    pub category: &'a str,
}

/// One validated feature request.
#[derive(Clone, Debug)]
pub struct FeatureRequest<'a> {
    /// What the keys name.
    pub entity_kind: EntityKind,
    /// Entities, answered in this order.
    pub entity_keys: Vec<EntityKey<'a>>,
    /// Views; empty means all of this entity kind, by name.
    pub views: Vec<&'a str>,
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

/// One feature of all entities asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureColumn {
    /// Position of the feature in its view.
    pub feature: usize,
    /// One value for each entity; 0 where missing or expired.
    pub values: Vec<f32>,
    /// One status for each entity.
    pub statuses: Vec<FeatureStatus>,
}

/// One view's values.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureFrame {
    /// Position of the view in the snapshot (`snapshot.features.views[view]` has name and features).
    pub view: usize,
    /// One for each feature of the view.
    pub columns: Vec<FeatureColumn>,
    /// One time for each entity; 0 without a row.
    pub event_times: Vec<TimeUs>,
}

/// The answer to a feature request.
#[derive(Clone)]
pub struct FeatureAnswer {
    /// The snapshot that was read.
    pub snapshot: Arc<Snapshot>,
    /// The time that the time to live was judged by.
    pub read_at: TimeUs,
    /// One frame for each view.
    pub frames: Vec<FeatureFrame>,
}
