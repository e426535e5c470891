//! The requests to send, each already behind gRPC's five bytes of prefix.

use std::fs;
use std::path::PathBuf;

use bytes::{BufMut, Bytes, BytesMut};

/// Reads a file of length-prefixed messages; without a file, one empty message.
pub(crate) fn load(file: &Option<PathBuf>) -> Result<Vec<Bytes>, String> {
    let Some(path) = file else {
        return Ok(vec![framed(&[])]);
    };
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    split(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn split(mut bytes: &[u8]) -> Result<Vec<Bytes>, String> {
    let mut requests = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let message = rest.get(..length).ok_or_else(|| {
            format!(
                "request {} is said to have {length} bytes, and {} follow",
                requests.len(),
                rest.len()
            )
        })?;
        requests.push(framed(message));
        bytes = &rest[length..];
    }
    match (bytes.is_empty(), requests.is_empty()) {
        (true, false) => Ok(requests),
        (true, true) => Err("it holds no request".to_owned()),
        (false, _) => Err(format!("{} bytes are left over at the end", bytes.len())),
    }
}

/// A message behind gRPC's prefix.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_framed_one_by_one() {
        let requests = split(&[1, 0, 0, 0, 9, 0, 0, 0, 0]).expect("two requests");
        assert_eq!(requests, [&[0, 0, 0, 0, 1, 9][..], &[0, 0, 0, 0, 0][..]]);
    }

    #[test]
    fn a_file_that_ends_early_is_refused() {
        for bytes in [&[][..], &[1, 0, 0, 0], &[0, 0, 0, 0, 7]] {
            split(bytes).expect_err("refused");
        }
    }
}
