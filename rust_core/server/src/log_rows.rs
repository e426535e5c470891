//! The event log as rows, for the offline plane: the wire ends here.
//!
//! Whoever reads it needs neither messages nor records: entries come one by one as plain values that borrow from the
//! record. Structured values (attributes, the exposure) come as JSON objects, which is what the event database keeps.
//! One record is in memory at a time. Cost: about 1 µs for each event, of which decoding its texts is most.

use std::path::Path;
use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::TimeUs;
use prost::Message;
use serde::Serialize;

use crate::storage::{DiskFiles, KIND_EVENTS, LogReader, Record};
use crate::wire::promosvc::log::v1 as wire;
use crate::wire::promosvc::log::v1::event_log_entry::Entry;

/// The version of records that is read.
const VERSION: u16 = 1;

/// One entry of the event log; answers of writes are passed over.
#[derive(Debug, PartialEq)]
pub enum LogRow<'a> {
    /// A user did something.
    Event(EventRow<'a>),
    /// The catalogue changed.
    Item(ItemRow<'a>),
}

/// A recorded event; times are in microseconds since 1970-01-01 UTC.
#[derive(Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields of promosvc.log.v1.RecordedEvent")]
pub struct EventRow<'a> {
    pub position: u64,
    pub recorded_at: TimeUs,
    pub source: &'a str,
    pub event_id: &'a str,
    pub event_name: &'a str,
    pub user_id: &'a str,
    pub item_id: Option<&'a str>,
    pub event_at: TimeUs,
    pub order_id: Option<&'a str>,
    pub quantity: Option<f64>,
    pub amount_minor: Option<i64>,
    pub discount_minor: Option<i64>,
    pub coupon_discount_minor: Option<i64>,
    pub currency: Option<&'a str>,
    pub rating: Option<f64>,
    pub search_term: Option<&'a str>,
    pub promotion_id: Option<&'a str>,
    /// JSON object.
    pub exposed_by: Option<String>,
    /// JSON object of texts, keys ascending.
    pub attributes: Option<String>,
}

/// What is new about an item.
#[derive(Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields of promosvc.log.v1.ItemFact")]
pub struct ItemRow<'a> {
    pub position: u64,
    pub recorded_at: TimeUs,
    pub item_id: &'a str,
    pub kind: Option<&'a str>,
    pub title: Option<&'a str>,
    pub category: Option<&'a str>,
    pub brand: Option<&'a str>,
    pub unit_price_minor: Option<i64>,
    pub currency: Option<&'a str>,
    pub stock: Option<i64>,
    pub is_available: Option<bool>,
}

/// Reads rows from `from` on, whole records, until `until`, the end of the log, or at least `entries_max` positions.
///
/// Gives the position after the last record that was read; `from` where there was none. Errors are those of
/// `LogReader` (LOG_TRIMMED, LOG_SHORT, LOG_CORRUPT), and LOG_FORMAT for a record that is none of the event log.
pub fn read_log_rows(
    directory: &Path,
    from: u64,
    until: Option<u64>,
    entries_max: u64,
    mut each: impl FnMut(LogRow<'_>),
) -> Result<u64> {
    let mut position = from;
    if until.is_some_and(|until| until <= from) {
        return Ok(position);
    }
    let reader = LogReader::open(Arc::new(DiskFiles::open(directory)?))?;
    for record in reader.records(from, until)? {
        let record = record?;
        read_record(&record, from, &mut each)?;
        position = record.end();
        if position - from >= entries_max {
            break;
        }
    }
    Ok(position)
}

fn read_record(record: &Record, from: u64, each: &mut impl FnMut(LogRow<'_>)) -> Result<()> {
    if (record.kind, record.version) != (KIND_EVENTS, VERSION) {
        let what = format!("has kind {} and version {}", record.kind, record.version);
        return Err(foreign(record, &what));
    }
    let message = wire::EventLogRecord::decode(&*record.payload)
        .map_err(|error| foreign(record, &format!("cannot be decoded: {error}")))?;
    if message.entries.len() as u64 != u64::from(record.entries) {
        let what = format!(
            "holds {} entries, not {}",
            message.entries.len(),
            record.entries
        );
        return Err(foreign(record, &what));
    }
    for (position, entry) in (record.position..).zip(&message.entries) {
        if position < from {
            continue;
        }
        match &entry.entry {
            Some(Entry::Event(event)) => each(LogRow::Event(event_row(position, record.at, event))),
            Some(Entry::Item(fact)) => each(LogRow::Item(item_row(position, record.at, fact))),
            Some(Entry::Request(_)) => {}
            None => {
                return Err(foreign(
                    record,
                    &format!("says nothing at position {position}"),
                ));
            }
        }
    }
    Ok(())
}

fn event_row<'a>(
    position: u64,
    recorded_at: TimeUs,
    event: &'a wire::RecordedEvent,
) -> EventRow<'a> {
    let wire::RecordedEvent {
        event_id,
        event_name,
        user_id,
        item_id,
        event_at_us,
        order_id,
        quantity,
        amount_minor,
        discount_minor,
        coupon_discount_minor,
        currency,
        rating,
        search_term,
        promotion_id,
        exposed_by,
        attributes,
        source,
    } = event;
    EventRow {
        position,
        recorded_at,
        source,
        event_id,
        event_name,
        user_id,
        item_id: some(item_id),
        event_at: TimeUs(*event_at_us),
        order_id: some(order_id),
        quantity: *quantity,
        amount_minor: *amount_minor,
        discount_minor: *discount_minor,
        coupon_discount_minor: *coupon_discount_minor,
        currency: some(currency),
        rating: *rating,
        search_term: some(search_term),
        promotion_id: some(promotion_id),
        exposed_by: exposed_by
            .as_ref()
            .map(|exposure| json(&Exposed::new(exposure))),
        attributes: (!attributes.is_empty()).then(|| json(attributes)),
    }
}

