//! A shop of seven items and three users, small enough to decide by hand.

use std::sync::Arc;

use promosvc_engine::decision::{Placement, SeenRule};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::snapshot::Snapshot;

use super::{DAY_US, HistoryRow, ItemRow, SnapshotRows, WATERMARK_US};

/// `old` was bought yesterday, `looked` viewed today. `near` is similar to `old`, `far` a little;
/// `hit` is what everybody buys; `gone` cannot be had; `alone` nobody knows of.
pub fn rows() -> SnapshotRows {
    let mut gone = ItemRow::in_category("gone", "bread");
    gone.is_available = false;
    let mut looked = ItemRow::in_category("looked", "wine");
    looked.kind = "course".into();
    let items = vec![
        ItemRow::new("alone"),
        ItemRow::in_category("far", "bread"),
        gone,
        ItemRow::in_category("hit", "milk"),
        looked,
        ItemRow::in_category("near", "bread"),
        ItemRow::in_category("old", "milk"),
    ];
    let mut rows = SnapshotRows::empty(items, &["ann", "ben", "new"]);
    let entry = |item, event, age_days| HistoryRow {
        item,
        event,
        last_at_us: WATERMARK_US - age_days * DAY_US,
        count: 2,
    };
    rows.history = vec![
        vec![entry(4, 1, 0), entry(6, 0, 1)],
        vec![entry(1, 0, 3)],
        vec![],
    ];
    rows.item_neighbours[6] = vec![(5, 0.8), (2, 0.6), (1, 0.2)];
    rows.item_neighbours[4] = vec![(1, 0.5)];
    rows.user_neighbours[0] = vec![(1, 0.5)];
    rows.popular = [
        vec![(3, 3.0)],
        vec![(3, 9.0), (6, 4.0)],
        vec![(3, 30.0), (2, 20.0), (5, 10.0)],
    ];
    rows
}

/// Two items, purchases hidden, with reasons.
pub fn placement() -> Placement {
    Placement {
        page_size: 2,
        sources: Vec::new(),
        seen: SeenRule {
            hide_seen: true,
            event_names: vec!["purchase".into()],
            window: None,
        },
        category_cap: 0,
        include_reasons: true,
    }
}

/// An engine on a snapshot, with `placement` as "default".
pub fn engine_of(rows: &SnapshotRows) -> Engine {
    let placements = [("default".to_owned(), placement())].into();
    let engine = Engine::new(EngineSettings { placements }).unwrap();
    let root = tempfile::tempdir().unwrap();
    engine.publish(Arc::new(Snapshot::open(&rows.write(root.path())).unwrap()));
    engine
}
