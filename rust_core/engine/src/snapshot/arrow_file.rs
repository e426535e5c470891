//! One Arrow IPC file becomes typed columns; every byte of structure is checked on the way.
//!
//! Buffers, offsets and null counts are checked here, the frame around them in `arrow_frame`. Only what `docs/snapshot-format.md` uses is understood: one batch, no compression, no
//! dictionaries, ten column types.
//!
//! `ArrowFile::open` checks the schema; the columns are then taken in the schema's order, each by the
//! method of its type. Asking in another order is an error like any other, never a wrong view.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};

use super::arrow_frame::ArrowFrame;
use super::arrow_schema::{ColumnSpec, ColumnType, ListValue};
use super::columns::{ListColumn, TextColumn};
use crate::error::{Error, Result};

/// An Arrow file whose schema is right and whose columns are still to be taken, in order.
pub(super) struct ArrowFile<'a> {
    file: &'a str,
    rows: usize,
    memory: Buffer,
    columns: std::vec::IntoIter<ColumnSpec>,
    nodes: std::vec::IntoIter<(usize, usize)>,
    /// Start in `memory` and length.
    buffers: std::vec::IntoIter<(usize, usize)>,
}

impl<'a> ArrowFile<'a> {
    /// Checks frame, footer, schema and batch of `memory`, which is the file `file`.
    pub(super) fn open(
        file: &'a str,
        memory: Buffer,
        rows: u64,
        columns: Vec<ColumnSpec>,
    ) -> Result<Self> {
        let frame = ArrowFrame::open(file, memory.as_slice(), &columns)?;
        if frame.rows != rows {
            let what = format!("it has {} rows; the manifest says {rows}", frame.rows);
            return Err(Error::data_loss(file, "ROWS_MISMATCH", what));
        }
        // Every column takes at least a bit of each row; so nothing below allocates more than the file.
        let rows = usize::try_from(rows)
            .ok()
            .filter(|&rows| rows / 8 <= memory.len());
        let rows = rows
            .ok_or_else(|| Error::data_loss(file, "ARROW_INVALID", "it has more rows than bits"))?;
        Ok(Self {
            file,
            rows,
            columns: columns.into_iter(),
            nodes: frame.nodes.into_iter(),
            buffers: frame.buffers.into_iter(),
            memory,
        })
    }

    /// Rows of every column.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Refuses a file that has not one row for each row of another one.
    pub(super) fn check_rows(&self, expected: usize, other: &str) -> Result<()> {
        if self.rows == expected {
            return Ok(());
        }
        Err(Error::data_loss(
            self.file,
            "ROWS_MISMATCH",
            format!(
                "it has {} rows; {other} makes {expected} expected",
                self.rows
            ),
        ))
    }

    /// Takes a text column without nulls.
    pub(super) fn text(&mut self) -> Result<TextColumn> {
        let (text, _) = self.nullable_text()?;
        Ok(text)
    }

    /// Takes a text column and whether each row has a value. A row without one is an empty text.
    pub(super) fn nullable_text(&mut self) -> Result<(TextColumn, Vec<bool>)> {
        let column = self.next_column(|found| found == ColumnType::Text)?;
        let is_present = self.take_node(&column, self.rows)?;
        let offsets = self.take_offsets(&column)?;
        let (start, length) = self.take_buffer(&column)?;
        let last = *offsets.last().unwrap_or(&0) as usize;
        if last > length || offsets.first().is_some_and(|&first| first != 0) {
            return Err(self.invalid(&column, "its offsets are out of range"));
        }
        let text = std::str::from_utf8(&self.memory.as_slice()[start..start + last])
            .map_err(|_| self.invalid(&column, "it is not UTF-8"))?;
        let ends = offsets.iter().skip(1).map(|&end| end as u32).collect();
        let text = TextColumn::new(text.to_owned(), ends)
            .ok_or_else(|| self.invalid(&column, "its offsets descend or cut a character"))?;
        Ok((text, is_present))
    }

