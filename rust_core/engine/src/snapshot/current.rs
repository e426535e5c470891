//! `CURRENT`: which snapshot is published.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::types::TimeUs;

const FILE: &str = "CURRENT";

/// The id of the published snapshot below `root`; `None` when none has been published.
///
/// # Errors
/// `DataLoss` when the file is not one id and a line end; `Io` when it cannot be read.
pub fn current(root: &Path) -> Result<Option<String>> {
    let path = root.join(FILE);
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path.display(), &error)),
    };
    let mut text = Vec::new();
    // An id has 33 bytes; whatever is longer is wrong and is not read whole.
    file.take(64)
        .read_to_end(&mut text)
        .map_err(|error| Error::io(path.display(), &error))?;
    let id = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.strip_suffix('\n'));
    match id.filter(|id| is_id(id)) {
        Some(id) => Ok(Some(id.to_owned())),
        None => Err(Error::data_loss(
            FILE,
            "CURRENT_INVALID",
            "it does not hold one snapshot id (YYYYMMDDTHHMMSSZ-<16 hex digits>) and a line end",
        )),
    }
}

/// The id of a snapshot, from its watermark and its manifest's SHA-256 in hex. `None` when the watermark is
/// outside of the years 0 to 9999.
pub(super) fn id_of(watermark: TimeUs, manifest_sha256: &str) -> Option<String> {
    let seconds = watermark.0.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let hash = manifest_sha256.get(..16)?;
    (0..=9999).contains(&year).then(|| {
        format!(
            "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z-{hash}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    })
}

fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 33
        && bytes
            .iter()
            .enumerate()
            .all(|(position, &byte)| match position {
                8 => byte == b'T',
                15 => byte == b'Z',
                16 => byte == b'-',
                0..=14 => byte.is_ascii_digit(),
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
}

/// Year, month, day of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
