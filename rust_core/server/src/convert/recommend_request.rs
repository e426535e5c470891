//! `RecommendRequest`: decoded, taken apart, checked.

use promosvc_engine::decision::{
    CART_LINES_MAX, EXCLUDED_IDS_MAX, FILTER_VALUES_MAX, PAGE_SIZE_MAX, RecommendRequest,
    SEEN_EVENT_NAMES_MAX,
};
use promosvc_engine::error::{Error, Result};
use promosvc_engine::types::DurationUs;
use prost::Message;

use super::check;
use super::time::duration_from;
use crate::health::undecodable;
use crate::wire::promosvc::v1 as wire;

/// Most pieces of one cart line.
const QUANTITY_MAX: i64 = 1_000_000;
/// The placement of a request that names none.
const PLACEMENT_DEFAULT: &str = "default";

/// A decoded request; owns what the engine's request borrows.
pub(crate) struct RecommendCall {
    message: wire::RecommendRequest,
}

impl RecommendCall {
    /// Decodes (`UNDECODABLE_REQUEST`).
    pub(crate) fn decode(request: &[u8]) -> Result<Self> {
        wire::RecommendRequest::decode(request)
            .map(|message| Self { message })
            .map_err(|error| undecodable("promosvc.v1.RecommendRequest", &error))
    }

    /// The placement and the request in the engine's words. Every limit of the protocol is checked
    /// (`InvalidArgument` with path, value and limit).
    pub(crate) fn check(&self) -> Result<(&str, RecommendRequest<'_>)> {
        let wire::RecommendRequest {
            user,
            placement,
            page_size,
            filter,
            seen_filter,
            exclude_item_ids,
            category_cap,
            include_reasons,
        } = &self.message;
        let placement = match check::name(placement, || "placement".to_owned())? {
            "" => PLACEMENT_DEFAULT,
            placement => placement,
        };
        let page_max = PAGE_SIZE_MAX as i64;
        let mut request = RecommendRequest {
            page_size: check::number(
                i64::from(*page_size),
                || "page_size".to_owned(),
                (0, page_max),
                "PAGE_SIZE_OUT_OF_RANGE",
            )? as usize,
            exclude_item_ids: check::list(
                exclude_item_ids,
                "exclude_item_ids",
                EXCLUDED_IDS_MAX,
                |text, field| check::id(text, field),
            )?,
            include_reasons: *include_reasons,
            ..RecommendRequest::default()
        };
        if let Some(category_cap) = category_cap {
            request.category_cap = Some(check::number(
                i64::from(*category_cap),
                || "category_cap".to_owned(),
                (0, page_max),
                "CATEGORY_CAP_OUT_OF_RANGE",
            )? as usize);
        }
        if let Some(user) = user {
            read_user(user, &mut request)?;
        }
        if let Some(filter) = filter {
            read_filter(filter, &mut request)?;
        }
        request.seen = seen_filter.as_ref().map(read_seen).transpose()?;
        Ok((placement, request))
    }
}

fn read_user<'a>(user: &'a wire::UserContext, request: &mut RecommendRequest<'a>) -> Result<()> {
    let wire::UserContext {
        user_id,
        cart,
        currency,
        personalization_off,
    } = user;
    request.user_id = check::name(user_id, || "user.user_id".to_owned())?;
    request.personalization_off = *personalization_off;
    check::length(cart.len(), "user.cart", CART_LINES_MAX)?;
    request.cart_item_ids = cart
        .iter()
        .enumerate()
        .map(|(at, line)| read_cart_line(at, line))
        .collect::<Result<_>>()?;
    check_currency(currency, cart.iter().any(|line| line.unit_price_minor > 0))
}

/// Quantity and price are checked here and not used yet: item neighbours know of items only.
fn read_cart_line(at: usize, line: &wire::CartLine) -> Result<&str> {
    let wire::CartLine {
        item_id,
        quantity,
        unit_price_minor,
    } = line;
    let item_id = check::id(item_id, || format!("user.cart[{at}].item_id"))?;
    check::number(
        *quantity,
        || format!("user.cart[{at}].quantity"),
        (1, QUANTITY_MAX),
        "QUANTITY_OUT_OF_RANGE",
    )?;
    check::number(
        *unit_price_minor,
        || format!("user.cart[{at}].unit_price_minor"),
        (0, i64::MAX),
        "PRICE_NEGATIVE",
    )?;
    Ok(item_id)
}

fn check_currency(currency: &str, is_required: bool) -> Result<()> {
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code || (currency.is_empty() && !is_required) {
        return Ok(());
    }
    // The value may be as long as the message: only its beginning is repeated.
    let shown: String = currency.chars().take(16).collect();
    Err(Error::invalid(
        "user.currency",
        "CURRENCY_INVALID",
        format!(
            "user.currency is {shown:?}; it must be an ISO 4217 code such as USD{}",
            if is_required {
                ", because a cart line has a price"
            } else {
                ""
            }
        ),
    )
    .with("value", shown))
}

