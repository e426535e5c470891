//! `UpsertItemsRequest`: decoded, checked, and turned into facts.
//!
//! All or none: whatever is wrong with one item refuses the request. Texts are trimmed as those of events are, so that an
//! item has one id whichever way it comes.

use std::collections::HashSet;

use promosvc_engine::error::{Error, Result};
use promosvc_engine::history::{Effect, ItemFact};
use prost::Message;
use sha2::{Digest, Sha256};

use super::blanks::trim;
use super::currencies::is_currency;
use super::entry;
use super::event_limits::TEXT_BYTES_MAX;
use crate::convert::check;
use crate::health::undecodable;
use crate::wire::promosvc::log::v1 as log;
use crate::wire::promosvc::v1 as wire;

/// Most items of one call: a shop's price list goes over in a few hundred calls.
const ITEMS_MAX: usize = 1_000;
/// What the hash of a body begins with, so that the same bytes sent to another method are another body.
const METHOD: &str = "/promosvc.v1.PromoService/UpsertItems";

/// Facts that were checked.
#[derive(Debug)]
pub(super) struct CheckedItems {
    /// The caller's id of the write.
    pub(super) request_id: String,
    /// First 16 bytes of the SHA-256 of method and canonical body.
    pub(super) body_hash: [u8; 16],
    /// What is new about each item.
    pub(super) facts: Vec<log::ItemFact>,
    /// The encoded entries of the facts, ready to stand in a record.
    pub(super) entries: Vec<u8>,
}

impl CheckedItems {
    /// Decodes and checks (`InvalidArgument` with path, value and limit).
    pub(super) fn decode(request: &[u8]) -> Result<Self> {
        let message = wire::UpsertItemsRequest::decode(request)
            .map_err(|error| undecodable("promosvc.v1.UpsertItemsRequest", &error))?;
        // The message is encoded again, so that two encoders, or fields in another order, make no other body.
        let body_hash = body_hash(&message.encode_to_vec());
        let wire::UpsertItemsRequest { request_id, items } = message;
        check::id(&request_id, || "request_id".to_owned())?;
        check::not_empty(items.len(), "items", ITEMS_MAX)?;
        check::length(items.len(), "items", ITEMS_MAX)?;
        let facts = items
            .into_iter()
            .enumerate()
            .map(|(at, item)| fact(at, item))
            .collect::<Result<Vec<_>>>()?;
        let mut ids = HashSet::with_capacity(facts.len());
        for (at, fact) in facts.iter().enumerate() {
            if !ids.insert(fact.item_id.as_str()) {
                return Err(item_twice(at, &fact.item_id));
            }
        }
        drop(ids);
        let mut entries = Vec::with_capacity(request.len() + 8 * facts.len());
        for fact in &facts {
            entry::encode(entry::ITEM, fact, &mut entries);
        }
        Ok(Self {
            request_id,
            body_hash,
            facts,
            entries,
        })
    }
}

/// What live state learns of a fact.
pub(crate) fn item_effect(fact: &log::ItemFact) -> Effect<'_> {
    Effect::Item(fact_of(fact))
}

/// A fact of the log in the engine's words.
pub(super) fn fact_of(fact: &log::ItemFact) -> ItemFact<'_> {
    ItemFact {
        item_id: &fact.item_id,
        kind: fact.kind.as_deref(),
        title: fact.title.as_deref(),
        category: fact.category.as_deref(),
        brand: fact.brand.as_deref(),
        unit_price: fact
            .unit_price_minor
            .map(|amount| (amount, fact.currency.as_deref().unwrap_or_default())),
        stock: fact.stock,
        is_available: fact.is_available,
    }
}

fn body_hash(body: &[u8]) -> [u8; 16] {
    let digest = Sha256::new()
        .chain_update(METHOD)
        .chain_update(body)
        .finalize();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}

