//! Files that lie: refused by name, never a panic.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::{Float32Type, UInt32Type};
use promosvc_engine::decision::{EntityKey, EntityKind, FeatureRequest, RecommendRequest};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::{Error, ErrorKind};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::{EventKey, ItemIdx, TimeUs};
use serde_json::{Value, json};
use support::{
    SnapshotRows, WATERMARK_US, arrow, names_below, random, read_manifest, seal, write_manifest,
};

/// What a forger does.
type Change<T> = fn(&mut T);

/// Small and fixed: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

fn refusal(directory: &Path) -> Error {
    match Snapshot::open(directory) {
        Err(error) => error,
        Ok(_) => panic!("{} was opened", directory.display()),
    }
}

/// Asserts that a directory is refused as damaged, naming `file` and saying `what`.
fn assert_refused(directory: &Path, file: &str, what: &str) {
    let error = refusal(directory);
    assert_eq!(error.kind, ErrorKind::DataLoss, "{error}");
    assert!(
        error.message.starts_with(&format!("{file}: ")),
        "{error} does not name {file}"
    );
    assert!(
        error.message.contains(what),
        "{error} does not say {what:?}"
    );
    assert!(
        error.metadata.contains(&("file", file.to_owned())),
        "{error}"
    );
}

/// Changes a good snapshot in place, seals it again as a forger would, and asserts that it is refused.
fn assert_forgery_refused(change: impl FnOnce(&Path), file: &str, what: &str) {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    let manifest = read_manifest(&directory);
    change(&directory);
    assert_refused(&seal(&directory, &manifest), file, what);
}

/// Asks everything that a snapshot could answer wrongly or panic on.
fn exercise(snapshot: Snapshot) {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let placement: promosvc_engine::decision::Placement = serde_json::from_value(json!({
        "page_size": 20, "sources": [], "category_cap": 2, "include_reasons": true,
        "seen": {"hide_seen": true, "event_names": ["purchase"], "window_days": 0},
    }))
    .unwrap();
    engine.publish(Arc::new(snapshot));
    for user_id in ["", "user-0", "user-1", "user-2"] {
        for hide_seen in [false, true] {
            let request = RecommendRequest {
                user_id,
                cart_item_ids: vec!["item-001"],
                seen: Some((hide_seen, Vec::new(), None)),
                ..RecommendRequest::default()
            };
            let options = Default::default();
            let now = TimeUs(WATERMARK_US);
            let answer = engine
                .recommend_for_evaluation(&placement, &request, now, &options)
                .unwrap();
            for item in &answer.items {
                assert!(item.score.is_finite());
                assert!(!answer.snapshot.item_id(item.item).is_empty());
                let _ = answer.snapshot.items.title(item.item);
                let _ = answer.unit_price(item.item);
            }
        }
    }
    for entity_kind in [EntityKind::User, EntityKind::Item, EntityKind::UserCategory] {
        let entity_keys = vec![
            EntityKey {
                entity_id: "user-0",
                category: "bread",
            },
            EntityKey {
                entity_id: "item-000",
                category: "",
            },
        ];
        let request = FeatureRequest {
            entity_kind,
            entity_keys,
            views: Vec::new(),
        };
        engine.get_features(&request, TimeUs(WATERMARK_US)).unwrap();
    }
}