fn read_filter<'a>(filter: &'a wire::ItemFilter, request: &mut RecommendRequest<'a>) -> Result<()> {
    let wire::ItemFilter {
        categories,
        kinds,
        include_unavailable,
    } = filter;
    request.categories = check::list(
        categories,
        "filter.categories",
        FILTER_VALUES_MAX,
        |text, field| check::name(text, field),
    )?;
    request.kinds = check::list(kinds, "filter.kinds", FILTER_VALUES_MAX, |text, field| {
        check::name(text, field)
    })?;
    request.include_unavailable = *include_unavailable;
    Ok(())
}

fn read_seen(seen: &wire::SeenFilter) -> Result<(bool, Vec<&str>, Option<DurationUs>)> {
    let wire::SeenFilter {
        hide_seen,
        event_names,
        window,
    } = seen;
    let event_names = check::list(
        event_names,
        "seen_filter.event_names",
        SEEN_EVENT_NAMES_MAX,
        |text, field| check::name(text, field),
    )?;
    let window = window
        .as_ref()
        .map(|window| duration_from(window, "seen_filter.window"))
        .transpose()?;
    Ok((*hide_seen, event_names, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: wire::RecommendRequest) -> Error {
        let call = RecommendCall::decode(&message.encode_to_vec()).expect("decodes");
        call.check().map(|_| ()).expect_err("refused")
    }

    fn with_user(user: wire::UserContext) -> wire::RecommendRequest {
        wire::RecommendRequest {
            user: Some(user),
            ..Default::default()
        }
    }

    fn line(item_id: &str, quantity: i64, unit_price_minor: i64) -> wire::CartLine {
        wire::CartLine {
            item_id: item_id.to_owned(),
            quantity,
            unit_price_minor,
        }
    }

    #[test]
    fn an_empty_request_is_an_anonymous_visitor_at_the_default_placement() {
        let call = RecommendCall::decode(&[]).expect("decodes");
        let (placement, request) = call.check().expect("valid");
        assert_eq!(placement, "default");
        assert_eq!((request.user_id, request.page_size), ("", 0));
        assert!(request.seen.is_none() && request.category_cap.is_none());
    }

    #[test]
    fn every_field_arrives() {
        let message = wire::RecommendRequest {
            user: Some(wire::UserContext {
                user_id: "near".to_owned(),
                cart: vec![line("a", 1, 0), line("b", 1_000_000, 99)],
                currency: "USD".to_owned(),
                personalization_off: true,
            }),
            placement: "home".to_owned(),
            page_size: 100,
            filter: Some(wire::ItemFilter {
                categories: vec!["c".to_owned()],
                kinds: vec!["k".to_owned()],
                include_unavailable: true,
            }),
            seen_filter: Some(wire::SeenFilter {
                hide_seen: true,
                event_names: vec!["purchase".to_owned()],
                window: Some(prost_types::Duration {
                    seconds: 2,
                    nanos: 1_000,
                }),
            }),
            exclude_item_ids: vec!["x".to_owned()],
            category_cap: Some(0),
            include_reasons: Some(false),
        };
        let call = RecommendCall::decode(&message.encode_to_vec()).expect("decodes");
        let (placement, request) = call.check().expect("valid");
        assert_eq!(placement, "home");
        assert_eq!(request.user_id, "near");
        assert_eq!(request.cart_item_ids, ["a", "b"]);
        assert!(request.personalization_off && request.include_unavailable);
        assert_eq!(request.page_size, 100);
        assert_eq!((request.categories, request.kinds), (vec!["c"], vec!["k"]));
        assert_eq!(
            request.seen,
            Some((true, vec!["purchase"], Some(DurationUs(2_000_001))))
        );
        assert_eq!(request.exclude_item_ids, ["x"]);
        assert_eq!(
            (request.category_cap, request.include_reasons),
            (Some(0), Some(false))
        );
    }

    #[test]
    fn a_page_over_the_maximum_says_so() {
        let error = refusal(wire::RecommendRequest {
            page_size: 500,
            ..Default::default()
        });
        assert_eq!(error.message, "page_size is 500; the maximum is 100");
        assert_eq!(error.field, "page_size");
        assert_eq!(
            error.metadata,
            [("value", "500".to_owned()), ("limit", "100".to_owned())]
        );
    }

    #[test]
    fn each_limit_is_refused_by_path() {
        let long = "n".repeat(129);
        let many = |count: usize| vec!["n".to_owned(); count];
        let filter = |categories: Vec<String>, kinds: Vec<String>| wire::RecommendRequest {
            filter: Some(wire::ItemFilter {
                categories,
                kinds,
                include_unavailable: false,
            }),
            ..Default::default()
        };
        let seen = |event_names: Vec<String>, seconds: i64| wire::RecommendRequest {
            seen_filter: Some(wire::SeenFilter {
                hide_seen: true,
                event_names,
                window: Some(prost_types::Duration { seconds, nanos: 0 }),
            }),
            ..Default::default()
        };
        let cart = |lines: Vec<wire::CartLine>, currency: &str| {
            with_user(wire::UserContext {
                cart: lines,
                currency: currency.to_owned(),
                ..Default::default()
            })
        };
        let user_id = |user_id: String| {
            with_user(wire::UserContext {
                user_id,
                ..Default::default()
            })
        };
        let plain = wire::RecommendRequest::default;
        let cases = [
            (
                wire::RecommendRequest {
                    page_size: -1,
                    ..plain()
                },
                "page_size",
                "PAGE_SIZE_OUT_OF_RANGE",
            ),
            (
                wire::RecommendRequest {
                    placement: long.clone(),
                    ..plain()
                },
                "placement",
                "ID_TOO_LONG",
            ),
            (
                wire::RecommendRequest {
                    category_cap: Some(101),
                    ..plain()
                },
                "category_cap",
                "CATEGORY_CAP_OUT_OF_RANGE",
            ),
            (
                wire::RecommendRequest {
                    category_cap: Some(-1),
                    ..plain()
                },
                "category_cap",
                "CATEGORY_CAP_OUT_OF_RANGE",
            ),
            (
                wire::RecommendRequest {
                    exclude_item_ids: many(1_001),
                    ..plain()
                },
                "exclude_item_ids",
                "LIST_TOO_LONG",
            ),
            (
                wire::RecommendRequest {
                    exclude_item_ids: vec!["a".to_owned(), String::new()],
                    ..plain()
                },
                "exclude_item_ids[1]",
                "ID_EMPTY",
            ),
            (
                filter(many(101), vec![]),
                "filter.categories",
                "LIST_TOO_LONG",
            ),
            (
                filter(vec![], vec![long.clone()]),
                "filter.kinds[0]",
                "ID_TOO_LONG",
            ),
            (
                seen(many(21), 1),
                "seen_filter.event_names",
                "LIST_TOO_LONG",
            ),
            (
                seen(vec![long.clone()], 1),
                "seen_filter.event_names[0]",
                "ID_TOO_LONG",
            ),
            (seen(vec![], -1), "seen_filter.window", "DURATION_INVALID"),
            (user_id("\u{e4}".repeat(65)), "user.user_id", "ID_TOO_LONG"),
            (
                cart(vec![line("a", 1, 1); 201], "USD"),
                "user.cart",
                "LIST_TOO_LONG",
            ),
            (
                cart(vec![line("a", 1, 1), line("", 1, 1)], "USD"),
                "user.cart[1].item_id",
                "ID_EMPTY",
            ),
            (
                cart(vec![line("a", 0, 1)], "USD"),
                "user.cart[0].quantity",
                "QUANTITY_OUT_OF_RANGE",
            ),
            (
                cart(vec![line("a", 1_000_001, 1)], "USD"),
                "user.cart[0].quantity",
                "QUANTITY_OUT_OF_RANGE",
            ),
            (
                cart(vec![line("a", 1, -1)], "USD"),
                "user.cart[0].unit_price_minor",
                "PRICE_NEGATIVE",
            ),
            (
                cart(vec![line("a", 1, 1)], ""),
                "user.currency",
                "CURRENCY_INVALID",
            ),
            (cart(vec![], "usd"), "user.currency", "CURRENCY_INVALID"),
            (
                cart(vec![], &"U".repeat(10_000)),
                "user.currency",
                "CURRENCY_INVALID",
            ),
        ];
        for (message, field, reason) in cases {
            let error = refusal(message);
            assert_eq!(
                (error.field.as_str(), error.reason),
                (field, reason),
                "{error}"
            );
            assert!(error.message.starts_with(field), "{error}");
            assert!(error.message.len() < 300, "{error}");
        }
    }

    #[test]
    fn the_limits_themselves_pass() {
        let edge = "n".repeat(128);
        let message = wire::RecommendRequest {
            page_size: 100,
            placement: edge.clone(),
            category_cap: Some(100),
            exclude_item_ids: vec![edge.clone(); 1_000],
            ..with_user(wire::UserContext {
                user_id: edge,
                cart: vec![line("a", 1, 0); 200],
                currency: "USD".to_owned(),
                personalization_off: false,
            })
        };
        let call = RecommendCall::decode(&message.encode_to_vec()).expect("decodes");
        call.check().expect("valid");
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        for bytes in [&[0xff][..], &[0x0a, 0x05, 0x01], &[0x12, 0x01, 0xff]] {
            let error = RecommendCall::decode(bytes)
                .map(|_| ())
                .expect_err("refused");
            assert_eq!(error.reason, "UNDECODABLE_REQUEST");
        }
        // An unknown field is no error: newer clients may talk to older servers.
        RecommendCall::decode(&[0xf8, 0x3f, 0x01]).expect("decodes");
    }
}
