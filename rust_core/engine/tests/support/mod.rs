//! Writes snapshots in the documented format from plain rows, for tests and benches.
//!
//! Written from `docs/snapshot-format.md` with arrow-rs' own writer; it shares no code with the reader that
//! it tests.
#![allow(dead_code, unreachable_pub)] // one module shared by several test crates, each of which uses its part

pub mod arrow;
pub mod asks;
pub mod log;
pub mod random;
pub mod shop;
pub mod twin;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One row of `items.arrow`.
#[derive(Clone, Debug)]
pub struct ItemRow {
    pub item_id: String,
    pub kind: String,
    pub category: String,
    pub title: String,
    pub unit_price: Option<(i64, String)>,
    pub stock: Option<i64>,
    pub is_available: bool,
}

/// One entry of a user's history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoryRow {
    pub item: u32,
    pub event: u8,
    pub last_at_us: i64,
    pub count: u32,
}

/// One row of a feature view.
#[derive(Clone, Debug)]
pub struct FeatureRow {
    pub entity_id: String,
    pub category: String,
    pub event_at_us: i64,
    pub values: Vec<f32>,
    pub statuses: Vec<u8>,
}

impl FeatureRow {
    /// A row of one entity.
    pub fn new(key: (&str, &str), event_at_us: i64, values: &[f32], statuses: &[u8]) -> Self {
        Self {
            entity_id: key.0.into(),
            category: key.1.into(),
            event_at_us,
            values: values.to_vec(),
            statuses: statuses.to_vec(),
        }
    }
}

/// One feature view.
#[derive(Clone, Debug)]
pub struct ViewRows {
    pub name: String,
    pub entity: String,
    pub ttl_seconds: i64,
    /// Name and dictionary (empty for a number).
    pub features: Vec<(String, Vec<String>)>,
    pub rows: Vec<FeatureRow>,
}

/// Everything that a snapshot holds.
#[derive(Clone, Debug)]
pub struct SnapshotRows {
    pub watermark_at_us: i64,
    pub items: Vec<ItemRow>,
    pub users: Vec<String>,
    pub history_events: Vec<String>,
    pub history: Vec<Vec<HistoryRow>>,
    pub item_neighbours: Vec<Vec<(u32, f32)>>,
    pub user_neighbours: Vec<Vec<(u32, f32)>>,
    /// Windows of 1, 7 and 30 days.
    pub popular: [Vec<(u32, f32)>; 3],
    /// Keys of imported events, ascending.
    pub event_ids: Vec<u128>,
    pub views: Vec<ViewRows>,
    pub blend: Value,
    pub events_position: u64,
}

/// Microseconds of a day.
pub const DAY_US: i64 = 86_400_000_000;
/// 2018-01-01 04:00 UTC.
pub const WATERMARK_US: i64 = 1_514_779_200_000_000;

impl ItemRow {
    /// An available product without a category.
    pub fn new(item_id: &str) -> Self {
        Self {
            item_id: item_id.into(),
            kind: "product".into(),
            category: String::new(),
            title: format!("The {item_id}"),
            unit_price: Some((199, "USD".into())),
            stock: None,
            is_available: true,
        }
    }

    /// The same in a category.
    pub fn in_category(item_id: &str, category: &str) -> Self {
        Self {
            category: category.into(),
            ..Self::new(item_id)
        }
    }
}

impl SnapshotRows {
    /// Items and users without any past, neighbours or popularity.
    pub fn empty(items: Vec<ItemRow>, users: &[&str]) -> Self {
        Self {
            watermark_at_us: WATERMARK_US,
            history: vec![Vec::new(); users.len()],
            item_neighbours: vec![Vec::new(); items.len()],
            user_neighbours: vec![Vec::new(); users.len()],
            popular: Default::default(),
            items,
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            history_events: vec!["purchase".into(), "view_item".into()],
            event_ids: Vec::new(),
            views: Vec::new(),
            blend: default_blend(),
            events_position: 0,
        }
    }

    /// Writes the snapshot below `root` and returns its directory.
    pub fn write(&self, root: &Path) -> PathBuf {
        let building = root.join(".building-0");
        fs::create_dir_all(building.join("features")).unwrap();
        arrow::write_all(self, &building);
        fs::write(building.join("blend.json"), self.blend.to_string()).unwrap();
        seal(&building, &self.manifest())
    }

