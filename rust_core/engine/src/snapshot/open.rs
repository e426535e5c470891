//! Opens a snapshot: the stages of the module essay, in order.

use std::fs;
use std::path::Path;

use super::files::{Files, not_listed};
use super::manifest::{self, Manifest};
use super::{Snapshot, blend, checksum, current};
use super::{event_ids, features, history, items, neighbours, popular, users};
use crate::error::{Error, Result};

/// Files that every snapshot has, besides the manifest and one file for each feature view.
const FILES: [&str; 8] = [
    items::FILE,
    users::FILE,
    history::FILE,
    neighbours::ITEM_FILE,
    neighbours::USER_FILE,
    popular::FILE,
    event_ids::FILE,
    blend::FILE,
];
const FEATURES_DIRECTORY: &str = "features";

/// Reads and verifies the snapshot in `dir`.
pub(super) fn open(dir: &Path) -> Result<Snapshot> {
    let bytes = checksum::read_manifest(dir, manifest::FILE)?;
    let manifest = manifest::parse(&bytes)?;
    let id = check_id(dir, &manifest, &bytes)?;
    check_listing(&manifest)?;
    check_directory(dir, &manifest)?;

    let source = Files {
        dir,
        manifest: &manifest,
    };
    let items = items::read(&source)?;
    let users = users::read(&source)?;
    let history = history::read(&source, users.len(), items.len())?;
    let item_neighbours = neighbours::read(&source, neighbours::ITEM_FILE, items.len())?;
    let user_neighbours = neighbours::read(&source, neighbours::USER_FILE, users.len())?;
    let popular = popular::read(&source, items.len())?;
    let event_ids = event_ids::read(&source)?;
    let features = features::read(&source)?;
    let blend = blend::parse(&source.bytes(blend::FILE)?)?;
    Ok(Snapshot {
        id,
        items,
        users,
        history,
        item_neighbours,
        user_neighbours,
        popular,
        event_ids,
        features,
        blend,
        manifest,
    })
}

fn check_id(dir: &Path, manifest: &Manifest, bytes: &[u8]) -> Result<String> {
    let id = current::id_of(manifest.watermark_at, &checksum::hex_sha256(bytes));
    let id = id.ok_or_else(|| {
        Error::data_loss(
            manifest::FILE,
            "MANIFEST_INVALID",
            "watermark_at_us is outside of the years 0 to 9999",
        )
    })?;
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or("");
    if name != id {
        return Err(Error::data_loss(
            manifest::FILE,
            "ID_MISMATCH",
            format!("its content makes the id {id}; the directory is {name:?}"),
        ));
    }
    Ok(id)
}

/// The list must hold exactly what the format and the feature views name; so no path of it can lead
/// anywhere else.
fn check_listing(manifest: &Manifest) -> Result<()> {
    let views = manifest.feature_views.iter().map(|view| view.file.as_str());
    let expected: Vec<&str> = FILES.into_iter().chain(views).collect();
    if let Some(file) = expected
        .iter()
        .find(|&&file| !manifest.files.contains_key(file))
    {
        return Err(not_listed(file));
    }
    match manifest
        .files
        .keys()
        .find(|file| !expected.contains(&file.as_str()))
    {
        Some(file) => Err(Error::data_loss(
            manifest::FILE,
            "MANIFEST_INVALID",
            format!("files lists {file:?}, which the format does not know"),
        )),
        None => Ok(()),
    }
}

fn check_directory(dir: &Path, manifest: &Manifest) -> Result<()> {
    for name in names_in(dir)? {
        if name == FEATURES_DIRECTORY {
            for name in names_in(&dir.join(FEATURES_DIRECTORY))? {
                let file = format!("{FEATURES_DIRECTORY}/{name}");
                if !manifest.files.contains_key(&file) {
                    return Err(unlisted(&file));
                }
            }
        } else if name != manifest::FILE && !manifest.files.contains_key(&name) {
            return Err(unlisted(&name));
        }
    }
    Ok(())
}

/// Names in a directory, sorted, so that the same directory always gives the same error.
fn names_in(dir: &Path) -> Result<Vec<String>> {
    let io_error = |error: std::io::Error| Error::io(dir.display(), &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error)? {
        names.push(
            entry
                .map_err(io_error)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    Ok(names)
}

fn unlisted(file: &str) -> Error {
    Error::data_loss(file, "FILE_UNLISTED", "the manifest does not list it")
}
