//! Columns whose shape has been checked: text and lists.
//!
//! Numbers without nulls are `ScalarBuffer`s, views into the file's bytes.

use arrow_buffer::{ArrowNativeType, ScalarBuffer};

/// UTF-8 strings, one after the other. Copied out of the file, so that it is checked once that the whole
/// is UTF-8 and that every offset is a character boundary.
#[derive(Debug)]
pub(super) struct TextColumn {
    text: String,
    ends: Vec<u32>,
}

impl TextColumn {
    /// Takes checked text; `ends[row]` is where a row ends. `None` when an end does not ascend, is out of
    /// range or cuts a character, or when the last one is not the end of the text.
    pub(super) fn new(text: String, ends: Vec<u32>) -> Option<Self> {
        let mut start = 0;
        for &end in &ends {
            if end < start || !text.is_char_boundary(end as usize) {
                return None;
            }
            start = end;
        }
        (start as usize == text.len()).then_some(Self { text, ends })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a row; empty for a row that does not exist.
    pub(super) fn get(&self, row: usize) -> &str {
        let Some(&end) = self.ends.get(row) else {
            return "";
        };
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        self.text.get(start as usize..end as usize).unwrap_or("")
    }

    /// The first row that is empty or not after its predecessor.
    pub(super) fn first_wrong_id(&self) -> Option<usize> {
        // The empty text is before every other one; so only the first row needs to be told from it.
        (0..self.len()).find(|&row| {
            let before = if row == 0 { "" } else { self.get(row - 1) };
            before >= self.get(row)
        })
    }

    /// The row of `text` in an ascending column.
    pub(super) fn find_sorted(&self, text: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// Lists of numbers: row `r` is `values[ends[r - 1]..ends[r]]`.
#[derive(Debug)]
pub(super) struct ListColumn<T: ArrowNativeType> {
    offsets: ScalarBuffer<i32>,
    values: ScalarBuffer<T>,
}

impl<T: ArrowNativeType> ListColumn<T> {
    /// Takes offsets that start at 0, never descend and end at `values.len()`; `None` otherwise.
    pub(super) fn new(offsets: ScalarBuffer<i32>, values: ScalarBuffer<T>) -> Option<Self> {
        let first = offsets.first().copied()?;
        let last = usize::try_from(offsets.last().copied()?).ok()?;
        let is_right =
            first == 0 && last == values.len() && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        is_right.then_some(Self { offsets, values })
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where the list of a row lies; empty for a row that does not exist.
    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        match (self.offsets.get(row), self.offsets.get(row + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        }
    }

    /// The list of a row; empty for a row that does not exist.
    pub(super) fn get(&self, row: usize) -> &[T] {
        &self.values[self.range(row)]
    }

    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    /// Whether another list column has the same lengths row by row.
    pub(super) fn has_lengths_of<U: ArrowNativeType>(&self, other: &ListColumn<U>) -> bool {
        self.offsets == other.offsets
    }
}
