//! Reads behavioural features: one binary search for each (entity, view), then columns.
//!
//! A value's status is decided here and nowhere else: MISSING without a row or value, EXPIRED when the row
//! is older than the view's time to live, else what the snapshot says (PRESENT or IMPUTED). An expired
//! value is answered as 0, so that nobody uses it by oversight.
//!
//! Cost: 500 entities x 10 views x 12 steps of search, about 1 ms; one entity and view about 0.2 us.
//! The trade-off: values are copied into columns (the wire's shape), one pass over entities for each view.

use crate::snapshot::FeatureView;
use crate::types::{FeatureStatus, TimeUs};

/// Names one entity; `category` is empty except for `UserCategory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityKey<'a> {
    /// User or item id.
    pub entity_id: &'a str,
    /// Category of a cross.
    pub category: &'a str,
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

/// Reads one view for some entities at a moment; `view` is its position in the snapshot.
pub fn read(
    view: usize,
    rows: &FeatureView,
    entity_keys: &[EntityKey],
    now: TimeUs,
) -> FeatureFrame {
    let empty = |feature| FeatureColumn {
        feature,
        values: Vec::with_capacity(entity_keys.len()),
        statuses: Vec::with_capacity(entity_keys.len()),
    };
    let mut columns: Vec<FeatureColumn> = (0..rows.spec.features.len()).map(empty).collect();
    let mut event_times = Vec::with_capacity(entity_keys.len());
    for key in entity_keys {
        let row = rows.find(key.entity_id, key.category);
        event_times.push(row.map_or(TimeUs(0), |row| row.event_at));
        let is_expired = row.is_some_and(|row| row.event_at.after(rows.spec.ttl) < now);
        for (feature, column) in columns.iter_mut().enumerate() {
            let stored = row.map_or(FeatureStatus::Missing, |row| {
                status_of(row.statuses[feature])
            });
            let status = match stored {
                FeatureStatus::Present | FeatureStatus::Imputed if is_expired => {
                    FeatureStatus::Expired
                }
                as_stored => as_stored,
            };
            let value = match status {
                FeatureStatus::Present | FeatureStatus::Imputed => {
                    row.map_or(0.0, |row| row.values[feature])
                }
                FeatureStatus::Missing | FeatureStatus::Expired => 0.0,
            };
            column.values.push(value);
            column.statuses.push(status);
        }
    }
    FeatureFrame {
        view,
        columns,
        event_times,
    }
}

/// The status of a byte that the snapshot has verified to be 1, 2 or 4.
fn status_of(byte: u8) -> FeatureStatus {
    match byte {
        1 => FeatureStatus::Present,
        4 => FeatureStatus::Imputed,
        _ => FeatureStatus::Missing,
    }
}
