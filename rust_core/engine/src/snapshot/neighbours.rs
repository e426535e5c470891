//! `item_neighbours.arrow`, `user_neighbours.arrow`: for each row the most similar rows.

use super::arrow_file::ArrowFile;
use super::arrow_schema::{ColumnSpec, ColumnType, Number};
use super::columns::ListColumn;
use super::files::Files;
use super::ranking_check::RankingCheck;
use crate::error::Result;

pub(super) const ITEM_FILE: &str = "item_neighbours.arrow";
pub(super) const USER_FILE: &str = "user_neighbours.arrow";
/// Most neighbours of one row.
const NEIGHBOURS_MAX: usize = 1_000;

/// For each row its neighbours, most similar first.
#[derive(Debug)]
pub struct Neighbours {
    neighbours: ListColumn<u32>,
    similarities: ListColumn<f32>,
}

/// Reads and checks the neighbours of `row_count` rows.
pub(super) fn read(files: &Files, file: &str, row_count: usize) -> Result<Neighbours> {
    let mut arrow = files.arrow(
        file,
        vec![
            ColumnSpec::new("neighbour", ColumnType::List(Number::U32)),
            ColumnSpec::new("similarity", ColumnType::List(Number::F32)),
        ],
    )?;
    arrow.check_rows(
        row_count,
        if file == ITEM_FILE {
            "items.arrow"
        } else {
            "users.arrow"
        },
    )?;
    let found = Neighbours {
        neighbours: arrow.lists()?,
        similarities: arrow.lists()?,
    };
    check(&found, &arrow)?;
    arrow.finish()?;
    Ok(found)
}

fn check(found: &Neighbours, arrow: &ArrowFile) -> Result<()> {
    if !found.neighbours.has_lengths_of(&found.similarities) {
        return Err(arrow.wrong_value(
            "similarity",
            "its lists have other lengths than those of \"neighbour\"",
        ));
    }
    let mut ranking = RankingCheck::new(found.len());
    for row in 0..found.len() {
        let (neighbours, similarities) = found.of(row);
        if neighbours.len() > NEIGHBOURS_MAX {
            return Err(arrow.wrong_value(
                "neighbour",
                format!(
                    "row {row} has {} neighbours; the maximum is {NEIGHBOURS_MAX}",
                    neighbours.len()
                ),
            ));
        }
        if neighbours.contains(&(row as u32)) {
            return Err(arrow.wrong_value("neighbour", format!("row {row} is its own neighbour")));
        }
        if let Some(what) = ranking.first_fault(neighbours, similarities) {
            return Err(arrow.wrong_value("neighbour", format!("row {row}: {what}")));
        }
    }
    Ok(())
}

impl Neighbours {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.neighbours.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The similarities of all rows, one row after the other.
    pub fn similarities(&self) -> &[f32] {
        self.similarities.values()
    }

    /// Neighbours of a row and their similarities, equally long.
    pub fn of(&self, row: usize) -> (&[u32], &[f32]) {
        (self.neighbours.get(row), self.similarities.get(row))
    }
}