fn item_row<'a>(position: u64, recorded_at: TimeUs, fact: &'a wire::ItemFact) -> ItemRow<'a> {
    let wire::ItemFact {
        item_id,
        kind,
        title,
        category,
        brand,
        unit_price_minor,
        currency,
        stock,
        is_available,
    } = fact;
    ItemRow {
        position,
        recorded_at,
        item_id,
        kind: kind.as_deref(),
        title: title.as_deref(),
        category: category.as_deref(),
        brand: brand.as_deref(),
        unit_price_minor: *unit_price_minor,
        currency: currency.as_deref(),
        stock: *stock,
        is_available: *is_available,
    }
}

/// An exposure as the event database keeps it.
#[derive(Serialize)]
struct Exposed<'a> {
    snapshot_hash: &'a str,
    decided_at_us: i64,
    arm: &'a str,
    rank: i32,
    propensity: f32,
}

impl<'a> Exposed<'a> {
    fn new(exposure: &'a wire::Exposure) -> Self {
        let wire::Exposure {
            snapshot_hash,
            decided_at_us,
            arm,
            rank,
            propensity,
        } = exposure;
        Self {
            snapshot_hash,
            decided_at_us: *decided_at_us,
            arm,
            rank: *rank,
            propensity: *propensity,
        }
    }
}

