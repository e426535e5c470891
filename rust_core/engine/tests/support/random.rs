//! Random snapshots and requests for property tests: small, dense, full of ties.

use proptest::prelude::*;
use serde_json::json;

use super::{DAY_US, FeatureRow, HistoryRow, ItemRow, SnapshotRows, ViewRows, WATERMARK_US};

pub const CATEGORIES: [&str; 4] = ["", "bread", "milk", "wine"];
pub const KINDS: [&str; 2] = ["product", "course"];
pub const EVENTS: [&str; 3] = ["purchase", "view_item", "refund"];

/// A random snapshot of up to 30 items and 6 users.
pub fn snapshot_rows() -> impl Strategy<Value = SnapshotRows> {
    (0..=30_usize, 0..=6_usize).prop_flat_map(|(item_count, user_count)| {
        (
            prop::collection::vec(item(), item_count),
            prop::collection::vec(history(item_count), user_count),
            prop::collection::vec(ranking(item_count), item_count),
            prop::collection::vec(ranking(user_count), user_count),
            [
                ranking(item_count),
                ranking(item_count),
                ranking(item_count),
            ],
            blend(),
        )
            .prop_map(
                |(mut items, history, item_neighbours, user_neighbours, popular, blend)| {
                    for (row, item) in items.iter_mut().enumerate() {
                        item.item_id = item_id(row);
                    }
                    SnapshotRows {
                        watermark_at_us: WATERMARK_US,
                        users: (0..history.len()).map(user_id).collect(),
                        history_events: EVENTS.map(str::to_owned).to_vec(),
                        item_neighbours: without_self(item_neighbours),
                        user_neighbours: without_self(user_neighbours),
                        items,
                        history,
                        popular,
                        event_ids: Vec::new(),
                        views: Vec::new(),
                        blend,
                        events_position: 0,
                    }
                },
            )
    })
}

/// A snapshot that has something in every file, for hostile tests.
pub fn example() -> SnapshotRows {
    let items = (0..12).map(|row| ItemRow {
        item_id: item_id(row),
        kind: KINDS[row % 2].into(),
        category: CATEGORIES[row % 4].into(),
        title: format!("Näme {row}"),
        unit_price: (row % 3 != 0).then(|| (100 + row as i64, "USD".into())),
        stock: (row % 4 == 1).then_some(row as i64 / 5),
        is_available: row % 5 != 4,
    });
    let mut rows = SnapshotRows::empty(items.collect(), &["user-0", "user-1", "user-2"]);
    for user in 0..3_u32 {
        let entry = |at: u32| HistoryRow {
            item: (at * 5 + user) % 12,
            event: (at % 2) as u8,
            last_at_us: WATERMARK_US - i64::from(at) * DAY_US,
            count: at + 1,
        };
        rows.history[user as usize] = (0..6).map(entry).collect();
        let others = (0..3).filter(|&other| other != user);
        rows.user_neighbours[user as usize] = others.zip([0.75, 0.25]).collect();
    }
    for item in 0..12_u32 {
        rows.item_neighbours[item as usize] = (1..5)
            .map(|step| ((item + step) % 12, 1.0 / step as f32))
            .collect();
    }
    rows.popular = [
        vec![(3, 5.0), (1, 2.0)],
        vec![(3, 9.0), (0, 4.0), (1, 4.0)],
        (0..12).map(|item| (item, 20.0 - item as f32)).collect(),
    ];
    rows.event_ids = vec![0, 1, 1 << 64, (1 << 64) + 1, u128::MAX];
    rows.events_position = 12;
    rows.views = views();
    rows
}

/// A view of each entity kind.
pub fn views() -> Vec<ViewRows> {
    let number = |name: &str| (name.to_owned(), Vec::new());
    let day = WATERMARK_US - DAY_US;
    vec![
        ViewRows {
            name: "item_popularity".into(),
            entity: "item".into(),
            ttl_seconds: 86_400,
            features: vec![number("purchases_7d")],
            rows: vec![FeatureRow::new(("item-000", ""), day, &[3.0], &[1])],
        },
        ViewRows {
            name: "user_category".into(),
            entity: "user_category".into(),
            ttl_seconds: 864_000,
            features: vec![number("share")],
            rows: vec![
                FeatureRow::new(("user-0", "bread"), day, &[0.75], &[1]),
                FeatureRow::new(("user-0", "milk"), day, &[0.25], &[4]),
            ],
        },
        ViewRows {
            name: "user_rfm".into(),
            entity: "user".into(),
            ttl_seconds: 864_000,
            features: vec![
                number("purchases_7d"),
                ("segment".into(), vec!["gold".into(), "silver".into()]),
            ],
            rows: vec![
                FeatureRow::new(("user-0", ""), day, &[2.0, 1.0], &[1, 4]),
                FeatureRow::new(("user-1", ""), day, &[0.0, 0.0], &[2, 1]),
            ],
        },
    ]
}

