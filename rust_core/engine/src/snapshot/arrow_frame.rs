//! The frame of an Arrow IPC file: where its one record batch and that batch's buffers lie.
//!
//! Format: <https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format>. The flatbuffers (footer
//! and record batch header) are checked by their own verifier; magic, lengths, block and ranges are checked
//! here. Nothing is allocated that the file does not hold.

use std::ops::Range;

use arrow_ipc::{
    Footer, MessageHeader, MetadataVersion, RecordBatch, root_as_footer, root_as_message,
};

use super::arrow_schema::{ColumnSpec, check_schema};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"ARROW1";
/// Magic and padding in front.
const HEAD_BYTES: usize = 8;
/// Footer length and magic at the end.
const TAIL_BYTES: usize = 10;
/// In front of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Continuation and length in front of every message.
const PREFIX_BYTES: usize = 8;

/// What the record batch says of itself; every range lies inside of the file.
pub(super) struct ArrowFrame {
    pub(super) rows: u64,
    /// Length and null count of each column and list child.
    pub(super) nodes: Vec<(usize, usize)>,
    /// Start in the file and length.
    pub(super) buffers: Vec<(usize, usize)>,
}

impl ArrowFrame {
    /// Checks frame and schema of the file `file`.
    pub(super) fn open(file: &str, bytes: &[u8], columns: &[ColumnSpec]) -> Result<Self> {
        let (footer, footer_start) = footer_of(file, bytes)?;
        check_schema(file, &footer, columns)?;
        let (batch, body) = batch_of(file, &bytes[..footer_start], &footer)?;
        let rows = u64::try_from(batch.length())
            .map_err(|_| invalid(file, "its number of rows is negative"))?;
        Ok(Self {
            rows,
            nodes: nodes_of(file, &batch)?,
            buffers: buffers_of(file, &batch, &body)?,
        })
    }
}

fn footer_of<'a>(file: &str, bytes: &'a [u8]) -> Result<(Footer<'a>, usize)> {
    let end = bytes
        .len()
        .checked_sub(TAIL_BYTES)
        .filter(|&end| end >= HEAD_BYTES);
    let end = end.ok_or_else(|| invalid(file, "it is too short for Arrow"))?;
    if !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
        return Err(invalid(file, "it does not begin and end with ARROW1"));
    }
    let start = read_length(bytes, end)
        .and_then(|length| end.checked_sub(length))
        .filter(|&start| start >= HEAD_BYTES)
        .ok_or_else(|| invalid(file, "the footer's length is out of range"))?;
    let footer = root_as_footer(&bytes[start..end])
        .map_err(|error| invalid(file, format!("footer: {error}")))?;
    if footer.version() != MetadataVersion::V5 {
        return Err(invalid(file, "metadata version is not V5"));
    }
    Ok((footer, start))
}

/// The one record batch and where its body lies; `bytes` end where the footer starts.
fn batch_of<'a>(
    file: &str,
    bytes: &'a [u8],
    footer: &Footer,
) -> Result<(RecordBatch<'a>, Range<usize>)> {
    let blocks = footer.recordBatches();
    let count = blocks.map_or(0, |blocks| blocks.len());
    let Some(block) = blocks.filter(|_| count == 1).map(|blocks| *blocks.get(0)) else {
        return Err(invalid(
            file,
            format!("it has {count} record batches; 1 was expected"),
        ));
    };
    let out_of_range = || invalid(file, "the record batch lies outside of the file");
    let start = usize::try_from(block.offset()).map_err(|_| out_of_range())?;
    let head = usize::try_from(block.metaDataLength()).map_err(|_| out_of_range())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| out_of_range())?;
    let body_start = start.checked_add(head).ok_or_else(out_of_range)?;
    let body_end = body_start.checked_add(body).ok_or_else(out_of_range)?;
    if start < HEAD_BYTES || head < PREFIX_BYTES || body_end > bytes.len() {
        return Err(out_of_range());
    }
    let has_marker = bytes[start..].starts_with(&CONTINUATION);
    let length = read_length(bytes, start + CONTINUATION.len())
        .filter(|&length| has_marker && length <= head - PREFIX_BYTES)
        .ok_or_else(|| invalid(file, "the record batch has no valid prefix"))?;
    let message = root_as_message(&bytes[start + PREFIX_BYTES..start + PREFIX_BYTES + length])
        .map_err(|error| invalid(file, format!("record batch: {error}")))?;
    let is_right = message.version() == MetadataVersion::V5
        && message.header_type() == MessageHeader::RecordBatch
        && message.bodyLength() == block.bodyLength();
    let batch = message
        .header_as_record_batch()
        .filter(|_| is_right)
        .ok_or_else(|| invalid(file, "the block in the footer does not fit its message"))?;
    if batch.compression().is_some() {
        return Err(invalid(file, "it is compressed"));
    }
    Ok((batch, body_start..body_end))
}

fn nodes_of(file: &str, batch: &RecordBatch) -> Result<Vec<(usize, usize)>> {
    let node = |node: &arrow_ipc::FieldNode| {
        let length = usize::try_from(node.length()).ok()?;
        Some((length, usize::try_from(node.null_count()).ok()?))
    };
    let nodes = batch
        .nodes()
        .into_iter()
        .flatten()
        .map(node)
        .collect::<Option<_>>();
    nodes.ok_or_else(|| invalid(file, "a column has a negative length"))
}

fn buffers_of(file: &str, batch: &RecordBatch, body: &Range<usize>) -> Result<Vec<(usize, usize)>> {
    let buffer = |buffer: &arrow_ipc::Buffer| {
        let offset = usize::try_from(buffer.offset()).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let is_inside = offset.checked_add(length)? <= body.len();
        is_inside.then_some((body.start + offset, length))
    };
    let buffers = batch
        .buffers()
        .into_iter()
        .flatten()
        .map(buffer)
        .collect::<Option<_>>();
    buffers.ok_or_else(|| invalid(file, "a buffer lies outside of the record batch"))
}

fn read_length(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(i32::from_le_bytes(four.try_into().ok()?)).ok()
}

fn invalid(file: &str, what: impl std::fmt::Display) -> Error {
    Error::data_loss(file, "ARROW_INVALID", what)
}
