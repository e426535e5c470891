//! One Arrow IPC file becomes typed columns; every byte of structure is checked on the way.
//!
//! Format: <https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format>. The flatbuffers (footer
//! and record batch header) are checked by their own verifier; block, buffers, offsets and null counts are
//! checked here. Only what `docs/snapshot-format.md` uses is understood: one batch, no compression, no
//! dictionaries, nine column types.
//!
//! `ArrowFile::open` checks the schema; the columns are then taken in the schema's order, each by the
//! method of its type. Asking in another order is an error like any other, never a wrong view.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use arrow_ipc::{
    Endianness, Field, MessageHeader, MetadataVersion, Precision, Type, root_as_footer,
    root_as_message,
};

use super::columns::{ListColumn, TextColumn};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"ARROW1";
/// Magic and padding in front.
const HEAD_BYTES: usize = 8;
/// Footer length and magic at the end.
const TAIL_BYTES: usize = 10;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Text,
    Bool,
    Int32,
    Int64,
    List(Number),
    /// So many numbers in each row.
    Fixed(Number, usize),
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    U8,
    U32,
    I64,
    F32,
}

/// A column as the format wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnSpec {
    pub(super) name: &'static str,
    pub(super) column_type: ColumnType,
    pub(super) is_nullable: bool,
}

impl ColumnSpec {
    /// A column without nulls.
    pub(super) const fn new(name: &'static str, column_type: ColumnType) -> Self {
        Self {
            name,
            column_type,
            is_nullable: false,
        }
    }

