//! Writes protobuf fields by hand, with the rules of proto3: what is zero is left out.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// A text.
pub(super) fn text(tag: u32, value: &str, out: &mut Vec<u8>) {
    if !value.is_empty() {
        text_always(tag, value, out);
    }
}

/// An element of a repeated text, which is written even when empty.
pub(super) fn text_always(tag: u32, value: &str, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

/// An integer of any width (negative ones sign-extended), an enum, or a bool.
pub(super) fn integer(tag: u32, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(value as u64, out);
    }
}

/// A float; both zeros are left out.
pub(super) fn float(tag: u32, value: f32, out: &mut Vec<u8>) {
    if value != 0.0 {
        encode_key(tag, WireType::ThirtyTwoBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// A message, written even when empty. The body goes where it will stay, behind one byte for its
/// length; only a body of 128 bytes or more is moved, to make room for a longer one.
pub(super) fn message(tag: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    encode_key(tag, WireType::LengthDelimited, out);
    let at = out.len();
    out.push(0);
    body(out);
    let length = (out.len() - at - 1) as u64;
    let width = encoded_len_varint(length);
    if width == 1 {
        out[at] = length as u8;
        return;
    }
    let mut prefix = [0_u8; 10];
    encode_varint(length, &mut &mut prefix[..]);
    out.splice(at..=at, prefix[..width].iter().copied());
}