/// JSON of something that has a form in it; texts and numbers always do.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// An empty text in the log is none.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn foreign(record: &Record, what: &str) -> Error {
    let position = record.position;
    Error::new(
        ErrorKind::DataLoss,
        "LOG_FORMAT",
        format!("the record at position {position} {what}; it is none that this version wrote"),
    )
    .with("position", position)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::storage::{Log, LogOptions, LogWriter, RecordHead};

    fn event(id: &str) -> wire::EventLogEntry {
        entry(Entry::Event(wire::RecordedEvent {
            event_id: id.to_owned(),
            event_name: "view_item".to_owned(),
            user_id: "ann".to_owned(),
            event_at_us: 5,
            source: "web".to_owned(),
            ..Default::default()
        }))
    }

    fn entry(entry: Entry) -> wire::EventLogEntry {
        wire::EventLogEntry { entry: Some(entry) }
    }

    fn append(writer: &mut LogWriter, version: u16, said: u32, entries: Vec<wire::EventLogEntry>) {
        let head = RecordHead {
            at: TimeUs(9),
            kind: KIND_EVENTS,
            version,
            entries: said,
        };
        let payload = wire::EventLogRecord { entries }.encode_to_vec();
        writer.append(&head, &payload).unwrap();
        writer.sync().unwrap();
    }

    fn log() -> (tempfile::TempDir, LogWriter) {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(DiskFiles::open(directory.path()).unwrap());
        let (writer, _) = LogWriter::open(files, LogOptions::default()).unwrap();
        (directory, writer)
    }

    fn positions(directory: &Path, from: u64, until: Option<u64>, max: u64) -> (Vec<u64>, u64) {
        let mut found = Vec::new();
        let end = read_log_rows(directory, from, until, max, |row| {
            found.push(match row {
                LogRow::Event(event) => event.position,
                LogRow::Item(item) => item.position,
            });
        });
        (found, end.unwrap())
    }

    #[test]
    fn rows_are_those_of_whole_records_from_a_position_on() {
        let (directory, mut writer) = log();
        assert_eq!(positions(directory.path(), 0, None, 9), (vec![], 0));
        append(&mut writer, 1, 3, vec![event("0"), event("1"), event("2")]);
        let fact = wire::ItemFact {
            item_id: "near".to_owned(),
            ..Default::default()
        };
        let answer = wire::AnsweredRequest::default();
        append(
            &mut writer,
            1,
            2,
            vec![entry(Entry::Item(fact)), entry(Entry::Request(answer))],
        );
        append(&mut writer, 1, 1, vec![event("5")]);
        let all = directory.path();
        assert_eq!(positions(all, 0, None, 100), (vec![0, 1, 2, 3, 5], 6));
        assert_eq!(positions(all, 1, None, 1), (vec![1, 2], 3));
        assert_eq!(positions(all, 0, None, 4), (vec![0, 1, 2, 3], 5));
        assert_eq!(positions(all, 3, Some(5), 100), (vec![3], 5));
        assert_eq!(positions(all, 5, Some(3), 100), (vec![], 5));
        assert_eq!(positions(all, 6, None, 100), (vec![], 6));
        let short = read_log_rows(all, 7, None, 100, |_| {}).unwrap_err();
        assert_eq!(short.reason, "LOG_SHORT");
    }

    #[test]
    fn values_are_as_they_were_recorded() {
        let (directory, mut writer) = log();
        let recorded = wire::RecordedEvent {
            event_id: "e".to_owned(),
            event_name: "purchase".to_owned(),
            user_id: "ann".to_owned(),
            item_id: "near".to_owned(),
            event_at_us: -1,
            order_id: "o".to_owned(),
            quantity: Some(0.5),
            amount_minor: Some(0),
            discount_minor: Some(2),
            coupon_discount_minor: None,
            currency: "EUR".to_owned(),
            rating: Some(4.5),
            search_term: "tea \"hot\"".to_owned(),
            promotion_id: "p".to_owned(),
            exposed_by: Some(wire::Exposure {
                snapshot_hash: "ab".to_owned(),
                decided_at_us: 3,
                arm: "default".to_owned(),
                rank: 2,
                propensity: 0.1,
            }),
            attributes: BTreeMap::from([
                ("shelf".to_owned(), "\"top\"".to_owned()),
                ("aisle".to_owned(), String::new()),
            ]),
            source: "web".to_owned(),
        };
        let fact = wire::ItemFact {
            item_id: "near".to_owned(),
            category: Some(String::new()),
            stock: Some(0),
            ..Default::default()
        };
        append(
            &mut writer,
            1,
            3,
            vec![
                entry(Entry::Event(recorded)),
                event("bare"),
                entry(Entry::Item(fact)),
            ],
        );
        let mut seen = 0;
        read_log_rows(directory.path(), 0, None, 10, |row| {
            seen += 1;
            match row {
                LogRow::Event(event) if event.position == 0 => {
                    let exposed = event.exposed_by.clone().unwrap();
                    assert_eq!(
                        exposed,
                        r#"{"snapshot_hash":"ab","decided_at_us":3,"arm":"default","rank":2,"propensity":0.1}"#
                    );
                    let attributes = event.attributes.clone().unwrap();
                    assert_eq!(attributes, r#"{"aisle":"","shelf":"\"top\""}"#);
                    let expected = EventRow {
                        position: 0,
                        recorded_at: TimeUs(9),
                        source: "web",
                        event_id: "e",
                        event_name: "purchase",
                        user_id: "ann",
                        item_id: Some("near"),
                        event_at: TimeUs(-1),
                        order_id: Some("o"),
                        quantity: Some(0.5),
                        amount_minor: Some(0),
                        discount_minor: Some(2),
                        coupon_discount_minor: None,
                        currency: Some("EUR"),
                        rating: Some(4.5),
                        search_term: Some("tea \"hot\""),
                        promotion_id: Some("p"),
                        exposed_by: Some(exposed),
                        attributes: Some(attributes),
                    };
                    assert_eq!(event, expected);
                }
                LogRow::Event(event) => {
                    assert_eq!((event.position, event.item_id), (1, None));
                    assert_eq!((event.exposed_by, event.attributes), (None, None));
                    assert_eq!((event.order_id, event.currency), (None, None));
                }
                LogRow::Item(item) => {
                    assert_eq!((item.position, item.item_id), (2, "near"));
                    assert_eq!((item.category, item.stock, item.title), (Some(""), Some(0), None));
                }
            }
        })
        .unwrap();
        assert_eq!(seen, 3);
    }

    #[test]
    fn a_record_of_another_kind_is_refused_by_its_position() {
        for (version, said, entries) in [
            (2, 1, vec![event("a")]),
            (1, 2, vec![event("a")]),
            (1, 1, vec![wire::EventLogEntry { entry: None }]),
        ] {
            let (directory, mut writer) = log();
            append(&mut writer, 1, 1, vec![event("fine")]);
            append(&mut writer, version, said, entries);
            let error = read_log_rows(directory.path(), 0, None, 10, |_| {}).unwrap_err();
            assert_eq!(
                (error.kind, error.reason),
                (ErrorKind::DataLoss, "LOG_FORMAT")
            );
            assert!(error.message.contains("position 1"), "{error}");
        }
    }
}
