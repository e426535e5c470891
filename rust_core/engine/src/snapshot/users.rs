//! `users.arrow`: the users that models know.

use super::arrow_schema::{ColumnSpec, ColumnType};
use super::columns::TextColumn;
use super::files::Files;
use crate::error::Result;
use crate::types::UserIdx;

pub(super) const FILE: &str = "users.arrow";

/// The users, by id ascending.
#[derive(Debug)]
pub struct Users {
    ids: TextColumn,
}

/// Reads and checks the users.
pub(super) fn read(files: &Files) -> Result<Users> {
    let mut arrow = files.arrow(FILE, vec![ColumnSpec::new("user_id", ColumnType::Text)])?;
    let ids = arrow.text()?;
    if let Some(row) = ids.first_wrong_id() {
        return Err(arrow.wrong_value(
            "user_id",
            format!("row {row} is empty or not after the row before"),
        ));
    }
    arrow.finish()?;
    Ok(Users { ids })
}

impl Users {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The user with this id; binary search.
    pub fn find(&self, user_id: &str) -> Option<UserIdx> {
        self.ids.find_sorted(user_id).map(|row| UserIdx(row as u32))
    }

    /// The id.
    pub fn id(&self, user: UserIdx) -> &str {
        self.ids.get(user.at())
    }
}
