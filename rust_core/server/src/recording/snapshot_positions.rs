//! How far the snapshots on disk hold the event log: read from their manifests alone.
//!
//! The log is kept from the oldest of them on, because a rollback to it must find what came after; and a new log begins
//! behind the newest, because positions before it are taken.

use std::fs;
use std::path::Path;

use promosvc_engine::error::{Error, Result};
use serde::Deserialize;

/// Positions of the snapshots on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SnapshotPositions {
    /// Every snapshot holds the log before this position.
    pub(super) oldest: u64,
    /// No snapshot holds the log from this position on.
    pub(super) newest: u64,
    /// A snapshot that holds the log up to there.
    pub(super) newest_id: String,
}

/// The two numbers that matter here; the engine verifies the rest when it opens a snapshot.
#[derive(Deserialize)]
struct Manifest {
    events_position: u64,
}

/// Reads the manifests below `snapshots`; `None` where there are none. One that cannot be read holds nothing for sure, so it counts as
/// position 0, and nothing is given up for its sake.
pub(super) fn read(snapshots: &Path) -> Result<Option<SnapshotPositions>> {
    let entries = match fs::read_dir(snapshots) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(snapshots.display(), &error)),
    };
    let mut positions: Option<SnapshotPositions> = None;
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(snapshots.display(), &error))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            // Being written, or left behind by a writer that died.
            continue;
        }
        let manifest = match fs::read(entry.path().join("manifest.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes),
            // No snapshot: `CURRENT`, or one that is being deleted.
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(Error::io(entry.path().display(), &error)),
        };
        let position = manifest.map_or(0, |manifest: Manifest| manifest.events_position);
        let known = positions.get_or_insert_with(|| SnapshotPositions {
            oldest: position,
            newest: position,
            newest_id: String::new(),
        });
        known.oldest = known.oldest.min(position);
        if position >= known.newest {
            known.newest = position;
            known.newest_id = entry.file_name().to_string_lossy().into_owned();
        }
    }
    Ok(positions)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_and_the_newest_are_found() {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(read(&root.path().join("far")), Ok(None));
        fs::write(root.path().join("CURRENT"), "a\n").expect("writes");
        assert_eq!(read(root.path()), Ok(None));
        for (id, position) in [("a", 7), ("b", 3), ("c", 5)] {
            fs::create_dir(root.path().join(id)).expect("a directory");
            let manifest = format!("{{\"events_position\": {position}, \"format_version\": 2}}");
            fs::write(root.path().join(id).join("manifest.json"), manifest).expect("writes");
        }
        for (aside, text) in [("being-deleted", None), (".building-1", Some("{}"))] {
            fs::create_dir(root.path().join(aside)).expect("a directory");
            if let Some(text) = text {
                fs::write(root.path().join(aside).join("manifest.json"), text).expect("writes");
            }
        }
        let both = SnapshotPositions {
            oldest: 3,
            newest: 7,
            newest_id: "a".to_owned(),
        };
        assert_eq!(read(root.path()), Ok(Some(both)));
    }

    #[test]
    fn a_manifest_that_cannot_be_read_holds_nothing() {
        let root = tempfile::tempdir().expect("a directory");
        for (id, text) in [("a", "{\"events_position\": 9}"), ("b", "{")] {
            fs::create_dir(root.path().join(id)).expect("a directory");
            fs::write(root.path().join(id).join("manifest.json"), text).expect("writes");
        }
        let positions = read(root.path()).expect("reads").expect("positions");
        assert_eq!((positions.oldest, positions.newest), (0, 9));
    }
}