#[test]
fn opens_what_is_right() {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    let snapshot = Snapshot::open(&directory).unwrap();
    assert_eq!(
        snapshot.id,
        directory.file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(snapshot.items.len(), 12);
    assert_eq!(
        snapshot.user_id(snapshot.users.find("user-2").unwrap()),
        "user-2"
    );
    assert_eq!(snapshot.items.find("item-012"), None);
    let item = snapshot.items.find("item-001").unwrap();
    assert_eq!(snapshot.items.title(item), "Näme 1");
    assert_eq!(snapshot.items.unit_price(item).unwrap().amount_minor, 101);
    // It can be had in general, and is out of stock.
    assert_eq!(snapshot.items.stock(item), Some(0));
    assert!(snapshot.items.can_be_had(item) && !snapshot.items.is_available(item));
    assert_eq!(snapshot.items.stock(ItemIdx(5)), Some(1));
    assert!(snapshot.items.is_available(ItemIdx(5)));
    assert_eq!(snapshot.items.stock(ItemIdx(0)), None);
    assert_eq!(snapshot.manifest.events_position, 12);
    let ids = &snapshot.event_ids;
    assert_eq!(ids.len(), 5);
    for (key, is_known) in [
        (0, true),
        (1, true),
        (2, false),
        (1 << 64, true),
        ((1 << 64) + 1, true),
        ((1 << 64) + 2, false),
        (1 << 65, false),
        (u128::MAX, true),
    ] {
        assert_eq!(ids.contains(EventKey(key)), is_known, "{key:x}");
    }
    exercise(snapshot);
}

#[test]
fn opens_a_snapshot_of_nothing() {
    let root = tempfile::tempdir().unwrap();
    exercise(Snapshot::open(&SnapshotRows::empty(Vec::new(), &[]).write(root.path())).unwrap());
}

#[test]
fn every_truncation_of_every_file_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    let manifest = read_manifest(&directory);
    for name in names_below(&directory) {
        let whole = fs::read(directory.join(&name)).unwrap();
        let mut random = Random(1);
        let cuts: BTreeSet<usize> = (0..60)
            .map(|_| random.below(whole.len()))
            .chain([0, 1, 8, whole.len() - 1])
            .collect();
        for cut in cuts {
            fs::write(directory.join(&name), &whole[..cut]).unwrap();
            let expected = if name == "manifest.json" {
                ""
            } else {
                "bytes; "
            };
            assert_refused(&directory, &name, expected);
        }
        // With a manifest that vouches for the truncated file, its structure must give it away.
        if name != "manifest.json" {
            for cut in [0, 7, 17, whole.len() / 2, whole.len() - 1] {
                fs::write(directory.join(&name), &whole[..cut]).unwrap();
                let forged_root = tempfile::tempdir().unwrap();
                let forged = seal(&support::copy(&directory, forged_root.path()), &manifest);
                assert_refused(&forged, &name, "");
            }
        }
        fs::write(directory.join(&name), &whole).unwrap();
    }
    Snapshot::open(&directory).unwrap();
}

#[test]
fn every_flipped_bit_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    let mut random = Random(2);
    for name in names_below(&directory) {
        let whole = fs::read(directory.join(&name)).unwrap();
        for _ in 0..200 {
            let mut bytes = whole.clone();
            bytes[random.below(whole.len())] ^= 1 << random.below(8);
            fs::write(directory.join(&name), &bytes).unwrap();
            let error = refusal(&directory);
            assert_eq!(error.kind, ErrorKind::DataLoss, "{error}");
            assert!(
                error.metadata.contains(&("file", name.clone())),
                "{error} does not name {name}"
            );
        }
        fs::write(directory.join(&name), &whole).unwrap();
    }
    Snapshot::open(&directory).unwrap();
}

/// A forger who flips bits and makes the checksums right: a file is refused as damaged or is still a
/// right one (another title, another score), and then nothing that is asked of it panics.
#[test]
fn flipped_bits_with_right_checksums_never_panic() {
    let root = tempfile::tempdir().unwrap();
    let mut directory = random::example().write(root.path());
    let manifest = read_manifest(&directory);
    let mut random = Random(3);
    let (mut refused, mut opened) = (0, 0);
    for name in names_below(&directory)
        .into_iter()
        .filter(|name| name != "manifest.json")
    {
        let whole = fs::read(directory.join(&name)).unwrap();
        for _ in 0..500 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.below(3) {
                bytes[random.below(whole.len())] ^= 1 << random.below(8);
            }
            fs::write(directory.join(&name), &bytes).unwrap();
            // The rows stay those of the original: arrow-rs cannot count those of a damaged file.
            directory = reseal_one(&directory, &manifest, &name, &bytes);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                Snapshot::open(&directory).map(exercise)
            }));
            match outcome.unwrap_or_else(|_| panic!("a forged {name} panicked")) {
                Ok(()) => opened += 1,
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::DataLoss, "{error}");
                    refused += 1;
                }
            }
        }
        fs::write(directory.join(&name), &whole).unwrap();
    }
    // Both happen, so that the test is about something.
    assert!(
        refused > 2_000 && opened > 400,
        "{refused} refused, {opened} opened"
    );
}

fn reseal_one(directory: &Path, manifest: &Value, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let mut manifest = manifest.clone();
    manifest["files"][name]["bytes"] = json!(bytes.len());
    manifest["files"][name]["sha256"] = json!(support::sha256(bytes));
    write_manifest(directory, &manifest)
}

