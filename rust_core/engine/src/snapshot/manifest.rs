//! `manifest.json`: what is in a snapshot, with length and checksum of each file.
//!
//! Parsed strictly: unknown keys at any level are refused, so that a writer of a newer format cannot be
//! half understood.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::types::{DurationUs, EntityKind, TimeUs};

/// The only format version that this code reads.
pub(super) const FORMAT_VERSION: u64 = 2;
/// Name of the manifest in a snapshot.
pub(super) const FILE: &str = "manifest.json";

/// What is in a snapshot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format; 2.
    pub format_version: u64,
    /// Time of the newest event in it.
    #[serde(rename = "watermark_at_us", deserialize_with = "time_from_us")]
    pub watermark_at: TimeUs,
    /// Position of the event log up to which it holds events.
    pub events_position: u64,
    /// Seed of everything random in its build.
    pub seed: i64,
    /// SHA-256 of the schemas, in hex.
    pub schema_fingerprint: String,
    /// What built it.
    pub library_versions: BTreeMap<String, String>,
    /// Every file but the manifest.
    pub files: BTreeMap<String, FileEntry>,
    /// Names of the events that the history holds.
    pub history_events: Vec<String>,
    /// Models in it, by name.
    pub models: Vec<ModelVersion>,
    /// Feature views in it, by name.
    pub feature_views: Vec<FeatureViewSpec>,
}

/// Length and checksum of one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Length.
    pub bytes: u64,
    /// 64 hex digits.
    pub sha256: String,
    /// Arrow rows; 0 for JSON.
    pub rows: u64,
}

/// A model and its version: equal versions are equal models.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelVersion {
    /// Name, such as "item_knn".
    pub name: String,
    /// 16 hex digits.
    pub version: String,
    /// What it was trained with.
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// What a feature view's file holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureViewSpec {
    /// Name: ASCII letters, digits, `_` and `-`.
    pub name: String,
    /// What its keys name.
    pub entity: EntityKind,
    /// How long a row stays true.
    #[serde(rename = "ttl_seconds", deserialize_with = "ttl_from_seconds")]
    pub ttl: DurationUs,
    /// `features/<name>.arrow`.
    pub file: String,
    /// Features in the order of the file's values.
    pub features: Vec<FeatureSpec>,
}

/// One feature of a view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Name, unique in its view.
    pub name: String,
    /// What its values mean.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// The categories of a category, sorted; empty for a number.
    pub dictionary: Vec<String>,
}

/// What a feature's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// A number.
    Number,
    /// An index into the dictionary.
    Category,
}

fn time_from_us<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<TimeUs, D::Error> {
    Ok(TimeUs(i64::deserialize(deserializer)?))
}

fn ttl_from_seconds<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<DurationUs, D::Error> {
    let seconds = i64::deserialize(deserializer)?;
    if seconds <= 0 {
        return Err(serde::de::Error::custom(format!(
            "ttl_seconds is {seconds}; it must be at least 1"
        )));
    }
    Ok(DurationUs(seconds.saturating_mul(1_000_000)))
}

/// Parses and checks a manifest; files are looked at later.
pub(super) fn parse(bytes: &[u8]) -> Result<Manifest> {
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
        // Another version may have other keys; saying so first is the more useful message.
        match version_of(bytes) {
            Some(version) if version != FORMAT_VERSION => wrong_version(version),
            _ => Error::data_loss(FILE, "MANIFEST_INVALID", error),
        }
    })?;
    if manifest.format_version != FORMAT_VERSION {
        return Err(wrong_version(manifest.format_version));
    }
    check_names(&manifest)?;
    manifest.feature_views.iter().try_for_each(check_view)?;
    Ok(manifest)
}

fn version_of(bytes: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()?
        .get("format_version")?
        .as_u64()
}

fn wrong_version(version: u64) -> Error {
    let advice = if version < FORMAT_VERSION {
        "build the snapshot again"
    } else {
        "a newer promosvc wrote it"
    };
    Error::data_loss(
        FILE,
        "FORMAT_VERSION_UNKNOWN",
        format!("format_version is {version}; this build reads {FORMAT_VERSION}: {advice}"),
    )
    .with("value", version)
}

fn check_names(manifest: &Manifest) -> Result<()> {
    if !is_hex(&manifest.schema_fingerprint, 64) {
        return Err(invalid("schema_fingerprint is not 64 hex digits"));
    }
    for (file, entry) in &manifest.files {
        if !is_hex(&entry.sha256, 64) {
            return Err(invalid(format!(
                "files[{file:?}].sha256 is not 64 hex digits"
            )));
        }
    }
    let events = &manifest.history_events;
    // The event of a history entry is one byte.
    if events.len() > 256 {
        return Err(invalid(format!(
            "history_events has {} names; the maximum is 256",
            events.len()
        )));
    }
    for (position, name) in events.iter().enumerate() {
        if name.is_empty() || events[..position].contains(name) {
            return Err(invalid(format!(
                "history_events[{position}] {name:?} is empty or repeated"
            )));
        }
    }
    for model in &manifest.models {
        if !is_hex(&model.version, 16) {
            return Err(invalid(format!(
                "version of model {:?} is not 16 hex digits",
                model.name
            )));
        }
    }
    if !is_ascending(manifest.models.iter().map(|model| model.name.as_str())) {
        return Err(invalid("models are not sorted by name, each once"));
    }
    if !is_ascending(manifest.feature_views.iter().map(|view| view.name.as_str())) {
        return Err(invalid("feature_views are not sorted by name, each once"));
    }
    Ok(())
}

fn check_view(view: &FeatureViewSpec) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if view.name.is_empty() || view.name.len() > 128 || !view.name.bytes().all(is_plain) {
        return Err(invalid(format!(
            "feature view {:?} is not 1 to 128 ASCII letters, digits, '_' and '-'",
            view.name
        )));
    }
    let file = format!("features/{}.arrow", view.name);
    if view.file != file {
        return Err(invalid(format!(
            "file of view {:?} is {:?}; it must be {file:?}",
            view.name, view.file
        )));
    }
    if view.features.is_empty() {
        return Err(invalid(format!("view {:?} has no features", view.name)));
    }
    for (position, feature) in view.features.iter().enumerate() {
        let earlier = &view.features[..position];
        if feature.name.is_empty() || earlier.iter().any(|other| other.name == feature.name) {
            return Err(invalid(format!(
                "view {:?}: feature name {:?} is empty or repeated",
                view.name, feature.name
            )));
        }
        let is_right = match feature.value_type {
            ValueType::Number => feature.dictionary.is_empty(),
            ValueType::Category => {
                !feature.dictionary.is_empty()
                    && is_ascending(feature.dictionary.iter().map(String::as_str))
            }
        };
        if !is_right {
            return Err(invalid(format!(
                "view {:?}: the dictionary of {:?} must be empty for a number, and sorted, unique and \
                 not empty for a category",
                view.name, feature.name
            )));
        }
    }
    Ok(())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_ascending<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    let Some(mut last) = names.next() else {
        return true;
    };
    names.all(|name| {
        let is_after = name > last;
        last = name;
        is_after
    })
}

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::data_loss(FILE, "MANIFEST_INVALID", what)
}