fn fact(at: usize, item: wire::ItemUpdate) -> Result<log::ItemFact> {
    let wire::ItemUpdate {
        mut item_id,
        mut kind,
        mut title,
        mut category,
        mut brand,
        unit_price,
        stock,
        is_available,
    } = item;
    let path = |field: &str| format!("items[{at}].{field}");
    for text in [&mut kind, &mut title, &mut category, &mut brand]
        .into_iter()
        .flatten()
        .chain([&mut item_id])
    {
        trim(text);
    }
    check::id(&item_id, || path("item_id"))?;
    if let Some(kind) = &kind {
        check::id(kind, || path("kind"))?;
    }
    if let Some(title) = &title {
        check::text(title, || path("title"), TEXT_BYTES_MAX)?;
    }
    for (name, field) in [(&category, "category"), (&brand, "brand")] {
        if let Some(name) = name {
            check::name(name, || path(field))?;
        }
    }
    if let Some(stock) = stock {
        check::number(stock, || path("stock"), (0, i64::MAX), "STOCK_NEGATIVE")?;
    }
    let (unit_price_minor, currency) = match unit_price {
        None => (None, None),
        Some(price) => {
            let (amount, currency) = checked_price(price, &path("unit_price"))?;
            (Some(amount), Some(currency))
        }
    };
    Ok(log::ItemFact {
        item_id,
        kind,
        title,
        category,
        brand,
        unit_price_minor,
        currency,
        stock,
        is_available,
    })
}

fn checked_price(price: wire::Money, field: &str) -> Result<(i64, String)> {
    let wire::Money {
        amount_minor,
        mut currency,
    } = price;
    check::number(
        amount_minor,
        || format!("{field}.amount_minor"),
        (0, i64::MAX),
        "PRICE_NEGATIVE",
    )?;
    trim(&mut currency);
    currency.make_ascii_uppercase();
    if is_currency(&currency) {
        return Ok((amount_minor, currency));
    }
    // The value may be as long as the message: only its beginning is repeated.
    let shown: String = currency.chars().take(16).collect();
    let field = format!("{field}.currency");
    Err(Error::invalid(
        field.clone(),
        "CURRENCY_INVALID",
        format!("{field} is {shown:?}; it must be an ISO 4217 code such as USD"),
    )
    .with("value", shown))
}