    /// A column that may have nulls.
    pub(super) const fn nullable(name: &'static str, column_type: ColumnType) -> Self {
        Self {
            name,
            column_type,
            is_nullable: true,
        }
    }
}

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
        let invalid = |what: String| Error::data_loss(file, "ARROW_INVALID", what);
        let bytes = memory.as_slice();
        let footer_end = bytes
            .len()
            .checked_sub(TAIL_BYTES)
            .filter(|&end| end >= HEAD_BYTES);
        let footer_end = footer_end.ok_or_else(|| invalid("it is too short for Arrow".into()))?;
        if !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
            return Err(invalid("it does not begin and end with ARROW1".into()));
        }
        let footer_start = read_i32(bytes, footer_end)
            .and_then(|length| usize::try_from(length).ok())
            .and_then(|length| footer_end.checked_sub(length))
            .filter(|&start| start >= HEAD_BYTES)
            .ok_or_else(|| invalid("the footer's length is out of range".into()))?;
        let footer = root_as_footer(&bytes[footer_start..footer_end])
            .map_err(|error| invalid(format!("footer: {error}")))?;
        if footer.version() != MetadataVersion::V5 {
            return Err(invalid("metadata version is not V5".into()));
        }
        check_schema(file, &footer, &columns)?;

        let blocks = footer.recordBatches();
        let block = match blocks.map(|blocks| (blocks.len(), blocks)) {
            Some((1, blocks)) => *blocks.get(0),
            found => {
                let count = found.map_or(0, |(count, _)| count);
                return Err(invalid(format!(
                    "it has {count} record batches; 1 was expected"
                )));
            }
        };
        let out_of_range = || invalid("the record batch lies outside of the file".into());
        let start = usize::try_from(block.offset()).map_err(|_| out_of_range())?;
        let head = usize::try_from(block.metaDataLength()).map_err(|_| out_of_range())?;
        let body = usize::try_from(block.bodyLength()).map_err(|_| out_of_range())?;
        let body_start = start.checked_add(head).ok_or_else(out_of_range)?;
        let body_end = body_start.checked_add(body).ok_or_else(out_of_range)?;
        if start < HEAD_BYTES || head < 8 || body_end > footer_start {
            return Err(out_of_range());
        }
        let message_length =
            read_i32(bytes, start + 4).and_then(|length| usize::try_from(length).ok());
        let message_length = message_length.filter(|&length| length <= head - 8);
        let has_marker = read_i32(bytes, start) == Some(-1);
        let message = match message_length {
            Some(length) if has_marker => &bytes[start + 8..start + 8 + length],
            _ => return Err(invalid("the record batch has no valid prefix".into())),
        };
        let message =
            root_as_message(message).map_err(|error| invalid(format!("record batch: {error}")))?;
        if message.version() != MetadataVersion::V5
            || message.header_type() != MessageHeader::RecordBatch
            || message.bodyLength() != block.bodyLength()
        {
            return Err(invalid(
                "the block in the footer does not fit its message".into(),
            ));
        }
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| invalid("the block is not a record batch".into()))?;
        if batch.compression().is_some() {
            return Err(invalid("it is compressed".into()));
        }
        if u64::try_from(batch.length()).ok() != Some(rows) {
            return Err(invalid(format!(
                "it has {} rows; the manifest says {rows}",
                batch.length()
            )));
        }
        // Every column takes at least a bit of each row; so nothing below allocates more than the file.
        let rows = usize::try_from(rows)
            .ok()
            .filter(|&rows| rows / 8 <= bytes.len());
        let rows = rows.ok_or_else(|| invalid("it has more rows than bits".into()))?;

        let mut nodes = Vec::new();
        for node in batch.nodes().into_iter().flatten() {
            let length = usize::try_from(node.length());
            let nulls = usize::try_from(node.null_count());
            match (length, nulls) {
                (Ok(length), Ok(nulls)) => nodes.push((length, nulls)),
                _ => return Err(invalid("a column has a negative length".into())),
            }
        }
        let mut buffers = Vec::new();
        for buffer in batch.buffers().into_iter().flatten() {
            let offset = usize::try_from(buffer.offset()).ok();
            let length = usize::try_from(buffer.length()).ok();
            let range = offset.zip(length).filter(|&(offset, length)| {
                offset.checked_add(length).is_some_and(|end| end <= body)
            });
            let (offset, length) =
                range.ok_or_else(|| invalid("a buffer lies outside of the record batch".into()))?;
            buffers.push((body_start + offset, length));
        }
        Ok(Self {
            file,
            rows,
            memory: memory.clone(),
            columns: columns.into_iter(),
            nodes: nodes.into_iter(),
            buffers: buffers.into_iter(),
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

/// Numbers that lists hold.
pub(super) trait ListValue: ArrowNativeType {
    /// Which.
    const NUMBER: Number;
}

impl ListValue for u8 {
    const NUMBER: Number = Number::U8;
}

impl ListValue for u32 {
    const NUMBER: Number = Number::U32;
}

impl ListValue for i64 {
    const NUMBER: Number = Number::I64;
}

impl ListValue for f32 {
    const NUMBER: Number = Number::F32;
}

fn read_i32(bytes: &[u8], at: usize) -> Option<i32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(i32::from_le_bytes(four.try_into().ok()?))
}

fn check_schema(file: &str, footer: &arrow_ipc::Footer, columns: &[ColumnSpec]) -> Result<()> {
    let mismatch = |what: String| Error::data_loss(file, "SCHEMA_MISMATCH", what);
    let schema = footer
        .schema()
        .ok_or_else(|| mismatch("it has no schema".into()))?;
    if schema.endianness() != Endianness::Little {
        return Err(mismatch("it is not little-endian".into()));
    }
    if footer
        .dictionaries()
        .is_some_and(|dictionaries| !dictionaries.is_empty())
    {
        return Err(mismatch("it has dictionaries".into()));
    }
    let fields: Vec<Field> = schema.fields().into_iter().flatten().collect();
    if fields.len() != columns.len() {
        return Err(mismatch(format!(
            "it has {} columns; {} were expected",
            fields.len(),
            columns.len()
        )));
    }
    for (position, (field, column)) in fields.iter().zip(columns).enumerate() {
        let name = field.name().unwrap_or("");
        if name != column.name {
            return Err(mismatch(format!(
                "column {position} is {name:?}; {:?} was expected",
                column.name
            )));
        }
        if field.nullable() != column.is_nullable {
            let wanted = if column.is_nullable {
                "nullable"
            } else {
                "not nullable"
            };
            return Err(mismatch(format!(
                "column {name:?} must be declared {wanted}"
            )));
        }
        if field.dictionary().is_some() || !has_type(field, column.column_type) {
            return Err(mismatch(format!(
                "column {name:?} is of another type than {:?}",
                column.column_type
            )));
        }
    }
    Ok(())
}

fn has_type(field: &Field, wanted: ColumnType) -> bool {
    match wanted {
        ColumnType::Text => field.type_type() == Type::Utf8,
        ColumnType::Bool => field.type_type() == Type::Bool,
        ColumnType::Int32 => is_int(field, 32, true),
        ColumnType::Int64 => is_int(field, 64, true),
        ColumnType::List(number) => field.type_type() == Type::List && has_one_child(field, number),
        ColumnType::Fixed(number, width) => {
            let found = field.type_as_fixed_size_list().map(|list| list.listSize());
            found.and_then(|found| usize::try_from(found).ok()) == Some(width)
                && has_one_child(field, number)
        }
    }
}

/// The child's own name and nullability are the writer's; nulls in it are refused when it is read.
fn has_one_child(field: &Field, number: Number) -> bool {
    let Some(children) = field.children().filter(|children| children.len() == 1) else {
        return false;
    };
    let child = children.get(0);
    child.dictionary().is_none()
        && match number {
            Number::U8 => is_int(&child, 8, false),
            Number::U32 => is_int(&child, 32, false),
            Number::I64 => is_int(&child, 64, true),
            Number::F32 => child
                .type_as_floating_point()
                .is_some_and(|float| float.precision() == Precision::SINGLE),
        }
}

fn is_int(field: &Field, bits: i32, is_signed: bool) -> bool {
    field
        .type_as_int()
        .is_some_and(|int| int.bitWidth() == bits && int.is_signed() == is_signed)
}
