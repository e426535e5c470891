//! `RecommendResponse`, written straight from the engine's answer.
//!
//! Twenty items are some 1.5 kB; building the messages first would clone a hundred strings. The twin in
//! the tests does build them, and the bytes must be equal.

use promosvc_engine::decision::{
    Basis, DegradedReason, RankedItem, Reason, Recommendation, ShortfallReason,
};
use promosvc_engine::types::TimeUs;

use super::encode::{float, integer, message, text};
use super::time::timestamp;
use crate::attribution::Issuer;
use crate::wire::promosvc::v1 as wire;

/// Appends the encoded response; with tokens, if there is somebody to issue them.
pub(crate) fn encode_recommendation(
    placement: &str,
    answer: &Recommendation,
    issuer: Option<&Issuer<'_>>,
    out: &mut Vec<u8>,
) {
    let Recommendation {
        snapshot,
        catalogue: _,
        decided_at,
        items,
        page_size,
        degraded,
        shortfall,
    } = answer;
    for (at, item) in items.iter().enumerate() {
        message(1, out, |out| encode_item(answer, at + 1, item, issuer, out));
    }
    text(2, &snapshot.id, out);
    for model in &snapshot.manifest.models {
        message(3, out, |out| {
            text(1, &model.name, out);
            text(2, &model.version, out);
        });
    }
    encode_time(4, *decided_at, out);
    text(5, placement, out);
    integer(6, *page_size as i64, out);
    integer(7, degraded.map_or(0, degraded_number), out);
    integer(8, shortfall.map_or(0, shortfall_number), out);
}

fn encode_item(
    answer: &Recommendation,
    rank: usize,
    ranked: &RankedItem,
    issuer: Option<&Issuer<'_>>,
    out: &mut Vec<u8>,
) {
    let RankedItem {
        item,
        score,
        reasons,
    } = ranked;
    let item_id = answer.item_id(*item);
    text(1, item_id, out);
    integer(2, rank as i64, out);
    float(3, *score, out);
    for reason in reasons {
        message(4, out, |out| encode_reason(answer, reason, out));
    }
    text(5, answer.title(*item), out);
    text(6, answer.kind(*item), out);
    text(7, answer.category(*item), out);
    if let Some(price) = answer.unit_price(*item) {
        message(8, out, |out| {
            integer(1, price.amount_minor, out);
            text(2, price.currency, out);
        });
    }
    if let Some(issuer) = issuer {
        // A page has at most 100 items.
        message(9, out, |out| issuer.issue(item_id, rank as u8, out));
    }
}

fn encode_reason(answer: &Recommendation, reason: &Reason, out: &mut Vec<u8>) {
    let Reason {
        contribution,
        basis,
    } = reason;
    float(1, *contribution, out);
    match *basis {
        Basis::BecauseOfItem {
            item,
            similarity,
            is_in_cart,
        } => message(2, out, |out| {
            text(1, answer.item_id(item), out);
            text(2, answer.title(item), out);
            float(3, similarity, out);
            integer(4, i64::from(is_in_cart), out);
        }),
        Basis::SimilarUsers { user_count } => {
            message(3, out, |out| integer(1, i64::from(user_count), out));
        }
        Basis::PopularItem { window_days } => {
            message(4, out, |out| integer(1, i64::from(window_days), out));
        }
        Basis::ChosenBefore {
            event_count,
            last_event_at,
        } => message(5, out, |out| {
            integer(1, i64::from(event_count), out);
            encode_time(2, last_event_at, out);
        }),
        Basis::OtherHistory { item_count } => {
            message(6, out, |out| integer(1, i64::from(item_count), out));
        }
    }
}

/// A timestamp holds no strings, so its own message serves.
pub(super) fn encode_time(tag: u32, time: TimeUs, out: &mut Vec<u8>) {
    prost::encoding::message::encode(tag, &timestamp(time), out);
}

fn degraded_number(reason: DegradedReason) -> i64 {
    i64::from(match reason {
        DegradedReason::UnknownUser => wire::DegradedReason::UnknownUser,
        DegradedReason::NoHistory => wire::DegradedReason::NoHistory,
        DegradedReason::LiveStateFull => wire::DegradedReason::LiveStateFull,
    } as i32)
}

fn shortfall_number(reason: ShortfallReason) -> i64 {
    i64::from(match reason {
        ShortfallReason::FewerEligible => wire::ShortfallReason::FewerEligible,
        ShortfallReason::CategoryCap => wire::ShortfallReason::CategoryCap,
        ShortfallReason::NothingEligible => wire::ShortfallReason::NothingEligible,
    } as i32)
}
