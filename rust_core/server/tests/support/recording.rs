//! What the tests of recording share: a configuration with an event log, events, and what became of them.

use std::path::Path;

use promosvc_server::{CallResult, Door};
use prost::Message;
use serde_json::{Value, json};

use super::wire::promosvc::v1 as wire;
use super::wire::rpc;
use super::{GET_STATUS, RECORD_EVENTS, UPSERT_ITEMS, WATERMARK_US, config};

/// A configuration that records to `events/` below the snapshots' directory; checkpoints only at a stop.
pub fn recording_config(root: &Path) -> Value {
    let mut config = config(root);
    config["events"] = json!({
        "directory": root.join("events"), "source": "live", "custom_events": {"enroll": true},
        "segment_bytes": 1048576, "retention_hours": 0, "checkpoint_seconds": 86400,
        "queue_commands_max": 64, "dedupe_hours": 168, "dedupe_bytes_max": 16777216,
        "request_window_hours": 24, "request_window_bytes_max": 1048576,
        "live_state_bytes_max": 67108864, "events_per_user_max": 1000, "earliest_us": 0
    });
    config
}

/// A view of an item, a minute before the clock.
pub fn view(event_id: &str, user_id: &str, item_id: &str) -> wire::Event {
    wire::Event {
        event_id: event_id.to_owned(),
        event_name: "view_item".to_owned(),
        user_id: user_id.to_owned(),
        item_id: item_id.to_owned(),
        event_at: time(WATERMARK_US - 60_000_000),
        ..Default::default()
    }
}

/// Views of `near` by `ann` with ids of their own.
pub fn views(ids: std::ops::Range<usize>) -> Vec<wire::Event> {
    ids.map(|id| view(&id.to_string(), "ann", "near")).collect()
}

pub fn time(us: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: us.div_euclid(1_000_000),
        nanos: (us.rem_euclid(1_000_000) * 1_000) as i32,
    })
}

pub fn request(events: Vec<wire::Event>) -> wire::RecordEventsRequest {
    wire::RecordEventsRequest {
        events,
        source: String::new(),
    }
}

/// A write of one stock.
pub fn upsert(request_id: &str, item_id: &str, stock: i64) -> wire::UpsertItemsRequest {
    wire::UpsertItemsRequest {
        request_id: request_id.to_owned(),
        items: vec![wire::ItemUpdate {
            item_id: item_id.to_owned(),
            stock: Some(stock),
            ..Default::default()
        }],
    }
}

pub fn call(door: &Door, method: &str, request: &impl Message) -> CallResult {
    door.call(method, &request.encode_to_vec(), &[], None)
}

pub fn ok<Response: Message + Default>(result: &CallResult) -> Response {
    assert_eq!((result.code, result.message.as_str()), (0, ""));
    Response::decode(result.response.as_slice()).expect("decodes")
}

/// Why a call was refused.
pub fn reason(result: &CallResult) -> String {
    let details = result.trailing_metadata.iter();
    let mut details = details.filter(|(key, _)| key == "grpc-status-details-bin");
    let (_, details) = details.next().expect("details");
    let status = rpc::Status::decode(details.as_slice()).expect("a status");
    let info = rpc::ErrorInfo::decode(status.details[0].value.as_slice());
    info.expect("the first detail is an ErrorInfo").reason
}

/// Records; the verdicts' numbers (1 accepted, 2 duplicate, 3 rejected).
pub fn record(door: &Door, events: Vec<wire::Event>) -> Vec<i32> {
    let response: wire::RecordEventsResponse = ok(&call(door, RECORD_EVENTS, &request(events)));
    let verdicts = response.results.iter().map(|result| result.verdict);
    let verdicts: Vec<i32> = verdicts.collect();
    let count = |verdict| verdicts.iter().filter(|&&of| of == verdict).count() as i32;
    assert_eq!(
        [count(1), count(2), count(3)],
        [
            response.accepted_count,
            response.duplicate_count,
            response.rejected_count
        ]
    );
    verdicts
}

pub fn upsert_items(door: &Door, request: &wire::UpsertItemsRequest) -> CallResult {
    call(door, UPSERT_ITEMS, request)
}

pub fn status(door: &Door) -> wire::GetStatusResponse {
    ok(&call(door, GET_STATUS, &wire::GetStatusRequest {}))
}

pub fn log_status(door: &Door) -> wire::EventLogStatus {
    status(door).event_log.expect("a log")
}

/// Entries that the log got since it began, as long as nothing was trimmed.
pub fn recorded(door: &Door) -> i64 {
    let log = log_status(door);
    log.durable_position - log.first_position
}

/// Entries that the newest checkpoint holds; negative without one.
pub fn checkpointed(door: &Door) -> i64 {
    let log = log_status(door);
    log.checkpoint_position - log.first_position
}
