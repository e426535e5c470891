//! A record: everything that is made durable at once.
//!
//! ```text
//! length u32 · crc32c u32 · position u64 · at_us i64 · kind u16 · version u16 · entries u32 · payload · zeros to 8 bytes
//! ```
//! Little-endian. `length` is that of the payload; 0 is the end of what was written, so a payload has at least one
//! byte. The checksum begins with the segment's salt and covers all else, padding too: bytes of another segment, or a
//! payload that imitates a record, do not pass. Entry `i` has log position `position + i`.

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::TimeUs;

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 32;
/// Largest payload; 500 events have about 60 kB, and recovery never allocates more than this for a record.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// What a writer says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// When it was made.
    pub at: TimeUs,
    /// What the payload is (`KIND_EVENTS`, ...).
    pub kind: u16,
    /// Version of the payload's meaning.
    pub version: u16,
    /// Log positions that it takes, at least 1.
    pub entries: u32,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position of the first entry.
    pub position: u64,
    /// When it was made.
    pub at: TimeUs,
    /// What the payload is.
    pub kind: u16,
    /// Version of the payload's meaning.
    pub version: u16,
    /// Log positions that it takes, at least 1.
    pub entries: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Record {
    /// Position after the last entry.
    pub fn end(&self) -> u64 {
        self.position.saturating_add(u64::from(self.entries))
    }
}

/// The first 32 bytes of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) length: u32,
    pub(super) checksum: u32,
    pub(super) position: u64,
    pub(super) head: RecordHead,
}

/// Bytes that a record with such a payload takes in its segment.
pub(super) fn record_bytes(payload_bytes: usize) -> u64 {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT) as u64
}

/// Whether a record is the one that begins at `position`.
pub(super) fn follows(header: &Header, position: u64) -> bool {
    header.end().is_some() && is_next(header.position, position)
}

/// The position check: what begins at `begins` follows on what ends at `position`.
pub(super) fn is_next(begins: u64, position: u64) -> bool {
    #[cfg(test)]
    if !IS_POSITION_CHECKED.get() {
        return true;
    }
    begins == position
}

#[cfg(test)]
thread_local! {
    /// A test leaves the check out to prove that another test would notice.
    pub(super) static IS_POSITION_CHECKED: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Refuses what can never be a record.
pub(super) fn check(head: &RecordHead, payload: &[u8]) -> Result<()> {
    if head.entries == 0 || payload.len() < head.entries as usize {
        return Err(Error::new(
            ErrorKind::Internal,
            "RECORD_EMPTY",
            format!(
                "a record of {} entries in {} bytes; it needs one entry and a byte for each",
                head.entries,
                payload.len()
            ),
        ));
    }
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "RECORD_TOO_LARGE",
            format!(
                "a record of {} bytes; the maximum is {PAYLOAD_BYTES_MAX}",
                payload.len()
            ),
        )
        .with("value", payload.len())
        .with("limit", PAYLOAD_BYTES_MAX));
    }
    Ok(())
}

/// Puts a whole record into `buffer`, in place of what was there.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    salt: u64,
    position: u64,
    head: &RecordHead,
    payload: &[u8],
) {
    let RecordHead {
        at,
        kind,
        version,
        entries,
    } = *head;
    buffer.clear();
    buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&position.to_le_bytes());
    buffer.extend_from_slice(&at.0.to_le_bytes());
    buffer.extend_from_slice(&kind.to_le_bytes());
    buffer.extend_from_slice(&version.to_le_bytes());
    buffer.extend_from_slice(&entries.to_le_bytes());
    buffer.extend_from_slice(payload);
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
    let checksum = checksum(salt, buffer);
    buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a header; `None` for fewer than 32 bytes.
pub(super) fn parse(bytes: &[u8]) -> Option<Header> {
    let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, rest @ ..] = *bytes;
    let [p0, p1, p2, p3, p4, p5, p6, p7, rest @ ..] = rest;
    let [a0, a1, a2, a3, a4, a5, a6, a7, rest @ ..] = rest;
    let [k0, k1, v0, v1, e0, e1, e2, e3] = rest;
    Some(Header {
        length: u32::from_le_bytes([l0, l1, l2, l3]),
        checksum: u32::from_le_bytes([c0, c1, c2, c3]),
        position: u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]),
        head: RecordHead {
            at: TimeUs(i64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7])),
            kind: u16::from_le_bytes([k0, k1]),
            version: u16::from_le_bytes([v0, v1]),
            entries: u32::from_le_bytes([e0, e1, e2, e3]),
        },
    })
}

