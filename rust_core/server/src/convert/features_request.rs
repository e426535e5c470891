//! `GetFeaturesRequest`: decoded, taken apart, checked.

use promosvc_engine::decision::{
    ENTITIES_MAX, EntityKey, EntityKind, FILTER_VALUES_MAX, FeatureRequest,
};
use promosvc_engine::error::{Error, Result};
use prost::Message;

use super::check;
use crate::health::undecodable;
use crate::wire::promosvc::v1 as wire;

/// A decoded request; owns what the engine's request borrows.
pub(crate) struct FeaturesCall {
    message: wire::GetFeaturesRequest,
}

impl FeaturesCall {
    /// Decodes (`UNDECODABLE_REQUEST`).
    pub(crate) fn decode(request: &[u8]) -> Result<Self> {
        wire::GetFeaturesRequest::decode(request)
            .map(|message| Self { message })
            .map_err(|error| undecodable("promosvc.v1.GetFeaturesRequest", &error))
    }

    /// The request in the engine's words. Every limit of the protocol is checked (`InvalidArgument` with
    /// path, value and limit).
    pub(crate) fn check(&self) -> Result<FeatureRequest<'_>> {
        let wire::GetFeaturesRequest {
            entity_kind,
            entity_keys,
            views,
        } = &self.message;
        let entity_kind = read_kind(*entity_kind)?;
        check::not_empty(entity_keys.len(), "entity_keys", ENTITIES_MAX)?;
        check::length(entity_keys.len(), "entity_keys", ENTITIES_MAX)?;
        Ok(FeatureRequest {
            entity_kind,
            entity_keys: entity_keys
                .iter()
                .enumerate()
                .map(|(at, key)| read_key(entity_kind, at, key))
                .collect::<Result<_>>()?,
            views: check::list(views, "views", FILTER_VALUES_MAX, |text, field| {
                check::name(text, field)
            })?,
        })
    }
}

fn read_kind(value: i32) -> Result<EntityKind> {
    match wire::EntityKind::try_from(value) {
        Ok(wire::EntityKind::User) => Ok(EntityKind::User),
        Ok(wire::EntityKind::Item) => Ok(EntityKind::Item),
        Ok(wire::EntityKind::UserCategory) => Ok(EntityKind::UserCategory),
        Ok(wire::EntityKind::Unspecified) | Err(_) => Err(Error::invalid(
            "entity_kind",
            "ENUM_UNKNOWN",
            format!(
                "entity_kind is {value}; it must be ENTITY_KIND_USER (1), ENTITY_KIND_ITEM (2) or \
                 ENTITY_KIND_USER_CATEGORY (3)"
            ),
        )
        .with("value", value)),
    }
}

fn read_key(kind: EntityKind, at: usize, key: &wire::EntityKey) -> Result<EntityKey<'_>> {
    let wire::EntityKey {
        entity_id,
        category,
    } = key;
    let field = || format!("entity_keys[{at}].category");
    let entity_id = check::id(entity_id, || format!("entity_keys[{at}].entity_id"))?;
    let category = match kind {
        EntityKind::UserCategory => check::id(category, field)?,
        EntityKind::User | EntityKind::Item if category.is_empty() => "",
        EntityKind::User | EntityKind::Item => {
            let field = field();
            return Err(Error::invalid(
                field.clone(),
                "CATEGORY_NOT_EMPTY",
                format!(
                    "{field} is set; it must be empty unless entity_kind is ENTITY_KIND_USER_CATEGORY"
                ),
            ));
        }
    };
    Ok(EntityKey {
        entity_id,
        category,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: i32, keys: &[(&str, &str)]) -> wire::GetFeaturesRequest {
        wire::GetFeaturesRequest {
            entity_kind: kind,
            entity_keys: keys
                .iter()
                .map(|(entity_id, category)| wire::EntityKey {
                    entity_id: (*entity_id).to_owned(),
                    category: (*category).to_owned(),
                })
                .collect(),
            views: vec![],
        }
    }

    #[test]
    fn keys_arrive_in_order() {
        let message = request(3, &[("near", "a"), ("far", "b")]);
        let call = FeaturesCall::decode(&message.encode_to_vec()).expect("decodes");
        let request = call.check().expect("valid");
        assert_eq!(request.entity_kind, EntityKind::UserCategory);
        assert_eq!(
            request.entity_keys,
            [
                EntityKey {
                    entity_id: "near",
                    category: "a"
                },
                EntityKey {
                    entity_id: "far",
                    category: "b"
                }
            ]
        );
    }

    #[test]
    fn each_limit_is_refused_by_path() {
        let long = "n".repeat(129);
        let views = |views: Vec<String>| wire::GetFeaturesRequest {
            views,
            ..request(1, &[("near", "")])
        };
        let cases = [
            (request(0, &[("near", "")]), "entity_kind", "ENUM_UNKNOWN"),
            (request(7, &[("near", "")]), "entity_kind", "ENUM_UNKNOWN"),
            (request(-1, &[("near", "")]), "entity_kind", "ENUM_UNKNOWN"),
            (request(1, &[]), "entity_keys", "LIST_EMPTY"),
            (
                request(1, &[("near", ""); 501]),
                "entity_keys",
                "LIST_TOO_LONG",
            ),
            (
                request(1, &[("near", ""), ("", "")]),
                "entity_keys[1].entity_id",
                "ID_EMPTY",
            ),
            (
                request(2, &[(&long, "")]),
                "entity_keys[0].entity_id",
                "ID_TOO_LONG",
            ),
            (
                request(1, &[("near", "a")]),
                "entity_keys[0].category",
                "CATEGORY_NOT_EMPTY",
            ),
            (
                request(3, &[("near", "")]),
                "entity_keys[0].category",
                "ID_EMPTY",
            ),
            (
                request(3, &[("near", &long)]),
                "entity_keys[0].category",
                "ID_TOO_LONG",
            ),
            (views(vec!["v".to_owned(); 101]), "views", "LIST_TOO_LONG"),
            (views(vec![long.clone()]), "views[0]", "ID_TOO_LONG"),
        ];
        for (message, field, reason) in cases {
            let call = FeaturesCall::decode(&message.encode_to_vec()).expect("decodes");
            let error = call.check().map(|_| ()).expect_err(field);
            assert_eq!(
                (error.field.as_str(), error.reason),
                (field, reason),
                "{error}"
            );
            assert!(error.message.starts_with(field), "{error}");
        }
    }
}