#[test]
fn a_manifest_of_another_kind_is_refused() {
    let cases: [(&str, Change<Value>, &str); 16] = [
        (
            "older version",
            |manifest| manifest["format_version"] = json!(1),
            "format_version is 1; this build reads 2: build the snapshot again",
        ),
        (
            "newer version",
            |manifest| manifest["format_version"] = json!(3),
            "format_version is 3; this build reads 2: a newer promosvc wrote it",
        ),
        (
            "unknown key",
            |manifest| manifest["extra"] = json!(1),
            "unknown field `extra`",
        ),
        (
            "unknown nested key",
            |manifest| manifest["models"][0]["extra"] = json!(1),
            "unknown field `extra`",
        ),
        (
            "missing key",
            |manifest| drop(manifest.as_object_mut().unwrap().remove("seed")),
            "missing field `seed`",
        ),
        (
            "fingerprint",
            |manifest| manifest["schema_fingerprint"] = json!("x"),
            "schema_fingerprint",
        ),
        (
            "checksum",
            |manifest| manifest["files"]["items.arrow"]["sha256"] = json!("x"),
            "64 hex digits",
        ),
        (
            "rows",
            |manifest| manifest["files"]["items.arrow"]["rows"] = json!(13),
            "12 rows; the manifest says 13",
        ),
        (
            "rows of JSON",
            |manifest| manifest["files"]["blend.json"]["rows"] = json!(1),
            "must be 0",
        ),
        (
            "escape",
            |manifest| manifest["files"]["../x"] = manifest["files"]["blend.json"].clone(),
            "does not know",
        ),
        (
            "unlisted",
            |manifest| {
                drop(
                    manifest["files"]
                        .as_object_mut()
                        .unwrap()
                        .remove("users.arrow"),
                )
            },
            "does not list",
        ),
        (
            "models unsorted",
            |manifest| {
                let again = manifest["models"][0].clone();
                manifest["models"].as_array_mut().unwrap().push(again);
            },
            "models are not sorted",
        ),
        (
            "view file",
            |manifest| manifest["feature_views"][0]["file"] = json!("items.arrow"),
            "it must be",
        ),
        (
            "view name",
            |manifest| manifest["feature_views"][0]["name"] = json!("../x"),
            "ASCII letters",
        ),
        (
            "ttl",
            |manifest| manifest["feature_views"][0]["ttl_seconds"] = json!(0),
            "at least 1",
        ),
        (
            "dictionary",
            |manifest| {
                manifest["feature_views"][2]["features"][1]["dictionary"] =
                    json!(["silver", "gold"]);
            },
            "dictionary",
        ),
    ];
    for (case, change, what) in cases {
        let root = tempfile::tempdir().unwrap();
        let directory = random::example().write(root.path());
        let mut manifest = read_manifest(&directory);
        change(&mut manifest);
        let error = refusal(&write_manifest(&directory, &manifest));
        assert_eq!(error.kind, ErrorKind::DataLoss, "{case}: {error}");
        assert!(error.message.contains(what), "{case}: {error}");
    }
}

#[test]
fn a_directory_of_another_name_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    let renamed = root.path().join("20180101T040000Z-0123456789abcdef");
    fs::rename(&directory, &renamed).unwrap();
    assert_refused(&renamed, "manifest.json", "the directory is");
}