    /// Takes a bool column.
    pub(super) fn bools(&mut self) -> Result<Vec<bool>> {
        let column = self.next_column(|found| found == ColumnType::Bool)?;
        self.take_node(&column, self.rows)?;
        let buffer = self.take_buffer(&column)?;
        self.bits(&column, buffer)
    }

    /// Takes an int32 column.
    pub(super) fn int32s(&mut self) -> Result<ScalarBuffer<i32>> {
        let column = self.next_column(|found| found == ColumnType::Int32)?;
        self.take_node(&column, self.rows)?;
        self.take_numbers(&column, self.rows)
    }

    /// Takes an int64 column without nulls.
    pub(super) fn int64s(&mut self) -> Result<ScalarBuffer<i64>> {
        let (numbers, _) = self.nullable_int64s()?;
        Ok(numbers)
    }

    /// Takes an int64 column and whether each row has a value.
    pub(super) fn nullable_int64s(&mut self) -> Result<(ScalarBuffer<i64>, Vec<bool>)> {
        let column = self.next_column(|found| found == ColumnType::Int64)?;
        let is_present = self.take_node(&column, self.rows)?;
        Ok((self.take_numbers(&column, self.rows)?, is_present))
    }

    /// Takes a uint64 column without nulls.
    pub(super) fn uint64s(&mut self) -> Result<ScalarBuffer<u64>> {
        let column = self.next_column(|found| found == ColumnType::UInt64)?;
        self.take_node(&column, self.rows)?;
        self.take_numbers(&column, self.rows)
    }

    /// Takes a column of lists.
    pub(super) fn lists<T: ListValue>(&mut self) -> Result<ListColumn<T>> {
        let column = self.next_column(|found| found == ColumnType::List(T::NUMBER))?;
        self.take_node(&column, self.rows)?;
        let offsets = self.take_offsets(&column)?;
        let length = usize::try_from(*offsets.last().unwrap_or(&0))
            .map_err(|_| self.invalid(&column, "its offsets are out of range"))?;
        self.take_node(&column, length)?;
        let values = self.take_numbers(&column, length)?;
        ListColumn::new(offsets, values)
            .ok_or_else(|| self.invalid(&column, "its offsets descend or are out of range"))
    }

    /// Takes a column of rows of equal width, as one array of rows x width.
    pub(super) fn fixed_lists<T: ListValue>(&mut self) -> Result<ScalarBuffer<T>> {
        let mut width = 0;
        let column = self.next_column(|found| match found {
            ColumnType::Fixed(number, found_width) if number == T::NUMBER => {
                width = found_width;
                true
            }
            _ => false,
        })?;
        self.take_node(&column, self.rows)?;
        let length = self.rows.checked_mul(width);
        let length = length.ok_or_else(|| self.invalid(&column, "it is too long"))?;
        self.take_node(&column, length)?;
        self.take_numbers(&column, length)
    }

    /// Refuses nodes or buffers that no column asked for.
    pub(super) fn finish(mut self) -> Result<()> {
        let is_done =
            self.columns.len() == 0 && self.nodes.next().is_none() && self.buffers.next().is_none();
        if is_done {
            Ok(())
        } else {
            Err(Error::data_loss(
                self.file,
                "ARROW_INVALID",
                "the record batch has more columns than the schema",
            ))
        }
    }

    /// The error of a column that is structurally right but means something impossible.
    pub(super) fn wrong_value(&self, column: &str, what: impl std::fmt::Display) -> Error {
        wrong_value(self.file, column, what)
    }

    fn next_column(&mut self, is_right: impl FnOnce(ColumnType) -> bool) -> Result<ColumnSpec> {
        let column = self
            .columns
            .next()
            .filter(|column| is_right(column.column_type));
        column.ok_or_else(|| {
            Error::new(
                crate::error::ErrorKind::Internal,
                "COLUMN_ORDER",
                format!(
                    "{}: columns are read in another order than declared",
                    self.file
                ),
            )
        })
    }

