//! The door alone: bytes in, bytes out. The slow twin builds messages and lets prost encode them.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use promosvc_engine::decision::{
    Basis, DegradedReason, EntityKey, EntityKind, FeatureRequest, RankedItem, RecommendRequest,
    Recommendation, ShortfallReason,
};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;
use promosvc_server::{CallResult, Door};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use support::snapshot::random;
use support::wire::promosvc::v1 as wire;
use support::{
    CHECK, GET_FEATURES, GET_STATUS, RECOMMEND, SET_CLOCK, WATERMARK_US, config, parsed, publish,
    published,
};
use tempfile::TempDir;

fn door(root: &TempDir) -> Door {
    Door::new(parsed(&config(root.path()))).expect("a door")
}

fn call(door: &Door, method: &str, request: &impl Message) -> CallResult {
    door.call(method, &request.encode_to_vec(), &[], None)
}

fn recommend(door: &Door, request: &wire::RecommendRequest) -> wire::RecommendResponse {
    let result = call(door, RECOMMEND, request);
    assert_eq!((result.code, result.message.as_str()), (0, ""));
    wire::RecommendResponse::decode(result.response.as_slice()).expect("decodes")
}

fn for_user(user_id: &str) -> wire::RecommendRequest {
    wire::RecommendRequest {
        user: Some(wire::UserContext {
            user_id: user_id.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn time(us: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: us.div_euclid(1_000_000),
        nanos: (us.rem_euclid(1_000_000) * 1_000) as i32,
    })
}

#[test]
fn a_known_user_gets_what_the_engine_says() {
    let root = published();
    let door = door(&root);
    let response = recommend(&door, &for_user("user-0"));
    assert!(!response.items.is_empty());
    assert_eq!(response.placement, "default");
    assert_eq!(response.decided_at, time(WATERMARK_US));
    assert_eq!(response.degraded_reason, 0);
    for (at, item) in response.items.iter().enumerate() {
        assert_eq!(item.rank, at as i32 + 1);
        let sum: f32 = item.reasons.iter().map(|reason| reason.contribution).sum();
        assert!((sum - item.score).abs() < 1e-4, "{item:?}");
    }
    let unknown = recommend(&door, &for_user("far"));
    assert_eq!(unknown.degraded_reason(), wire::DegradedReason::UnknownUser);
    assert!(!unknown.items.is_empty());
}

/// Whose tokens an answer carries, and the key that signs them.
#[derive(Clone, Copy)]
struct Signed<'a> {
    user_id: &'a str,
    key_id: u8,
    secret: &'a [u8; 32],
}

/// The slow twin of the tokens: HMAC as RFC 2104 spells it.
fn token(answer: &Recommendation, signed: Signed<'_>, item_id: &str, rank: usize) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use sha2::{Digest, Sha256};

    let digits = answer.snapshot.id.rsplit('-').next().expect("digits");
    let hash = u64::from_str_radix(digits, 16).expect("hex");
    let mut claims = vec![1, signed.key_id];
    claims.extend(hash.to_be_bytes());
    claims.extend(answer.decided_at.0.to_le_bytes());
    claims.extend([0, rank as u8]);
    claims.extend(1.0_f32.to_le_bytes());

    let mut text = claims.clone();
    for id in [signed.user_id, item_id] {
        text.extend((id.len() as u16).to_le_bytes());
        text.extend(id.bytes());
    }
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(signed.secret);
    let inner = Sha256::digest([block.map(|byte| byte ^ 0x36).to_vec(), text].concat());
    let outer = Sha256::digest([block.map(|byte| byte ^ 0x5c).to_vec(), inner.to_vec()].concat());
    URL_SAFE_NO_PAD.encode([claims, outer[..16].to_vec()].concat())
}

/// The slow twin of the hand-written encoder.
fn message_of(
    placement: &str,
    answer: &Recommendation,
    signed: Option<Signed<'_>>,
) -> wire::RecommendResponse {
    wire::RecommendResponse {
        items: answer
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| item_message(answer, at, item, signed))
            .collect(),
        snapshot_id: answer.snapshot.id.clone(),
        model_versions: answer
            .snapshot
            .manifest
            .models
            .iter()
            .map(|model| wire::ModelVersion {
                name: model.name.clone(),
                version: model.version.clone(),
            })
            .collect(),
        decided_at: time(answer.decided_at.0),
        placement: placement.to_owned(),
        page_size: answer.page_size as i32,
        degraded_reason: match answer.degraded {
            None => 0,
            Some(DegradedReason::UnknownUser) => 1,
            Some(DegradedReason::NoHistory) => 2,
            Some(DegradedReason::LiveStateFull) => 3,
        },
        shortfall_reason: match answer.shortfall {
            None => 0,
            Some(ShortfallReason::FewerEligible) => 1,
            Some(ShortfallReason::CategoryCap) => 2,
            Some(ShortfallReason::NothingEligible) => 3,
        },
    }
}