#[test]
fn what_is_not_listed_is_refused() {
    for (name, named) in [
        ("extra.arrow", "extra.arrow"),
        ("features/extra.arrow", "features/extra.arrow"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let directory = random::example().write(root.path());
        fs::write(directory.join(name), b"x").unwrap();
        assert_refused(&directory, named, "does not list");
    }
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    fs::create_dir(directory.join("more")).unwrap();
    assert_refused(&directory, "more", "does not list");
}

#[test]
fn missing_files_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    for name in names_below(&directory) {
        let aside = root.path().join("aside");
        fs::rename(directory.join(&name), &aside).unwrap();
        assert_refused(&directory, &name, "does not exist");
        fs::rename(&aside, directory.join(&name)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let directory = random::example().write(root.path());
    let aside = root.path().join("aside");
    fs::rename(directory.join("users.arrow"), &aside).unwrap();
    std::os::unix::fs::symlink(&aside, directory.join("users.arrow")).unwrap();
    assert_refused(&directory, "users.arrow", "not a regular file");
}

#[test]
fn swapped_files_are_refused() {
    let swap = |a: &'static str, b: &'static str| {
        move |directory: &Path| {
            let (first, second) = (
                fs::read(directory.join(a)).unwrap(),
                fs::read(directory.join(b)).unwrap(),
            );
            fs::write(directory.join(a), second).unwrap();
            fs::write(directory.join(b), first).unwrap();
        }
    };
    assert_forgery_refused(swap("items.arrow", "users.arrow"), "items.arrow", "columns");
    let neighbours = swap("item_neighbours.arrow", "user_neighbours.arrow");
    assert_forgery_refused(neighbours, "item_neighbours.arrow", "makes 12 expected");
    assert_forgery_refused(swap("blend.json", "users.arrow"), "users.arrow", "ARROW1");
}

#[test]
fn another_schema_is_refused() {
    let change = |file: &'static str, change: fn(Vec<arrow::Column>) -> Vec<arrow::Column>| {
        move |directory: &Path| {
            let rows = random::example();
            let columns = match file {
                "items.arrow" => arrow::items(&rows),
                "history.arrow" => arrow::history(&rows),
                _ => arrow::neighbours(&rows.item_neighbours),
            };
            arrow::write(&directory.join(file), change(columns));
        }
    };
    let file = "item_neighbours.arrow";
    assert_forgery_refused(
        change(file, |mut columns| {
            columns.swap(0, 1);
            columns
        }),
        file,
        "\"neighbour\" was expected",
    );
    assert_forgery_refused(
        change(file, |mut columns| {
            columns.pop();
            columns
        }),
        file,
        "it has 1 columns",
    );
    assert_forgery_refused(
        change(file, |mut columns| {
            columns[1].2 = true;
            columns
        }),
        file,
        "must be declared not nullable",
    );
    assert_forgery_refused(
        change(file, |mut columns| {
            columns[1].1 = arrow::lists::<arrow_array::types::Float64Type>(&vec![Vec::new(); 12]);
            columns
        }),
        file,
        "another type",
    );
    assert_forgery_refused(
        change("history.arrow", |mut columns| {
            columns[3].1 = arrow::lists::<UInt32Type>(&[vec![1], vec![1], vec![1]]);
            columns
        }),
        "history.arrow",
        "other lengths",
    );
    assert_forgery_refused(
        change("items.arrow", |mut columns| {
            columns[4].2 = false;
            columns[4].1 = Arc::new(arrow_array::Int64Array::from(vec![1; 12]));
            columns
        }),
        "items.arrow",
        "must be declared nullable",
    );
}

#[test]
fn nulls_are_refused() {
    let change = |directory: &Path| {
        let values = arrow_array::ListArray::from_iter_primitive::<Float32Type, _, _>(
            (0..12).map(|row| Some(vec![if row == 3 { None } else { Some(1.0) }])),
        );
        let neighbours: Vec<Vec<u32>> = (0..12).map(|row| vec![(row + 1) % 12]).collect();
        let columns: Vec<arrow::Column> = vec![
            ("neighbour", arrow::lists::<UInt32Type>(&neighbours), false),
            ("similarity", Arc::new(values), false),
        ];
        arrow::write(&directory.join("item_neighbours.arrow"), columns);
    };
    assert_forgery_refused(change, "item_neighbours.arrow", "1 nulls");
}

/// Rows that are well-formed Arrow and mean something impossible.
#[test]
fn impossible_values_are_refused() {
    let cases: [(&str, Change<SnapshotRows>, &str); 29] = [
        (
            "items.arrow",
            |rows| rows.items.swap(0, 1),
            "not after the row before",
        ),
        (
            "items.arrow",
            |rows| rows.items[0].item_id.clear(),
            "row 0 is empty",
        ),
        (
            "items.arrow",
            |rows| rows.items[1].item_id = rows.items[0].item_id.clone(),
            "row 1",
        ),
        (
            "items.arrow",
            |rows| rows.items[0].unit_price = Some((1, "usd".into())),
            "three capital letters",
        ),
        (
            "items.arrow",
            |rows| rows.items[0].unit_price = Some((-1, "USD".into())),
            "negative",
        ),
        (
            "items.arrow",
            |rows| rows.items[0].stock = Some(-1),
            "column \"stock\": row 0 is negative",
        ),
        (
            "event_ids.arrow",
            |rows| rows.event_ids.swap(1, 2),
            "row 2 is not after",
        ),
        (
            "event_ids.arrow",
            |rows| rows.event_ids[3] = rows.event_ids[2],
            "row 3 is not after",
        ),
        (
            "users.arrow",
            |rows| rows.users.swap(0, 1),
            "not after the row before",
        ),
        (
            "history.arrow",
            |rows| rows.history.truncate(2),
            "makes 3 expected",
        ),
        (
            "history.arrow",
            |rows| rows.history[1][2].item = 12,
            "12 is out of range",
        ),
        (
            "history.arrow",
            |rows| rows.history[1][2].event = 2,
            "history_events has 2 names",
        ),
        (
            "history.arrow",
            |rows| rows.history[1][2].count = 0,
            "a count is 0",
        ),
        (
            "history.arrow",
            |rows| rows.history[1][0].last_at_us = WATERMARK_US + 1,
            "after the watermark",
        ),
        (
            "history.arrow",
            |rows| rows.history[1].swap(0, 1),
            "not in order",
        ),
        (
            "history.arrow",
            |rows| {
                let mut again = *rows.history[1].last().unwrap();
                again.last_at_us -= 1;
                rows.history[1].push(again);
            },
            "twice",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0][0].0 = 12,
            "out of range",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0][0].0 = 0,
            "its own neighbour",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0][1].0 = 1,
            "is repeated",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0].swap(0, 1),
            "not in order",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0][0].1 = f32::NAN,
            "score NaN",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0][0].1 = f32::INFINITY,
            "score inf",
        ),
        (
            "item_neighbours.arrow",
            |rows| rows.item_neighbours[0][3].1 = 0.0,
            "score 0",
        ),
        (
            "user_neighbours.arrow",
            |rows| rows.user_neighbours[0][0].0 = 3,
            "out of range",
        ),
        (
            "popular.arrow",
            |rows| rows.popular[1].reverse(),
            "window of 7 days",
        ),
        (
            "popular.arrow",
            |rows| rows.popular[2][0].0 = 12,
            "out of range",
        ),
        (
            "features/user_rfm.arrow",
            |rows| rows.views[2].rows.swap(0, 1),
            "not after the row before",
        ),
        (
            "features/user_rfm.arrow",
            |rows| rows.views[2].rows[0].values[1] = 2.0,
            "no index into its dictionary",
        ),
        (
            "features/user_rfm.arrow",
            |rows| rows.views[2].rows[0].statuses[0] = 3,
            "status that is not",
        ),
    ];
    for (file, change, what) in cases {
        let root = tempfile::tempdir().unwrap();
        let mut rows = random::example();
        change(&mut rows);
        assert_refused(&rows.write(root.path()), file, what);
    }
}

