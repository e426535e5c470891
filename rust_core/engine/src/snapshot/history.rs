//! `history.arrow`: each user's own past, one entry for each (item, event).

use super::arrow_file::ArrowFile;
use super::arrow_schema::{ColumnSpec, ColumnType, Number};
use super::columns::ListColumn;
use super::files::Files;
use crate::error::Result;
use crate::types::UserIdx;

pub(super) const FILE: &str = "history.arrow";

/// All users' pasts.
#[derive(Debug)]
pub struct History {
    items: ListColumn<u32>,
    events: ListColumn<u8>,
    last_at_us: ListColumn<i64>,
    counts: ListColumn<u32>,
}

/// One user's past: four slices of equal length, by time descending, then item, then event ascending.
#[derive(Clone, Copy, Debug)]
pub struct UserEvents<'a> {
    /// Rows of the item table.
    pub items: &'a [u32],
    /// Indices into the manifest's `history_events`.
    pub events: &'a [u8],
    /// When last, in microseconds since 1970-01-01 UTC.
    pub last_at_us: &'a [i64],
    /// How often.
    pub counts: &'a [u32],
}

/// Reads and checks the history of `user_count` users over `item_count` items.
pub(super) fn read(files: &Files, user_count: usize, item_count: usize) -> Result<History> {
    let mut arrow = files.arrow(
        FILE,
        vec![
            ColumnSpec::new("item", ColumnType::List(Number::U32)),
            ColumnSpec::new("event", ColumnType::List(Number::U8)),
            ColumnSpec::new("last_at_us", ColumnType::List(Number::I64)),
            ColumnSpec::new("count", ColumnType::List(Number::U32)),
        ],
    )?;
    arrow.check_rows(user_count, "users.arrow")?;
    let history = History {
        items: arrow.lists()?,
        events: arrow.lists()?,
        last_at_us: arrow.lists()?,
        counts: arrow.lists()?,
    };
    check(&history, &arrow, files, item_count)?;
    arrow.finish()?;
    Ok(history)
}

fn check(history: &History, arrow: &ArrowFile, files: &Files, item_count: usize) -> Result<()> {
    let History {
        items,
        events,
        last_at_us,
        counts,
    } = history;
    for (name, is_equal) in [
        ("event", items.has_lengths_of(events)),
        ("last_at_us", items.has_lengths_of(last_at_us)),
        ("count", items.has_lengths_of(counts)),
    ] {
        if !is_equal {
            return Err(
                arrow.wrong_value(name, "its lists have other lengths than those of \"item\"")
            );
        }
    }
    if let Some(item) = items
        .values()
        .iter()
        .find(|&&item| item as usize >= item_count)
    {
        return Err(arrow.wrong_value(
            "item",
            format!("{item} is out of range; there are {item_count} items"),
        ));
    }
    let names = files.manifest.history_events.len();
    if let Some(event) = events
        .values()
        .iter()
        .find(|&&event| usize::from(event) >= names)
    {
        return Err(arrow.wrong_value(
            "event",
            format!("{event} is out of range; history_events has {names} names"),
        ));
    }
    if counts.values().contains(&0) {
        return Err(arrow.wrong_value("count", "a count is 0"));
    }
    let watermark = files.manifest.watermark_at.0;
    if let Some(at) = last_at_us.values().iter().find(|&&at| at > watermark) {
        return Err(arrow.wrong_value(
            "last_at_us",
            format!("{at} is after the watermark {watermark}"),
        ));
    }
    let mut pairs = Vec::new();
    for row in 0..history.len() {
        let UserEvents {
            items,
            events,
            last_at_us,
            ..
        } = history.of(UserIdx(row as u32));
        let key = |at: usize| (std::cmp::Reverse(last_at_us[at]), items[at], events[at]);
        if let Some(at) = (1..items.len()).find(|&at| key(at - 1) >= key(at)) {
            return Err(
                arrow.wrong_value("item", format!("entry {at} of row {row} is not in order"))
            );
        }
        pairs.clear();
        pairs.extend(
            items
                .iter()
                .zip(events)
                .map(|(&item, &event)| (item, event)),
        );
        pairs.sort_unstable();
        if pairs.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(arrow.wrong_value("item", format!("row {row} has an (item, event) twice")));
        }
    }
    Ok(())
}

impl History {
    /// How many users it covers.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it covers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The past of one user.
    pub fn of(&self, user: UserIdx) -> UserEvents<'_> {
        let row = user.at();
        UserEvents {
            items: self.items.get(row),
            events: self.events.get(row),
            last_at_us: self.last_at_us.get(row),
            counts: self.counts.get(row),
        }
    }
}