fn item_message(
    answer: &Recommendation,
    at: usize,
    ranked: &RankedItem,
    signed: Option<Signed<'_>>,
) -> wire::RecommendedItem {
    use wire::reason::Basis as Wire;
    let items = &answer.snapshot.items;
    wire::RecommendedItem {
        item_id: items.id(ranked.item).to_owned(),
        rank: at as i32 + 1,
        score: ranked.score,
        reasons: ranked
            .reasons
            .iter()
            .map(|reason| wire::Reason {
                contribution: reason.contribution,
                basis: Some(match reason.basis {
                    Basis::BecauseOfItem {
                        item,
                        similarity,
                        is_in_cart,
                    } => Wire::BecauseOfItem(wire::BecauseOfItem {
                        item_id: items.id(item).to_owned(),
                        title: items.title(item).to_owned(),
                        similarity,
                        is_in_cart,
                    }),
                    Basis::SimilarUsers { user_count } => Wire::SimilarUsers(wire::SimilarUsers {
                        user_count: user_count as i32,
                    }),
                    Basis::PopularItem { window_days } => Wire::PopularItem(wire::PopularItem {
                        window_days: window_days as i32,
                    }),
                    Basis::ChosenBefore {
                        event_count,
                        last_event_at,
                    } => Wire::ChosenBefore(wire::ChosenBefore {
                        event_count: event_count as i32,
                        last_event_at: time(last_event_at.0),
                    }),
                    Basis::OtherHistory { item_count } => Wire::OtherHistory(wire::OtherHistory {
                        item_count: item_count as i32,
                    }),
                }),
            })
            .collect(),
        title: items.title(ranked.item).to_owned(),
        kind: items.kind(ranked.item).to_owned(),
        category: items.category(ranked.item).to_owned(),
        attribution_token: signed.map_or_else(String::new, |signed| {
            token(answer, signed, items.id(ranked.item), at + 1)
        }),
        unit_price: items.unit_price(ranked.item).map(|price| wire::Money {
            amount_minor: price.amount_minor,
            currency: price.currency.to_owned(),
        }),
    }
}

/// A keys file for its owner's eyes only.
fn keys_file(root: &TempDir, key_id: u8, secret: &[u8; 32]) -> PathBuf {
    let path = root.path().join("attribution.keys");
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .expect("opens");
    writeln!(file, "{key_id} {digits}").expect("writes");
    path
}

/// An engine beside the door, on the same snapshot.
fn engine(root: &TempDir, directory: &std::path::Path) -> Engine {
    let settings: EngineSettings =
        serde_json::from_value(json!({"placements": config(root.path())["placements"]}))
            .expect("settings");
    let engine = Engine::new(settings).expect("an engine");
    engine.publish(Arc::new(Snapshot::open(directory).expect("opens")));
    engine
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_are_what_prost_would_write(
        rows in random::snapshot_rows(),
        user in 0_usize..8,
        page_size in 0_usize..=100,
        hide_seen in any::<bool>(),
        has_tokens in any::<bool>(),
        personalization_off in any::<bool>(),
        cart in prop::collection::vec(0_usize..32, 0..4),
    ) {
        let root = tempfile::tempdir().expect("a directory");
        let directory = rows.write(root.path());
        publish(root.path(), &directory);
        let engine = engine(&root, &directory);
        let secret = [0x5e; 32];
        let mut config = config(root.path());
        if has_tokens {
            config["attribution"] = json!({"keys_file": keys_file(&root, 9, &secret)});
        }
        let door = Door::new(parsed(&config)).expect("a door");
        // The last one is an anonymous visitor.
        let user_id = if user == 7 { String::new() } else { random::user_id(user) };
        let cart: Vec<String> = cart.into_iter().map(random::item_id).collect();
        let expected = engine.recommend("home", &RecommendRequest {
            user_id: &user_id,
            cart_item_ids: cart.iter().map(String::as_str).collect(),
            page_size,
            personalization_off,
            seen: Some((hide_seen, vec![], None)),
            ..RecommendRequest::default()
        }, TimeUs(WATERMARK_US)).expect("an answer");
        let signed = Signed { user_id: &user_id, key_id: 9, secret: &secret };
        let has_tokens = has_tokens && !personalization_off && !user_id.is_empty();
        let expected = message_of("home", &expected, has_tokens.then_some(signed));
        let result = call(&door, RECOMMEND, &wire::RecommendRequest {
            user: Some(wire::UserContext {
                user_id,
                cart: cart.into_iter().map(|item_id| wire::CartLine {
                    item_id, quantity: 1, unit_price_minor: 100,
                }).collect(),
                currency: "USD".to_owned(),
                personalization_off,
            }),
            placement: "home".to_owned(),
            page_size: page_size as i32,
            seen_filter: Some(wire::SeenFilter { hide_seen, event_names: vec![], window: None }),
            ..Default::default()
        });
        prop_assert_eq!(&result.message, "");
        prop_assert_eq!(result.response, expected.encode_to_vec());
    }
}