    /// Takes the next node and its validity buffer; gives whether each value is there.
    fn take_node(&mut self, column: &ColumnSpec, length: usize) -> Result<Vec<bool>> {
        let (found, nulls) = self
            .nodes
            .next()
            .ok_or_else(|| self.invalid(column, "it is not in the record batch"))?;
        if found != length {
            return Err(self.invalid(
                column,
                format!("it has {found} values; {length} were expected"),
            ));
        }
        let validity = self.take_buffer(column)?;
        if nulls == 0 {
            // The validity buffer may be left out, and says nothing new when it is not.
            return Ok(if column.is_nullable {
                vec![true; length]
            } else {
                Vec::new()
            });
        }
        if !column.is_nullable {
            return Err(self.invalid(column, format!("it has {nulls} nulls; none is allowed")));
        }
        let is_present = self.bits(column, validity)?;
        let found = is_present.iter().filter(|&&is_present| !is_present).count();
        if found != nulls {
            return Err(self.invalid(column, format!("it has {found} nulls and says {nulls}")));
        }
        Ok(is_present)
    }

    fn take_buffer(&mut self, column: &ColumnSpec) -> Result<(usize, usize)> {
        self.buffers
            .next()
            .ok_or_else(|| self.invalid(column, "a buffer is missing"))
    }

    fn bits(&self, column: &ColumnSpec, (start, length): (usize, usize)) -> Result<Vec<bool>> {
        if length < self.rows.div_ceil(8) {
            return Err(self.invalid(column, "a bitmap is too short"));
        }
        let bytes = &self.memory.as_slice()[start..start + length];
        Ok((0..self.rows)
            .map(|row| bytes[row / 8] >> (row % 8) & 1 == 1)
            .collect())
    }

    /// Offsets, never negative and never descending past their end; an empty column may leave them out.
    fn take_offsets(&mut self, column: &ColumnSpec) -> Result<ScalarBuffer<i32>> {
        let (start, length) = self.take_buffer(column)?;
        if self.rows == 0 && length == 0 {
            return Ok(ScalarBuffer::from(vec![0]));
        }
        let offsets = self.view::<i32>(column, (start, length), self.rows + 1)?;
        if offsets.iter().any(|&offset| offset < 0) {
            return Err(self.invalid(column, "an offset is negative"));
        }
        Ok(offsets)
    }

    fn take_numbers<T: ArrowNativeType>(
        &mut self,
        column: &ColumnSpec,
        length: usize,
    ) -> Result<ScalarBuffer<T>> {
        let buffer = self.take_buffer(column)?;
        self.view(column, buffer, length)
    }

    /// A typed view of `length` values; checks what `ScalarBuffer` would panic on.
    fn view<T: ArrowNativeType>(
        &self,
        column: &ColumnSpec,
        (start, bytes): (usize, usize),
        length: usize,
    ) -> Result<ScalarBuffer<T>> {
        let width = size_of::<T>();
        if length
            .checked_mul(width)
            .is_none_or(|needed| needed > bytes)
        {
            return Err(self.invalid(column, format!("a buffer is too short for {length} values")));
        }
        let address = self.memory.as_ptr() as usize + start;
        if !address.is_multiple_of(align_of::<T>()) {
            return Err(self.invalid(column, "a buffer is not aligned"));
        }
        Ok(ScalarBuffer::new(
            self.memory.slice_with_length(start, length * width),
            0,
            length,
        ))
    }

    fn invalid(&self, column: &ColumnSpec, what: impl std::fmt::Display) -> Error {
        Error::data_loss(
            self.file,
            "ARROW_INVALID",
            format!("column {:?}: {what}", column.name),
        )
    }
}

/// The error of a value that the format forbids.
pub(super) fn wrong_value(file: &str, column: &str, what: impl std::fmt::Display) -> Error {
    Error::data_loss(file, "VALUE_INVALID", format!("column {column:?}: {what}"))
}
