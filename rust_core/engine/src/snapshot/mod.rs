//! The snapshot: an immutable directory of model data, read once, verified whole.
//!
//! `docs/snapshot-format.md` is the contract. Stages, in order (`open`):
//!
//! 1. `manifest`: strict JSON; its SHA-256 must be the suffix of the directory's name.
//! 2. `checksum`: every file is listed, has the stated length (checked before a byte is allocated) and
//!    the stated SHA-256; nothing unlisted lies beside them.
//! 3. `arrow_frame`, `arrow_schema`, `arrow_file`, `columns`: the bytes of an Arrow IPC file become typed columns; schema, buffers,
//!    offsets and null counts are checked against what the format says, field by field.
//! 4. `items`, `users`, `history`, `neighbours`, `popular`, `event_ids`, `features`, `blend`: each noun checks its own
//!    meaning (sorted, unique, in range, finite) and is from then on a type that cannot be wrong.
//!
//! Cost: one read, one SHA-256 pass and one checking pass over each byte (about a second for a gigabyte);
//! numeric columns are views into the read buffer, strings are copied once.
//!
//! The trade-off: files are read into memory and not mapped, because a mapped file that somebody
//! truncates kills the process; and Arrow buffers are walked here and not by arrow-ipc's reader, because
//! that reader may panic on buffers that lie.

mod arrow_file;
mod arrow_frame;
mod arrow_schema;
mod blend;
mod checksum;
mod columns;
mod current;
mod event_ids;
mod features;
mod files;
mod history;
mod items;
mod manifest;
mod neighbours;
mod open;
mod popular;
mod ranking_check;
mod users;

pub use blend::{Blend, ItemKnnBlend, RepeatBlend, SourceWeights, UserKnnBlend};
pub use current::current;
pub use event_ids::EventIds;
pub use features::{FeatureRow, FeatureView, Features};
pub use history::{History, UserEvents};
pub use items::Items;
pub use manifest::{FeatureSpec, FeatureViewSpec, FileEntry, Manifest, ModelVersion, ValueType};
pub use neighbours::Neighbours;
pub use popular::Popular;
pub use users::Users;

use std::path::Path;

use crate::error::Result;
use crate::types::{ItemIdx, UserIdx};

/// A verified snapshot. That one exists means that every check of the format passed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The directory's name: watermark and content hash.
    pub id: String,
    /// What is in it.
    pub manifest: Manifest,
    /// The catalogue.
    pub items: Items,
    /// The users, by id.
    pub users: Users,
    /// Each user's own past.
    pub history: History,
    /// For each item the most similar items.
    pub item_neighbours: Neighbours,
    /// For each user the most similar users.
    pub user_neighbours: Neighbours,
    /// Popular items by window.
    pub popular: Popular,
    /// Imported events of the dedupe window.
    pub event_ids: EventIds,
    /// Feature views, by name.
    pub features: Features,
    /// How sources are weighed.
    pub blend: Blend,
}

impl Snapshot {
    /// Reads and verifies the snapshot in `dir`.
    ///
    /// # Errors
    /// `DataLoss` names the file and what is wrong with it; `Io` names the file that could not be read.
    pub fn open(dir: &Path) -> Result<Self> {
        open::open(dir)
    }

    /// The id of an item of this snapshot.
    pub fn item_id(&self, item: ItemIdx) -> &str {
        self.items.id(item)
    }

    /// The id of a user of this snapshot.
    pub fn user_id(&self, user: UserIdx) -> &str {
        self.users.id(user)
    }
}