#[test]
fn features_are_what_prost_would_write() {
    let root = published();
    let door = door(&root);
    let id = std::fs::read_to_string(root.path().join("CURRENT")).expect("reads");
    let engine = engine(&root, &root.path().join(id.trim()));
    let kinds = [
        (EntityKind::User, 1, ["user-0", "user-1", "far"], ""),
        (EntityKind::Item, 2, ["item-000", "item-001", "far"], ""),
        (
            EntityKind::UserCategory,
            3,
            ["user-0", "user-1", "far"],
            "bread",
        ),
    ];
    for (entity_kind, number, ids, category) in kinds {
        let answer = engine
            .get_features(
                &FeatureRequest {
                    entity_kind,
                    entity_keys: ids
                        .iter()
                        .map(|entity_id| EntityKey {
                            entity_id,
                            category,
                        })
                        .collect(),
                    views: vec![],
                },
                TimeUs(WATERMARK_US),
            )
            .expect("an answer");
        let expected = wire::GetFeaturesResponse {
            frames: answer
                .frames
                .iter()
                .map(|frame| {
                    let spec = &answer.snapshot.features.views[frame.view].spec;
                    wire::FeatureFrame {
                        view: spec.name.clone(),
                        columns: frame
                            .columns
                            .iter()
                            .map(|column| wire::FeatureColumn {
                                name: spec.features[column.feature].name.clone(),
                                values: column.values.clone(),
                                statuses: column
                                    .statuses
                                    .iter()
                                    .map(|&status| status as i32)
                                    .collect(),
                                dictionary: spec.features[column.feature].dictionary.clone(),
                            })
                            .collect(),
                        event_time_us: frame.event_times.iter().map(|time| time.0).collect(),
                    }
                })
                .collect(),
            snapshot_id: answer.snapshot.id.clone(),
            read_at: time(answer.read_at.0),
        };
        assert!(!expected.frames.is_empty());
        let result = call(
            &door,
            GET_FEATURES,
            &wire::GetFeaturesRequest {
                entity_kind: number,
                entity_keys: ids
                    .iter()
                    .map(|id| wire::EntityKey {
                        entity_id: (*id).to_owned(),
                        category: category.to_owned(),
                    })
                    .collect(),
                views: vec![],
            },
        );
        assert_eq!(result.message, "");
        assert_eq!(result.response, expected.encode_to_vec(), "{entity_kind:?}");
    }
}

