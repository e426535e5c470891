//! `popular.arrow`: what is popular, by window.

use super::arrow_schema::{ColumnSpec, ColumnType, Number};
use super::columns::ListColumn;
use super::files::Files;
use super::ranking_check::RankingCheck;
use crate::error::Result;

pub(super) const FILE: &str = "popular.arrow";

/// Popular items of each window, shortest first.
#[derive(Debug)]
pub struct Popular {
    items: ListColumn<u32>,
    scores: ListColumn<f32>,
}

/// Reads and checks what is popular among `item_count` items.
pub(super) fn read(files: &Files, item_count: usize) -> Result<Popular> {
    let mut arrow = files.arrow(
        FILE,
        vec![
            ColumnSpec::new("window_days", ColumnType::Int32),
            ColumnSpec::new("item", ColumnType::List(Number::U32)),
            ColumnSpec::new("score", ColumnType::List(Number::F32)),
        ],
    )?;
    let windows = arrow.int32s()?;
    if windows.as_ref() != Popular::WINDOWS_DAYS.map(|days| days as i32) {
        return Err(arrow.wrong_value("window_days", "the windows are not 1, 7 and 30"));
    }
    let popular = Popular {
        items: arrow.lists()?,
        scores: arrow.lists()?,
    };
    if !popular.items.has_lengths_of(&popular.scores) {
        return Err(arrow.wrong_value(
            "score",
            "its lists have other lengths than those of \"item\"",
        ));
    }
    let mut ranking = RankingCheck::new(item_count);
    for (window, days) in Popular::WINDOWS_DAYS.iter().enumerate() {
        let (items, scores) = popular.of(window);
        if let Some(what) = ranking.first_fault(items, scores) {
            return Err(arrow.wrong_value("item", format!("window of {days} days: {what}")));
        }
    }
    arrow.finish()?;
    Ok(popular)
}

impl Popular {
    /// Lengths of the windows.
    pub const WINDOWS_DAYS: [u32; 3] = [1, 7, 30];

    /// Items and scores (> 0) of the window at a position of `WINDOWS_DAYS`, by score descending, then
    /// item ascending.
    pub fn of(&self, window: usize) -> (&[u32], &[f32]) {
        (self.items.get(window), self.scores.get(window))
    }
}