fn item_twice(at: usize, item_id: &str) -> Error {
    let field = format!("items[{at}].item_id");
    Error::invalid(
        field.clone(),
        "ITEM_TWICE",
        format!("{field} is {item_id:?}, which stands before in the request; each item must be there once"),
    )
    .with("value", item_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(item_id: &str) -> wire::ItemUpdate {
        wire::ItemUpdate {
            item_id: item_id.to_owned(),
            ..Default::default()
        }
    }

    fn request(items: Vec<wire::ItemUpdate>) -> wire::UpsertItemsRequest {
        wire::UpsertItemsRequest {
            request_id: "r-1".to_owned(),
            items,
        }
    }

    fn refusal(message: &wire::UpsertItemsRequest) -> Error {
        CheckedItems::decode(&message.encode_to_vec()).expect_err("refused")
    }

    fn money(amount_minor: i64, currency: &str) -> Option<wire::Money> {
        Some(wire::Money {
            amount_minor,
            currency: currency.to_owned(),
        })
    }

    #[test]
    fn every_field_arrives_trimmed() {
        let message = request(vec![wire::ItemUpdate {
            item_id: " near ".to_owned(),
            kind: Some("post".to_owned()),
            title: Some("A title\n".to_owned()),
            category: Some(String::new()),
            brand: Some("\tb".to_owned()),
            unit_price: money(199, "eur"),
            stock: Some(0),
            is_available: Some(false),
        }]);
        let checked = CheckedItems::decode(&message.encode_to_vec()).expect("valid");
        assert_eq!(
            item_effect(&checked.facts[0]),
            Effect::Item(ItemFact {
                item_id: "near",
                kind: Some("post"),
                title: Some("A title"),
                category: Some(""),
                brand: Some("b"),
                unit_price: Some((199, "EUR")),
                stock: Some(0),
                is_available: Some(false),
            })
        );
        let plain = CheckedItems::decode(&request(vec![item("far")]).encode_to_vec());
        assert_eq!(
            item_effect(&plain.expect("valid").facts[0]),
            Effect::Item(ItemFact {
                item_id: "far",
                ..Default::default()
            })
        );
    }

    #[test]
    fn the_hash_is_of_the_meaning_not_of_the_bytes() {
        let message = request(vec![item("near"), item("far")]);
        let bytes = message.encode_to_vec();
        // The items first, then the id: another spelling of the same message.
        let id_length = 2 + "r-1".len();
        let turned = [&bytes[id_length..], &bytes[..id_length]].concat();
        assert_ne!(turned, bytes);
        let hash = |bytes: &[u8]| CheckedItems::decode(bytes).expect("valid").body_hash;
        assert_eq!(hash(&turned), hash(&bytes));
        let other = request(vec![item("far"), item("near")]).encode_to_vec();
        assert_ne!(hash(&other), hash(&bytes));
    }

    #[test]
    fn each_limit_is_refused_by_path() {
        let long = "n".repeat(129);
        let with = |change: &dyn Fn(&mut wire::ItemUpdate)| {
            let mut changed = item("far");
            change(&mut changed);
            request(vec![item("near"), changed])
        };
        let cases = [
            (request(vec![]), "items", "LIST_EMPTY"),
            (
                request((0..1_001).map(|at| item(&at.to_string())).collect()),
                "items",
                "LIST_TOO_LONG",
            ),
            (
                wire::UpsertItemsRequest {
                    request_id: String::new(),
                    ..request(vec![item("near")])
                },
                "request_id",
                "ID_EMPTY",
            ),
            (
                wire::UpsertItemsRequest {
                    request_id: long.clone(),
                    ..request(vec![item("near")])
                },
                "request_id",
                "ID_TOO_LONG",
            ),
            (
                with(&|item| item.item_id = " ".to_owned()),
                "items[1].item_id",
                "ID_EMPTY",
            ),
            (
                with(&|item| item.item_id = long.clone()),
                "items[1].item_id",
                "ID_TOO_LONG",
            ),
            (
                with(&|item| item.item_id = "near".to_owned()),
                "items[1].item_id",
                "ITEM_TWICE",
            ),
            (
                with(&|item| item.kind = Some(String::new())),
                "items[1].kind",
                "ID_EMPTY",
            ),
            (
                with(&|item| item.kind = Some(long.clone())),
                "items[1].kind",
                "ID_TOO_LONG",
            ),
            (
                with(&|item| item.title = Some("t".repeat(1_025))),
                "items[1].title",
                "TEXT_TOO_LONG",
            ),
            (
                with(&|item| item.category = Some(long.clone())),
                "items[1].category",
                "ID_TOO_LONG",
            ),
            (
                with(&|item| item.brand = Some(long.clone())),
                "items[1].brand",
                "ID_TOO_LONG",
            ),
            (
                with(&|item| item.stock = Some(-1)),
                "items[1].stock",
                "STOCK_NEGATIVE",
            ),
            (
                with(&|item| item.unit_price = money(-1, "EUR")),
                "items[1].unit_price.amount_minor",
                "PRICE_NEGATIVE",
            ),
            (
                with(&|item| item.unit_price = money(1, "")),
                "items[1].unit_price.currency",
                "CURRENCY_INVALID",
            ),
        ];
        for (message, field, reason) in cases {
            let error = refusal(&message);
            assert_eq!(
                (error.field.as_str(), error.reason),
                (field, reason),
                "{error}"
            );
            assert!(error.message.starts_with(field), "{error}");
        }
    }
}