#[test]
fn errors_have_code_reason_and_details() {
    let root = published();
    let door = door(&root);
    let placement = wire::RecommendRequest {
        placement: "far".to_owned(),
        ..Default::default()
    };
    let view = wire::GetFeaturesRequest {
        entity_kind: 1,
        entity_keys: vec![wire::EntityKey {
            entity_id: "near".to_owned(),
            category: String::new(),
        }],
        views: vec!["far".to_owned()],
    };
    let page = wire::RecommendRequest {
        page_size: 500,
        ..Default::default()
    };
    let cases = [
        (
            RECOMMEND,
            placement.encode_to_vec(),
            5,
            "PLACEMENT_NOT_FOUND",
        ),
        (
            GET_FEATURES,
            view.encode_to_vec(),
            5,
            "FEATURE_VIEW_NOT_FOUND",
        ),
        (RECOMMEND, page.encode_to_vec(), 3, "PAGE_SIZE_OUT_OF_RANGE"),
        (RECOMMEND, vec![0xff; 40], 3, "UNDECODABLE_REQUEST"),
        (GET_FEATURES, vec![0x0a, 0x7f], 3, "UNDECODABLE_REQUEST"),
        (GET_STATUS, vec![0x80], 3, "UNDECODABLE_REQUEST"),
        (SET_CLOCK, vec![0x0a, 0x01], 3, "UNDECODABLE_REQUEST"),
        (SET_CLOCK, vec![], 3, "FIELD_MISSING"),
        (CHECK, vec![0x0a, 0x01, 0xff], 3, "UNDECODABLE_REQUEST"),
        (
            RECOMMEND,
            vec![0; 4 * 1024 * 1024 + 1],
            8,
            "MESSAGE_TOO_LARGE",
        ),
        (
            "/promosvc.v1.PromoService/Far",
            vec![],
            12,
            "METHOD_UNKNOWN",
        ),
    ];
    for (method, request, code, reason) in cases {
        let result = door.call(method, &request, &[], None);
        assert_eq!(result.code, code, "{method}: {result:?}");
        assert!(result.response.is_empty());
        let details: Vec<_> = result
            .trailing_metadata
            .iter()
            .filter(|(key, _)| key == "grpc-status-details-bin")
            .collect();
        assert_eq!(details.len(), 1, "{method}");
        let has = |text: &str| {
            details[0]
                .1
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(
            has(reason) && has("google.rpc.ErrorInfo"),
            "{reason}: {result:?}"
        );
        assert_eq!(has("google.rpc.BadRequest"), code == 3, "{reason}");
        assert!(!has("google.rpc.RetryInfo"), "{reason}");
    }
}

#[test]
fn any_bytes_get_an_answer() {
    let root = published();
    let door = door(&root);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 2_000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let methods = [RECOMMEND, GET_FEATURES, GET_STATUS, SET_CLOCK, CHECK];
    runner
        .run(
            &(0..methods.len(), prop::collection::vec(any::<u8>(), 0..64)),
            |(method, bytes)| {
                let result = door.call(methods[method], &bytes, &[], None);
                prop_assert!([0, 3, 5].contains(&result.code), "{:?}", result);
                Ok(())
            },
        )
        .expect("every call is answered");
}

#[test]
fn a_deadline_in_the_past_stops_the_call() {
    let root = published();
    let door = door(&root);
    let past = Instant::now();
    let result = door.call(RECOMMEND, &[], &[], Some(past));
    assert_eq!(result.code, 4, "{result:?}");
    let future = past + Duration::from_secs(600);
    assert_eq!(door.call(RECOMMEND, &[], &[], Some(future)).code, 0);
}

#[test]
fn a_manual_clock_is_moved_and_seen() {
    let root = published();
    let door = door(&root);
    let later = WATERMARK_US + 5_000_000;
    let moved = call(
        &door,
        SET_CLOCK,
        &wire::SetClockRequest { now: time(later) },
    );
    assert_eq!(moved.code, 0, "{}", moved.message);
    assert_eq!(
        recommend(&door, &for_user("user-0")).decided_at,
        time(later)
    );
    let back = call(
        &door,
        SET_CLOCK,
        &wire::SetClockRequest {
            now: time(WATERMARK_US),
        },
    );
    assert_eq!(back.code, 3, "{back:?}");
    let status = call(&door, GET_STATUS, &wire::GetStatusRequest {});
    let status = wire::GetStatusResponse::decode(status.response.as_slice()).expect("decodes");
    let clock = status.clock.expect("a clock");
    assert_eq!(
        (clock.mode(), clock.now),
        (wire::ClockMode::Manual, time(later))
    );
    let snapshot = status.snapshot.clone().expect("a snapshot");
    assert_eq!((snapshot.item_count, snapshot.user_count), (12, 3));
    assert_eq!(
        snapshot.feature_views,
        ["item_popularity", "user_category", "user_rfm"]
    );
    assert_eq!(snapshot.watermark_at, time(WATERMARK_US));
    assert!(snapshot.loaded_at.is_some() && status.started_at.is_some());
    assert_eq!(status.placements, ["default", "home"]);
    assert_eq!(
        (status.in_flight_calls, status.in_flight_calls_max),
        (0, 1024)
    );
    assert_eq!(status.snapshot_refusal, "");
}

#[test]
fn an_offset_clock_is_not_moved() {
    let root = published();
    let mut config = config(root.path());
    config["clock"] = json!({"mode": "offset", "offset_us": -1_000, "manual_now_us": 0});
    let door = Door::new(parsed(&config)).expect("a door");
    let result = call(
        &door,
        SET_CLOCK,
        &wire::SetClockRequest {
            now: time(WATERMARK_US),
        },
    );
    assert_eq!(result.code, 9, "{result:?}");
}

#[test]
fn before_the_first_snapshot_the_door_is_unavailable() {
    let root = tempfile::tempdir().expect("a directory");
    let door = door(&root);
    let result = call(&door, RECOMMEND, &for_user("near"));
    assert_eq!(result.code, 14, "{result:?}");
    let health = call(
        &door,
        CHECK,
        &support::wire::health::HealthCheckRequest::default(),
    );
    assert_eq!(health.response, [8, 2], "NOT_SERVING");
}