    /// The manifest without `files`.
    pub fn manifest(&self) -> Value {
        let view = |view: &ViewRows| {
            let feature = |(name, dictionary): &(String, Vec<String>)| {
                let value_type = if dictionary.is_empty() {
                    "number"
                } else {
                    "category"
                };
                json!({"name": name, "type": value_type, "dictionary": dictionary})
            };
            json!({
                "name": view.name, "entity": view.entity, "ttl_seconds": view.ttl_seconds,
                "file": format!("features/{}.arrow", view.name),
                "features": view.features.iter().map(feature).collect::<Vec<_>>(),
            })
        };
        json!({
            "format_version": 2,
            "watermark_at_us": self.watermark_at_us,
            "events_position": self.events_position,
            "seed": 7,
            "schema_fingerprint": "0".repeat(64),
            "library_versions": {"arrow-rs": "60"},
            "history_events": self.history_events,
            "models": [{"name": "item_knn", "version": "0123456789abcdef", "parameters": {"k": 100}}],
            "feature_views": self.views.iter().map(view).collect::<Vec<_>>(),
        })
    }
}

/// The example of the format's page.
pub fn default_blend() -> Value {
    json!({
        "item_knn": {"history_max": 100, "history_half_life_days": 30.0},
        "user_knn": {"neighbours_max": 80, "history_max": 100},
        "repeat": {"half_life_days": 60.0},
        "weights": {
            "unseen": {"item_knn": 0.5, "user_knn": 0.2, "repeat": 0.0,
                       "popular_1d": 0.0, "popular_7d": 0.2, "popular_30d": 0.1},
            "repeats": {"item_knn": 0.2, "user_knn": 0.1, "repeat": 0.6,
                        "popular_1d": 0.0, "popular_7d": 0.1, "popular_30d": 0.0}
        },
        "event_weights": {"purchase": 1.0, "view_item": 0.2}
    })
}

/// Lists the files of `building` in `manifest`, writes it, and renames the directory to the id that this
/// makes. Also what a forger would do after changing a file.
pub fn seal(building: &Path, manifest: &Value) -> PathBuf {
    let mut files = BTreeMap::new();
    for name in names_below(building) {
        if name != "manifest.json" {
            let bytes = fs::read(building.join(&name)).unwrap();
            let rows = arrow::rows_of(&bytes);
            files.insert(
                name,
                json!({"bytes": bytes.len(), "sha256": sha256(&bytes), "rows": rows}),
            );
        }
    }
    let mut manifest = manifest.clone();
    manifest["files"] = json!(files);
    write_manifest(building, &manifest)
}

/// Writes a manifest as it is and renames the directory to its id.
pub fn write_manifest(building: &Path, manifest: &Value) -> PathBuf {
    let bytes = serde_json::to_vec(manifest).unwrap();
    fs::write(building.join("manifest.json"), &bytes).unwrap();
    let watermark_us = manifest["watermark_at_us"].as_i64().unwrap_or(0);
    let directory = building.with_file_name(id_of(watermark_us, &bytes));
    if directory != building {
        let _ = fs::remove_dir_all(&directory);
        fs::rename(building, &directory).unwrap();
    }
    directory
}

/// The manifest of a written snapshot.
pub fn read_manifest(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap()
}

/// All files below a directory, as relative paths with `/`.
pub fn names_below(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            names.extend(
                names_below(&entry.path())
                    .into_iter()
                    .map(|inner| format!("{name}/{inner}")),
            );
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

/// Copies a snapshot to another parent directory, under the same id.
pub fn copy(directory: &Path, root: &Path) -> PathBuf {
    let target = root.join(directory.file_name().unwrap());
    let _ = fs::remove_dir_all(&target);
    fs::create_dir_all(target.join("features")).unwrap();
    for name in names_below(directory) {
        fs::copy(directory.join(&name), target.join(&name)).unwrap();
    }
    target
}

fn id_of(watermark_us: i64, manifest: &[u8]) -> String {
    // Only what tests write: 2018-01-01, in seconds of that day.
    let second = watermark_us.div_euclid(1_000_000) - 1_514_764_800;
    assert!(
        (0..86_400).contains(&second),
        "tests write snapshots of 2018-01-01"
    );
    let time = format!(
        "{:02}{:02}{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    format!("20180101T{time}Z-{}", &sha256(manifest)[..16])
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