impl Header {
    /// Bytes of the whole record; `None` for a length that no record has.
    pub(super) fn record_bytes(&self) -> Option<u64> {
        let length = self.length as usize;
        (1..=PAYLOAD_BYTES_MAX)
            .contains(&length)
            .then(|| record_bytes(length))
    }

    /// Position after the last entry; `None` where there is none.
    pub(super) fn end(&self) -> Option<u64> {
        if self.head.entries == 0 {
            return None;
        }
        self.position.checked_add(u64::from(self.head.entries))
    }

    /// Whether `record`, all its bytes, is what was written under this salt.
    pub(super) fn is_whole(&self, salt: u64, record: &[u8]) -> bool {
        record.len() >= HEADER_BYTES && checksum(salt, record) == self.checksum
    }
}

/// Checksum of a record's bytes, without the four that hold it.
fn checksum(salt: u64, record: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&salt.to_le_bytes());
    let length = crc32c::crc32c_append(seed, &record[..4]);
    crc32c::crc32c_append(length, &record[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> RecordHead {
        RecordHead {
            at: TimeUs(-5),
            kind: 1,
            version: 2,
            entries: 3,
        }
    }

    #[test]
    fn a_record_is_the_documented_bytes() {
        let mut buffer = Vec::new();
        encode(&mut buffer, 7, 9, &head(), b"payload, 18 bytes.");
        assert_eq!(buffer.len(), 56);
        assert_eq!(buffer[..4], 18u32.to_le_bytes());
        assert_eq!(buffer[8..16], 9u64.to_le_bytes());
        assert_eq!(buffer[16..24], (-5i64).to_le_bytes());
        assert_eq!(buffer[24..32], [1, 0, 2, 0, 3, 0, 0, 0]);
        assert_eq!(&buffer[32..50], b"payload, 18 bytes.");
        assert_eq!(buffer[50..], [0; 6]);
        let mut covered = 7u64.to_le_bytes().to_vec();
        covered.extend_from_slice(&buffer[..4]);
        covered.extend_from_slice(&buffer[8..]);
        assert_eq!(buffer[4..8], slow_crc32c(&covered).to_le_bytes());
        let header = parse(&buffer).unwrap();
        assert_eq!((header.position, header.head), (9, head()));
        assert_eq!((header.record_bytes(), header.end()), (Some(56), Some(12)));
        assert!(header.is_whole(7, &buffer));
    }

    /// CRC-32C bit by bit, as RFC 3720 defines it.
    fn slow_crc32c(bytes: &[u8]) -> u32 {
        let mut crc = !0u32;
        for &byte in bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            }
        }
        !crc
    }

    #[test]
    fn the_slow_checksum_is_the_published_one() {
        assert_eq!(slow_crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn every_flipped_bit_and_every_other_salt_is_seen() {
        let mut buffer = Vec::new();
        encode(&mut buffer, 7, 9, &head(), b"payload");
        for bit in 0..buffer.len() * 8 {
            let mut damaged = buffer.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let header = parse(&damaged).unwrap();
            assert!(!header.is_whole(7, &damaged), "bit {bit}");
        }
        let header = parse(&buffer).unwrap();
        assert!(!header.is_whole(6, &buffer));
    }

    #[test]
    fn lengths_and_entries_that_no_record_has_are_named() {
        let mut buffer = Vec::new();
        encode(&mut buffer, 0, u64::MAX - 1, &head(), b"x");
        assert_eq!(parse(&buffer).unwrap().end(), None);
        buffer[..4].copy_from_slice(&(PAYLOAD_BYTES_MAX as u32 + 1).to_le_bytes());
        assert_eq!(parse(&buffer).unwrap().record_bytes(), None);
        buffer[..4].copy_from_slice(&[0; 4]);
        assert_eq!(parse(&buffer).unwrap().record_bytes(), None);
        assert!(parse(&buffer[..31]).is_none());
        assert_eq!(check(&head(), b"").unwrap_err().reason, "RECORD_EMPTY");
        let large = vec![0; PAYLOAD_BYTES_MAX + 1];
        let error = check(&head(), &large).unwrap_err();
        assert_eq!(error.reason, "RECORD_TOO_LARGE");
    }
}
