//! As much of protobuf's encoding as a generator needs: it writes requests and looks into answers.
//!
//! By hand, because the generator shares its core with nothing else only if it is cheap: an event is copied from
//! a template, and of an answer only the counters are read. Messages built by prost are the twin in the tests.

/// Appends a varint.
pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an integer field.
pub(crate) fn integer(tag: u32, value: u64, out: &mut Vec<u8>) {
    varint(u64::from(tag) << 3, out);
    varint(value, out);
}

/// Appends a double field.
pub(crate) fn double(tag: u32, value: f64, out: &mut Vec<u8>) {
    varint(u64::from(tag) << 3 | 1, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a text, bytes or message field.
pub(crate) fn bytes(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(tag) << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// An integer, enum or bool.
    Integer(u64),
    /// A text, bytes or message.
    Bytes(&'a [u8]),
    /// A number of fixed size, which nobody here looks into.
    Fixed,
}

/// The fields of a message in their order. Ends early, with `None`, where the bytes are no message.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.read_varint()?;
        let value = match key & 7 {
            0 => Value::Integer(self.read_varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.read_varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn read_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_written() {
        let mut message = Vec::new();
        integer(1, 300, &mut message);
        bytes(2, b"near", &mut message);
        double(3, 1.5, &mut message);
        integer(20, u64::MAX, &mut message);
        let fields: Option<Vec<_>> = Fields(&message).collect();
        assert_eq!(
            fields.expect("a message"),
            [
                (1, Value::Integer(300)),
                (2, Value::Bytes(b"near")),
                (3, Value::Fixed),
                (20, Value::Integer(u64::MAX)),
            ]
        );
        for end in [1, 4, message.len() - 1] {
            let cut: Option<Vec<_>> = Fields(&message[..end]).collect();
            assert_eq!(cut, None, "{end}");
        }
    }
}