#[test]
fn impossible_blends_are_refused() {
    let cases: [(Change<Value>, &str); 7] = [
        (|blend| blend["extra"] = json!(1), "unknown field"),
        (
            |blend| blend["weights"]["unseen"]["popular_2d"] = json!(1),
            "unknown field",
        ),
        (
            |blend| blend["weights"]["unseen"]["item_knn"] = json!(-0.1),
            "weights.unseen.item_knn is -0.1",
        ),
        (
            |blend| blend["event_weights"]["purchase"] = json!(1e300),
            "event_weights.purchase is inf",
        ),
        (
            |blend| blend["repeat"]["half_life_days"] = json!(0),
            "repeat.half_life_days is 0",
        ),
        (
            |blend| blend["item_knn"]["history_max"] = json!(10_001),
            "the maximum is 10000",
        ),
        (
            |blend| blend["item_knn"]["history_max"] = json!(-1),
            "invalid value",
        ),
    ];
    for (change, what) in cases {
        let root = tempfile::tempdir().unwrap();
        let mut rows = random::example();
        change(&mut rows.blend);
        assert_refused(&rows.write(root.path()), "blend.json", what);
    }
}

#[test]
fn current_is_one_id_or_refused() {
    let root = tempfile::tempdir().unwrap();
    let current = || promosvc_engine::snapshot::current(root.path());
    assert_eq!(current().unwrap(), None);
    let write = |text: &str| fs::write(root.path().join("CURRENT"), text).unwrap();
    write("20180101T040000Z-0123456789abcdef\n");
    assert_eq!(
        current().unwrap().as_deref(),
        Some("20180101T040000Z-0123456789abcdef")
    );
    for wrong in [
        "",
        "20180101T040000Z-0123456789abcdef",
        "20180101T040000Z-0123456789ABCDEF\n",
        "../../../etc/20180101T0400000Z-01\n",
        "20180101T040000Z-0123456789abcdef\n\n",
    ] {
        write(wrong);
        assert_eq!(
            current().unwrap_err().kind,
            ErrorKind::DataLoss,
            "{wrong:?}"
        );
    }
}
