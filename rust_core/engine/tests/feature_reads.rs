//! What GetFeatures answers, by status.

mod support;

use std::sync::Arc;

use promosvc_engine::decision::{EntityKey, EntityKind, FeatureRequest, FeatureStatus};
use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::ErrorKind;
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;
use support::{DAY_US, SnapshotRows, WATERMARK_US, random};

use FeatureStatus::{Expired, Imputed, Missing, Present};

fn engine() -> Engine {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let rows = SnapshotRows {
        views: random::views(),
        ..SnapshotRows::empty(Vec::new(), &[])
    };
    engine.publish(Arc::new(Snapshot::open(&rows.write(root.path())).unwrap()));
    engine
}

fn key<'a>(entity_id: &'a str, category: &'a str) -> EntityKey<'a> {
    EntityKey {
        entity_id,
        category,
    }
}

#[test]
fn values_come_with_their_status_in_the_order_asked_for() {
    let request = FeatureRequest {
        entity_kind: EntityKind::User,
        entity_keys: vec![key("user-1", ""), key("nobody", ""), key("user-0", "")],
        views: vec!["user_rfm"],
    };
    let answer = engine()
        .get_features(&request, TimeUs(WATERMARK_US))
        .unwrap();
    let frame = &answer.frames[0];
    assert_eq!(
        answer.snapshot.features.views[frame.view].spec.name,
        "user_rfm"
    );
    let day = TimeUs(WATERMARK_US - DAY_US);
    assert_eq!(frame.event_times, [day, TimeUs(0), day]);
    let [purchases, segment] = frame.columns.as_slice() else {
        panic!("{frame:?}")
    };
    assert_eq!(purchases.values, [0.0, 0.0, 2.0]);
    assert_eq!(purchases.statuses, [Missing, Missing, Present]);
    assert_eq!(segment.values, [0.0, 0.0, 1.0]);
    assert_eq!(segment.statuses, [Present, Missing, Imputed]);
}

#[test]
fn a_row_expires_after_its_time_to_live_and_not_at_it() {
    let request = FeatureRequest {
        entity_kind: EntityKind::User,
        entity_keys: vec![key("user-0", ""), key("user-1", "")],
        views: Vec::new(),
    };
    let at_ttl = WATERMARK_US - DAY_US + 10 * DAY_US;
    let engine = engine();
    let young = engine.get_features(&request, TimeUs(at_ttl)).unwrap();
    assert_eq!(young.frames[0].columns[0].statuses, [Present, Missing]);
    let old = engine.get_features(&request, TimeUs(at_ttl + 1)).unwrap();
    assert_eq!(old.frames[0].columns[0].values, [0.0, 0.0]);
    assert_eq!(old.frames[0].columns[0].statuses, [Expired, Missing]);
    assert_eq!(old.frames[0].columns[1].statuses, [Expired, Expired]);
}

#[test]
fn a_cross_is_found_by_both_parts_of_its_key() {
    let request = FeatureRequest {
        entity_kind: EntityKind::UserCategory,
        entity_keys: vec![
            key("user-0", "milk"),
            key("user-0", "wine"),
            key("user-0", "bread"),
        ],
        views: Vec::new(),
    };
    let answer = engine()
        .get_features(&request, TimeUs(WATERMARK_US))
        .unwrap();
    assert_eq!(answer.frames[0].columns[0].values, [0.25, 0.0, 0.75]);
    assert_eq!(
        answer.frames[0].columns[0].statuses,
        [Imputed, Missing, Present]
    );
}

#[test]
fn views_of_another_kind_or_name_are_not_found() {
    let engine = engine();
    for view in ["item_popularity", "nothing"] {
        let request = FeatureRequest {
            entity_kind: EntityKind::User,
            entity_keys: vec![key("user-0", "")],
            views: vec!["user_rfm", view],
        };
        let error = engine
            .get_features(&request, TimeUs(WATERMARK_US))
            .err()
            .unwrap();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::NotFound, "FEATURE_VIEW_NOT_FOUND")
        );
        assert_eq!(error.field, "views[1]");
    }
    let before = Engine::new(EngineSettings::default()).unwrap();
    let request = FeatureRequest {
        entity_kind: EntityKind::User,
        entity_keys: Vec::new(),
        views: Vec::new(),
    };
    let error = before.get_features(&request, TimeUs(0)).err().unwrap();
    assert_eq!(
        (error.kind, error.reason),
        (ErrorKind::Unavailable, "NO_SNAPSHOT")
    );
}
