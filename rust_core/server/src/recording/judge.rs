//! One event, judged: the tests of the file import, in its order, so that an event gets the same verdict
//! whichever way it comes.
//!
//! The import's are `_faults` in `python/promosvc/events/cleaning.py`; `tests/fixtures/cleaning.jsonl` is judged by
//! both. The wire has fewer ways to be wrong: ids over the limit refuse the whole request, and a return is an event
//! `refund` with a positive quantity, where the import also reads negative quantities.

use promosvc_engine::types::{DurationUs, TimeUs};

use super::currencies::is_currency;
use super::vocabulary::Vocabulary;
use crate::convert::time_of;
use crate::wire::promosvc::v1 as wire;
use crate::wire::promosvc::v1::RejectionReason as Reason;

/// How far an event may be ahead of the server's clock: clocks of clients that are set by hand.
pub(crate) const AHEAD_MAX: DurationUs = DurationUs(5 * 60 * 1_000_000);
/// Numbers from here on are slips: the import's `AMOUNT_MAX`.
const NUMBER_MAX: f64 = 9e15;
const AMOUNT_MAX: i64 = 9_000_000_000_000_000;

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// The reason.
    pub(super) reason: Reason,
    /// The field at fault, within the event.
    pub(super) field: &'static str,
}

/// What events are judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    /// The names that are known.
    pub(super) vocabulary: &'a Vocabulary,
    /// The first time that is possible.
    pub(super) earliest: TimeUs,
    /// The last time that is possible: the clock and `AHEAD_MAX`.
    pub(super) latest: TimeUs,
}

impl Judge<'_> {
    /// When the event happened, or why it is refused. Texts are trimmed and within their limits already.
    pub(super) fn judge(&self, event: &wire::Event) -> Result<TimeUs, Rejection> {
        reject(
            event.event_id.is_empty(),
            Reason::MissingEventId,
            "event_id",
        )?;
        reject(
            event.event_name.is_empty(),
            Reason::MissingEventName,
            "event_name",
        )?;
        let Some(needs_item) = self.vocabulary.needs_item(&event.event_name) else {
            return Err(Rejection {
                reason: Reason::UnknownEventName,
                field: "event_name",
            });
        };
        reject(event.user_id.is_empty(), Reason::MissingUser, "user_id")?;
        reject(
            needs_item && event.item_id.is_empty(),
            Reason::MissingItem,
            "item_id",
        )?;
        let event_at = self.time(event)?;
        check_numbers(event)?;
        check_currency(event)?;
        Ok(event_at)
    }

    fn time(&self, event: &wire::Event) -> Result<TimeUs, Rejection> {
        let reject = |reason| Rejection {
            reason,
            field: "event_at",
        };
        let time = event.event_at.as_ref().ok_or(reject(Reason::MissingTime))?;
        let time = time_of(time).ok_or(reject(Reason::InvalidTime))?;
        if (self.earliest..=self.latest).contains(&time) {
            Ok(time)
        } else {
            Err(reject(Reason::ImpossibleTime))
        }
    }
}

fn check_numbers(event: &wire::Event) -> Result<(), Rejection> {
    let amounts = [
        (event.amount_minor, "amount_minor"),
        (event.discount_minor, "discount_minor"),
        (event.coupon_discount_minor, "coupon_discount_minor"),
    ];
    let is_number = |value: Option<f64>| value.is_none_or(|value| value.abs() < NUMBER_MAX);
    reject(
        !is_number(event.quantity),
        Reason::InvalidNumber,
        "quantity",
    )?;
    for (amount, field) in amounts {
        let is_absurd = amount.is_some_and(|amount| amount.unsigned_abs() >= AMOUNT_MAX as u64);
        reject(is_absurd, Reason::InvalidNumber, field)?;
    }
    reject(!is_number(event.rating), Reason::InvalidNumber, "rating")?;
    if let Some(quantity) = event.quantity {
        reject(quantity < 0.0, Reason::InvalidNumber, "quantity")?;
        reject(quantity == 0.0, Reason::ZeroQuantity, "quantity")?;
    }
    for (amount, field) in amounts {
        reject(
            amount.is_some_and(|amount| amount < 0),
            Reason::NegativePrice,
            field,
        )?;
    }
    Ok(())
}

fn check_currency(event: &wire::Event) -> Result<(), Rejection> {
    let is_wrong = if event.currency.is_empty() {
        event.amount_minor.is_some()
            || event.discount_minor.is_some()
            || event.coupon_discount_minor.is_some()
    } else {
        !is_currency(&event.currency)
    };
    reject(is_wrong, Reason::InvalidCurrency, "currency")
}

