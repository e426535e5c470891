//! What is asked and what is answered, in the engine's own words.
//!
//! A decision is a pure function of (snapshot, live events of the user, catalogue, request, now): the same five give
//! the same bytes, and `DecisionTrace` names all that are not the caller's own.
//! The server's `convert` makes these from messages and messages from these; nothing here knows the wire.

use std::sync::Arc;

use serde::Deserialize;

use crate::catalogue::Catalogue;
use crate::snapshot::Snapshot;
use crate::types::{DurationUs, ItemIdx, Money, TimeUs};

pub use crate::eligibility::SeenRule;
pub use crate::features::{EntityKey, FeatureColumn, FeatureFrame};
pub use crate::ranking::{Basis, RankedItem, Reason};
pub use crate::types::{EntityKind, FeatureStatus, Source};

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

/// Why an answer is less personal than it could be. The last that holds is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DegradedReason {
    /// Neither the snapshot nor live state knows the user (or the visitor is anonymous), and there is no cart.
    UnknownUser,
    /// Known, but without usable history or cart.
    NoHistory,
    /// Recent events of the user may be missing, because live state is full. Told also of a personal answer; and in
    /// place of the others, because what is missing might have been the user's history.
    LiveStateFull,
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

/// The answer; names and prices are asked of it.
#[derive(Clone)]
pub struct Recommendation {
    /// The snapshot that the whole answer was made from.
    pub snapshot: Arc<Snapshot>,
    /// The items as they were then.
    pub catalogue: Arc<Catalogue>,
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

/// An item of an answer may be one that the snapshot does not have; so these, and never the snapshot, are asked.
impl Recommendation {
    /// The id of an item.
    pub fn item_id(&self, item: ItemIdx) -> &str {
        self.catalogue.item_id(item)
    }

    /// The name for people; may be empty.
    pub fn title(&self, item: ItemIdx) -> &str {
        self.catalogue.title(item)
    }

    /// What an item is: product, post, ad, course, ...
    pub fn kind(&self, item: ItemIdx) -> &str {
        self.catalogue.kind(item)
    }

    /// The category; may be empty.
    pub fn category(&self, item: ItemIdx) -> &str {
        self.catalogue.category(item)
    }

    /// Price of one unit, if known.
    pub fn unit_price(&self, item: ItemIdx) -> Option<Money<'_>> {
        self.catalogue.unit_price(item)
    }
}

/// What a decision was made from besides snapshot, placement, request and clock, and what its sources said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionTrace {
    /// Position of the event log up to which catalogue facts were in it.
    pub events_position: u64,
    /// The user's live events that were read, by time, then position.
    pub used_events: Vec<UsedEvent>,
    /// Whether live state said that events of the user may be missing.
    pub is_live_state_incomplete: bool,
    /// SHA-256 over the catalogue facts since the snapshot; `None` without any.
    pub catalogue_hash: Option<[u8; 32]>,
    /// The best of each source and what is on the page, best first.
    pub candidates: Vec<TracedCandidate>,
}

/// A live event as a decision saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedEvent {
    /// Where it stands in the event log.
    pub position: u64,
    /// Its name.
    pub event_name: String,
    /// Its item.
    pub item_id: String,
    /// When it happened.
    pub event_at: TimeUs,
}

/// What sources said about an item.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedCandidate {
    /// The item.
    pub item_id: String,
    /// Its blended score.
    pub score: f32,
    /// Normalised score by source, in the order of `Source::ALL`; 0 for sources that take no part.
    pub source_scores: [f32; Source::ALL.len()],
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