pub fn item_id(row: usize) -> String {
    format!("item-{row:03}")
}

pub fn user_id(row: usize) -> String {
    format!("user-{row}")
}

fn item() -> impl Strategy<Value = ItemRow> {
    (
        prop::sample::select(&CATEGORIES),
        prop::sample::select(&KINDS),
        prop_oneof![4 => Just(None), 1 => (0..3_i64).prop_map(Some)],
        prop::bool::weighted(0.8),
    )
        .prop_map(|(category, kind, stock, is_available)| ItemRow {
            kind: kind.into(),
            stock,
            is_available,
            ..ItemRow::in_category("", category)
        })
}

/// Unique (item, event) entries in order; times on a coarse grid, so that many are equal.
fn history(item_count: usize) -> impl Strategy<Value = Vec<HistoryRow>> {
    let keys =
        prop::collection::btree_set((0..item_count.max(1) as u32, 0..EVENTS.len() as u8), 0..20);
    (keys, prop::collection::vec((0..12_i64, 1..5_u32), 20)).prop_map(move |(keys, values)| {
        let mut entries: Vec<HistoryRow> = keys
            .into_iter()
            .filter(|_| item_count > 0)
            .zip(values)
            .map(|((item, event), (age, count))| HistoryRow {
                item,
                event,
                last_at_us: WATERMARK_US - age * DAY_US / 2,
                count,
            })
            .collect();
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.last_at_us), entry.item, entry.event));
        entries
    })
}

/// A ranking over `0..count`; scores on a grid of eighths half of the time, so that many are equal, and
/// now and then so small that products underflow.
fn ranking(count: usize) -> impl Strategy<Value = Vec<(u32, f32)>> {
    let score = prop_oneof![
        8 => (1..16_u32).prop_map(|eighths| eighths as f32 / 8.0),
        8 => 0.001_f32..2.0,
        1 => Just(1e-45_f32),
        1 => Just(1e24_f32),
    ];
    prop::collection::btree_map(0..count.max(1) as u32, score, 0..=count.min(10)).prop_map(
        move |scores| {
            let mut ranked: Vec<(u32, f32)> = scores.into_iter().filter(|_| count > 0).collect();
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            ranked
        },
    )
}

fn without_self(rows: Vec<Vec<(u32, f32)>>) -> Vec<Vec<(u32, f32)>> {
    let keep = |(row, list): (usize, Vec<(u32, f32)>)| {
        list.into_iter()
            .filter(|&(neighbour, _)| neighbour as usize != row)
            .collect()
    };
    rows.into_iter().enumerate().map(keep).collect()
}

fn blend() -> impl Strategy<Value = serde_json::Value> {
    let weight = || prop_oneof![1 => Just(0.0), 2 => 0.0..1.0_f64];
    let weights = move || {
        [weight(), weight(), weight(), weight(), weight(), weight()].prop_map(
            |[a, b, c, d, e, f]| {
                json!({"item_knn": a, "user_knn": b, "repeat": c,
                   "popular_1d": d, "popular_7d": e, "popular_30d": f})
            },
        )
    };
    let event_weights = prop_oneof![
        Just(json!({"purchase": 1.0, "view_item": 0.2})),
        Just(json!({"purchase": 0.5, "view_item": 0.5, "refund": 0.1})),
        Just(json!({"view_item": 1.0, "purchase": 0.0})),
    ];
    (0..15_u32, 0..5_u32, 0..10_u32, weights(), weights(), event_weights).prop_map(
        |(history_max, neighbours_max, neighbour_history_max, unseen, repeats, event_weights)| {
            json!({
                "item_knn": {"history_max": history_max, "history_half_life_days": 1.5},
                "user_knn": {"neighbours_max": neighbours_max, "history_max": neighbour_history_max},
                "repeat": {"half_life_days": 3.0},
                "weights": {"unseen": unseen, "repeats": repeats},
                "event_weights": event_weights,
            })
        },
    )
}
