//! Entries of a log record, encoded one by one where they arise and put together by copying.
//!
//! A message is what its fields are one after the other, so the payload of a record (`EventLogRecord`) is the entries of
//! all commands in it. Written by hand around each entry, because prost would measure it once more for each level.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, message};

/// `EventLogRecord.entries`.
const ENTRIES: u32 = 1;
/// `EventLogEntry.event`.
pub(super) const EVENT: u32 = 1;
/// `EventLogEntry.item`.
pub(super) const ITEM: u32 = 2;
/// `EventLogEntry.request`.
pub(super) const REQUEST: u32 = 3;

/// The version of what a record means.
pub(super) const VERSION: u16 = 1;

/// Appends one entry, which is field `tag` of `EventLogEntry`.
pub(super) fn encode(tag: u32, body: &impl Message, out: &mut Vec<u8>) {
    let body_bytes = body.encoded_len();
    let entry_bytes = 1 + encoded_len_varint(body_bytes as u64) + body_bytes;
    encode_key(ENTRIES, WireType::LengthDelimited, out);
    encode_varint(entry_bytes as u64, out);
    message::encode(tag, body, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::promosvc::log::v1::event_log_entry::Entry;
    use crate::wire::promosvc::log::v1::{
        AnsweredRequest, EventLogEntry, EventLogRecord, ItemFact, RecordedEvent,
    };

    #[test]
    fn entries_put_together_are_a_record() {
        let event = RecordedEvent {
            event_id: "1".to_owned(),
            // Longer than one byte of length.
            search_term: "near".repeat(100),
            ..Default::default()
        };
        let item = ItemFact {
            item_id: "far".to_owned(),
            stock: Some(0),
            ..Default::default()
        };
        let request = AnsweredRequest {
            request_id: "r".to_owned(),
            body_hash: vec![1; 16],
            answer: vec![],
        };
        let mut payload = Vec::new();
        encode(EVENT, &event, &mut payload);
        encode(ITEM, &item, &mut payload);
        encode(REQUEST, &request, &mut payload);
        let whole = EventLogRecord {
            entries: [
                Entry::Event(event),
                Entry::Item(item),
                Entry::Request(request),
            ]
            .map(|entry| EventLogEntry { entry: Some(entry) })
            .to_vec(),
        };
        assert_eq!(payload, whole.encode_to_vec());
    }
}
