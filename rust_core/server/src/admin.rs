//! `AdminService`: what the server runs on, and the manual clock.

use promosvc_engine::error::{Error, Result};
use prost::Message;

use crate::clock::Clock;
use crate::config::ClockMode;
use crate::convert::{time_from, timestamp};
use crate::decisions::DecisionLog;
use crate::door::Door;
use crate::health::undecodable;
use crate::recording::{Recording, RecordingStatus};
use crate::wire::promosvc::v1 as wire;

/// Answers GetStatus: appends the encoded response.
pub(crate) fn get_status(door: &Door, request: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let wire::GetStatusRequest {} = wire::GetStatusRequest::decode(request)
        .map_err(|error| undecodable("promosvc.v1.GetStatusRequest", &error))?;
    let admission = door.admission();
    let recording = door.recording().ok().map(Recording::status);
    let (event_log, live_state, dedupe, request_window) = match recording {
        Some(RecordingStatus {
            event_log,
            live_state,
            dedupe,
            request_window,
        }) => (
            Some(event_log),
            Some(live_state),
            Some(dedupe),
            Some(request_window),
        ),
        None => (None, None, None, None),
    };
    let response = wire::GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: Some(clock_status(door.clock())),
        snapshot: snapshot_status(door),
        started_at: Some(timestamp(door.started_at())),
        in_flight_calls: saturated(admission.in_flight()),
        in_flight_calls_max: saturated(admission.in_flight_max()),
        shed_calls: i64::try_from(admission.shed()).unwrap_or(i64::MAX),
        placements: door.engine().placement_names().map(str::to_owned).collect(),
        snapshot_refusal: door.snapshots().refusal(),
        event_log,
        live_state,
        dedupe,
        request_window,
        decision_log: door.decisions().map(DecisionLog::status),
    };
    out.extend_from_slice(&response.encode_to_vec());
    Ok(())
}

/// Answers SetClock: appends the encoded response.
pub(crate) fn set_clock(door: &Door, request: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let wire::SetClockRequest { now } = wire::SetClockRequest::decode(request)
        .map_err(|error| undecodable("promosvc.v1.SetClockRequest", &error))?;
    let now = now.ok_or_else(|| {
        Error::invalid(
            "now",
            "FIELD_MISSING",
            "now is not set; it must be the clock's new time",
        )
    })?;
    door.clock().set(time_from(&now, "now")?)?;
    let response = wire::SetClockResponse {
        clock: Some(clock_status(door.clock())),
    };
    out.extend_from_slice(&response.encode_to_vec());
    Ok(())
}

fn clock_status(clock: &Clock) -> wire::ClockStatus {
    let mode = match clock.mode() {
        ClockMode::Offset => wire::ClockMode::Offset,
        ClockMode::Manual => wire::ClockMode::Manual,
    };
    wire::ClockStatus {
        mode: mode as i32,
        now: Some(timestamp(clock.now())),
        offset_us: clock.offset_us(),
    }
}

fn snapshot_status(door: &Door) -> Option<wire::SnapshotStatus> {
    let snapshot = door.engine().snapshot()?;
    let manifest = &snapshot.manifest;
    Some(wire::SnapshotStatus {
        snapshot_id: snapshot.id.clone(),
        watermark_at: Some(timestamp(manifest.watermark_at)),
        events_position: i64::try_from(manifest.events_position).unwrap_or(i64::MAX),
        model_versions: manifest
            .models
            .iter()
            .map(|model| wire::ModelVersion {
                name: model.name.clone(),
                version: model.version.clone(),
            })
            .collect(),
        item_count: snapshot.items.len() as i64,
        user_count: snapshot.users.len() as i64,
        feature_views: manifest
            .feature_views
            .iter()
            .map(|view| view.name.clone())
            .collect(),
        loaded_at: door.snapshots().taken_at().map(timestamp),
    })
}

fn saturated(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
