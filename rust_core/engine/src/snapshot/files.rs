//! The files of a snapshot by the manifest's list.

use std::path::Path;

use super::arrow_file::ArrowFile;
use super::arrow_schema::ColumnSpec;
use super::checksum;
use super::manifest::{self, FileEntry, Manifest};
use crate::error::{Error, Result};

/// The files of a snapshot, each verified as it is read.
pub(super) struct Files<'a> {
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
}

impl Files<'_> {
    /// Opens an Arrow file and checks its schema.
    pub(super) fn arrow<'a>(
        &self,
        file: &'a str,
        columns: Vec<ColumnSpec>,
    ) -> Result<ArrowFile<'a>> {
        let entry = self.entry(file)?;
        let memory = checksum::read_listed(self.dir, file, entry)?;
        ArrowFile::open(file, memory, entry.rows, columns)
    }

    /// Reads a file that is no table.
    pub(super) fn bytes(&self, file: &str) -> Result<arrow_buffer::Buffer> {
        let entry = self.entry(file)?;
        if entry.rows != 0 {
            return Err(Error::data_loss(
                manifest::FILE,
                "MANIFEST_INVALID",
                format!("files[{file:?}].rows is {}; it must be 0", entry.rows),
            ));
        }
        checksum::read_listed(self.dir, file, entry)
    }

    fn entry(&self, file: &str) -> Result<&FileEntry> {
        self.manifest
            .files
            .get(file)
            .ok_or_else(|| not_listed(file))
    }
}

/// The error for a file that the manifest must list and does not.
pub(super) fn not_listed(file: &str) -> Error {
    Error::data_loss(
        manifest::FILE,
        "MANIFEST_INVALID",
        format!("files does not list {file:?}"),
    )
}
