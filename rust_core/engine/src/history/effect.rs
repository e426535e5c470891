//! What the event log tells the fold: effects that were judged before they were written.
//!
//! The server turns log records into these and nothing else reaches live state, so that replaying a log gives the
//! same state. All texts are borrowed from the record.

use crate::types::TimeUs;

/// One position of the event log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect<'a> {
    /// A user did something.
    Event(RecordedEvent<'a>),
    /// The catalogue changed.
    Item(ItemFact<'a>),
    /// A write was answered.
    Answered(AnsweredRequest<'a>),
}

/// An accepted event: what the fold needs of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordedEvent<'a> {
    /// Where the id comes from.
    pub source: &'a str,
    /// Unique for source and name.
    pub event_id: &'a str,
    /// A name of `LiveSettings::event_names`; others are not folded.
    pub event_name: &'a str,
    /// The user.
    pub user_id: &'a str,
    /// The item; empty for none.
    pub item_id: &'a str,
    /// When it happened.
    pub event_at: TimeUs,
}

/// What is new about an item; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ItemFact<'a> {
    /// The item.
    pub item_id: &'a str,
    /// What it is.
    pub kind: Option<&'a str>,
    /// Name for people.
    pub title: Option<&'a str>,
    /// Empty for none.
    pub category: Option<&'a str>,
    /// Brand.
    pub brand: Option<&'a str>,
    /// Price of one unit: amount in minor units and ISO 4217 code.
    pub unit_price: Option<(i64, &'a str)>,
    /// Pieces that can be had.
    pub stock: Option<i64>,
    /// Whether it can be had at all.
    pub is_available: Option<bool>,
}

/// The answer that a write got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnsweredRequest<'a> {
    /// The caller's id.
    pub request_id: &'a str,
    /// First 16 bytes of the SHA-256 of method and canonical body.
    pub body_hash: [u8; 16],
    /// The encoded answer.
    pub answer: &'a [u8],
}
