//! The first 64 bytes of every file of a log.
//!
//! ```text
//! magic 8 · format version u32 · crc32c u32 · salt u64 · position u64 · zeros 32
//! ```
//! Little-endian; the checksum covers all other bytes. They lie within one sector of a disk, so they are never torn.

/// Bytes of a header.
pub(super) const BYTES: usize = 64;
const FORMAT_VERSION: u32 = 1;

/// A header.
pub(super) fn encode(magic: [u8; 8], salt: u64, position: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&salt.to_le_bytes());
    bytes[24..32].copy_from_slice(&position.to_le_bytes());
    let checksum = checksum(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The salt of a good header; otherwise what is wrong with it. `position` is what the file's name says.
pub(super) fn parse(bytes: &[u8; BYTES], magic: [u8; 8], position: u64) -> Result<u64, String> {
    if bytes[..8] != magic {
        return Err(format!("it does not begin with {}", magic.escape_ascii()));
    }
    if u32::from_le_bytes(field(bytes, 12)) != checksum(bytes) {
        return Err("the checksum of the header does not fit".to_owned());
    }
    let version = u32::from_le_bytes(field(bytes, 8));
    if version != FORMAT_VERSION {
        return Err(format!(
            "format version {version}; this program reads {FORMAT_VERSION}"
        ));
    }
    match u64::from_le_bytes(field(bytes, 24)) {
        written if written == position => Ok(u64::from_le_bytes(field(bytes, 16))),
        written => Err(format!("position {written}; its name says {position}")),
    }
}

/// Checksum of a header without the four bytes that hold it.
fn checksum(bytes: &[u8; BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn field<const N: usize>(bytes: &[u8; BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 8] = *b"EXAMPLES";

    #[test]
    fn every_flipped_bit_is_refused() {
        let header = encode(MAGIC, 77, 5);
        assert_eq!(parse(&header, MAGIC, 5), Ok(77));
        for bit in 0..BYTES * 8 {
            let mut damaged = header;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&damaged, MAGIC, 5).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_name_kind_or_version_is_named() {
        let header = encode(MAGIC, 77, 5);
        let error = parse(&header, MAGIC, 6).unwrap_err();
        assert_eq!(error, "position 5; its name says 6");
        assert!(
            parse(&header, *b"OTHERFIL", 5)
                .unwrap_err()
                .contains("OTHERFIL")
        );
        let mut newer = header;
        newer[8] = 2;
        let sum = checksum(&newer);
        newer[12..16].copy_from_slice(&sum.to_le_bytes());
        let error = parse(&newer, MAGIC, 5).unwrap_err();
        assert_eq!(error, "format version 2; this program reads 1");
    }
}