fn reject(is_wrong: bool, reason: Reason, field: &'static str) -> Result<(), Rejection> {
    if is_wrong {
        Err(Rejection { reason, field })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost_types::Timestamp;

    use super::*;

    const NOW: TimeUs = TimeUs(1_000_000_000_000);

    fn verdict(change: impl FnOnce(&mut wire::Event)) -> Result<TimeUs, (Reason, &'static str)> {
        let vocabulary = Vocabulary::new(&BTreeMap::new());
        let judge = Judge {
            vocabulary: &vocabulary,
            earliest: TimeUs(0),
            latest: NOW.after(AHEAD_MAX),
        };
        let mut event = wire::Event {
            event_id: "1".to_owned(),
            event_name: "purchase".to_owned(),
            user_id: "near".to_owned(),
            item_id: "far".to_owned(),
            event_at: Some(Timestamp {
                seconds: 1_000,
                nanos: 1_999,
            }),
            ..Default::default()
        };
        change(&mut event);
        judge
            .judge(&event)
            .map_err(|rejection| (rejection.reason, rejection.field))
    }

    fn at(us: i64) -> Option<Timestamp> {
        Some(crate::convert::timestamp(TimeUs(us)))
    }

    #[test]
    fn a_plain_event_stands_and_its_time_is_cut_to_microseconds() {
        assert_eq!(verdict(|_| {}), Ok(TimeUs(1_000_000_001)));
    }

    #[test]
    fn the_limits_of_time_are_inclusive() {
        let latest = NOW.after(AHEAD_MAX).0;
        for possible in [0, latest] {
            assert_eq!(
                verdict(|event| event.event_at = at(possible)),
                Ok(TimeUs(possible))
            );
        }
        for impossible in [-1, latest + 1] {
            let verdict = verdict(|event| event.event_at = at(impossible));
            assert_eq!(verdict, Err((Reason::ImpossibleTime, "event_at")));
        }
    }

    #[test]
    fn each_fault_has_its_reason_and_field() {
        type Change = fn(&mut wire::Event);
        let cases: [(Change, Reason, &str); 20] = [
            (|e| e.event_id.clear(), Reason::MissingEventId, "event_id"),
            (
                |e| e.event_name.clear(),
                Reason::MissingEventName,
                "event_name",
            ),
            (
                |e| e.event_name = "Purchase".to_owned(),
                Reason::UnknownEventName,
                "event_name",
            ),
            (|e| e.user_id.clear(), Reason::MissingUser, "user_id"),
            (|e| e.item_id.clear(), Reason::MissingItem, "item_id"),
            (|e| e.event_at = None, Reason::MissingTime, "event_at"),
            (
                |e| {
                    e.event_at = Some(Timestamp {
                        seconds: i64::MAX,
                        nanos: 0,
                    })
                },
                Reason::InvalidTime,
                "event_at",
            ),
            (
                |e| {
                    e.event_at = Some(Timestamp {
                        seconds: 0,
                        nanos: -1,
                    })
                },
                Reason::InvalidTime,
                "event_at",
            ),
            (
                |e| e.quantity = Some(f64::NAN),
                Reason::InvalidNumber,
                "quantity",
            ),
            (
                |e| e.quantity = Some(9e15),
                Reason::InvalidNumber,
                "quantity",
            ),
            (
                |e| e.quantity = Some(-1.0),
                Reason::InvalidNumber,
                "quantity",
            ),
            (
                |e| e.quantity = Some(-0.0),
                Reason::ZeroQuantity,
                "quantity",
            ),
            (
                |e| e.rating = Some(f64::INFINITY),
                Reason::InvalidNumber,
                "rating",
            ),
            (
                |e| e.amount_minor = Some(AMOUNT_MAX),
                Reason::InvalidNumber,
                "amount_minor",
            ),
            (
                |e| e.amount_minor = Some(i64::MIN),
                Reason::InvalidNumber,
                "amount_minor",
            ),
            (
                |e| e.amount_minor = Some(-1),
                Reason::NegativePrice,
                "amount_minor",
            ),
            (
                |e| e.discount_minor = Some(-1),
                Reason::NegativePrice,
                "discount_minor",
            ),
            (
                |e| e.coupon_discount_minor = Some(-1),
                Reason::NegativePrice,
                "coupon_discount_minor",
            ),
            (
                |e| e.coupon_discount_minor = Some(0),
                Reason::InvalidCurrency,
                "currency",
            ),
            (
                |e| e.currency = "ZZZ".to_owned(),
                Reason::InvalidCurrency,
                "currency",
            ),
        ];
        for (change, reason, field) in cases {
            assert_eq!(verdict(change), Err((reason, field)));
        }
    }

    #[test]
    fn an_item_is_needed_by_some_names_only() {
        let verdict = verdict(|event| {
            event.event_name = "search".to_owned();
            event.item_id.clear();
        });
        assert!(verdict.is_ok());
    }
}
