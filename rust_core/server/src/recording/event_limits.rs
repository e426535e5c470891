//! What no event of a request may exceed. One that does refuses the whole request, before anything is written.

use promosvc_engine::error::Result;

use super::blanks::trim;
use crate::convert::check;
use crate::wire::promosvc::v1 as wire;

/// Most events of one call: they are a group of the log by themselves, and are judged in about 10 ms.
pub(crate) const EVENTS_MAX: usize = 10_000;
/// Longest search term and attribute value, in UTF-8 bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1_024;
/// Longest attribution token: those that are issued are shorter.
const TOKEN_BYTES_MAX: usize = 128;
/// Most attributes of one event.
const ATTRIBUTES_MAX: usize = 32;

/// The number of events of a request (`LIST_EMPTY`, `LIST_TOO_LONG`).
pub(super) fn check_count(count: usize) -> Result<()> {
    check::not_empty(count, "events", EVENTS_MAX)?;
    check::length(count, "events", EVENTS_MAX)
}

/// Trims the texts of an event and writes its currency in capitals, as the import does, and checks their lengths
/// (`ID_TOO_LONG`, `TEXT_TOO_LONG`, `LIST_TOO_LONG`, `ID_EMPTY`).
pub(super) fn tidy(at: usize, event: &mut wire::Event) -> Result<()> {
    let wire::Event {
        event_id,
        event_name,
        user_id,
        item_id,
        event_at: _,
        order_id,
        quantity: _,
        amount_minor: _,
        discount_minor: _,
        coupon_discount_minor: _,
        currency,
        rating: _,
        search_term,
        promotion_id,
        attribution_token,
        attributes,
    } = event;
    currency.make_ascii_uppercase();
    let ids = [
        (event_id, "event_id"),
        (event_name, "event_name"),
        (user_id, "user_id"),
        (item_id, "item_id"),
        (order_id, "order_id"),
        (promotion_id, "promotion_id"),
        (currency, "currency"),
    ];
    for (id, field) in ids {
        trim(id);
        check::name(id, || path(at, field))?;
    }
    trim(search_term);
    check::text(search_term, || path(at, "search_term"), TEXT_BYTES_MAX)?;
    check::text(
        attribution_token,
        || path(at, "attribution_token"),
        TOKEN_BYTES_MAX,
    )?;
    if attributes.len() > ATTRIBUTES_MAX {
        check::length(attributes.len(), &path(at, "attributes"), ATTRIBUTES_MAX)?;
    }
    for (key, value) in &*attributes {
        check::id(key, || path(at, "attributes"))?;
        check::text(
            value,
            || format!("events[{at}].attributes[{key:?}]"),
            TEXT_BYTES_MAX,
        )?;
    }
    Ok(())
}

/// The path of a field of the event at `at`.
pub(super) fn path(at: usize, field: &str) -> String {
    format!("events[{at}].{field}")
}
