//! What the server's tests share: a configuration, a snapshot, a client, and patience with a bound.
#![allow(dead_code, unreachable_pub, unused_imports)] // one module shared by several test crates, each of which uses its part

pub mod client;
pub mod disk;
pub mod recording;
#[path = "../../../engine/tests/support/mod.rs"]
pub mod snapshot;
pub mod wire;

use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use promosvc_server::{Server, ServerConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use client::{Answer, Client, framed};
pub use snapshot::WATERMARK_US;

pub const RECOMMEND: &str = "/promosvc.v1.PromoService/Recommend";
pub const GET_FEATURES: &str = "/promosvc.v1.PromoService/GetFeatures";
pub const RECORD_EVENTS: &str = "/promosvc.v1.PromoService/RecordEvents";
pub const UPSERT_ITEMS: &str = "/promosvc.v1.PromoService/UpsertItems";
pub const GET_STATUS: &str = "/promosvc.v1.AdminService/GetStatus";
pub const SET_CLOCK: &str = "/promosvc.v1.AdminService/SetClock";
pub const CHECK: &str = "/grpc.health.v1.Health/Check";
pub const LIST: &str = "/grpc.health.v1.Health/List";
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// No step of a test takes longer than this unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration with a manual clock at the snapshot's watermark.
pub fn config(directory: &Path) -> Value {
    json!({
        "server": {
            "address": "127.0.0.1", "port": 0, "workers": 1, "insecure": false,
            "in_flight_calls_max": 1024, "streams_per_connection_max": 256, "connections_max": 10000,
            "idle_seconds_max": 300, "header_bytes_max": 16384, "pending_resets_max": 512,
            "handshake_seconds_max": 5
        },
        "clock": {"mode": "manual", "offset_us": 0, "manual_now_us": WATERMARK_US},
        "snapshots": {"directory": directory, "poll_ms": 5},
        "placements": {
            "default": placement(20),
            "home": placement(3)
        },
        "events": null, "decisions": null, "attribution": null
    })
}

fn placement(page_size: usize) -> Value {
    json!({
        "page_size": page_size, "sources": [],
        "seen": {"hide_seen": true, "event_names": ["purchase"], "window_days": 0},
        "category_cap": 0, "include_reasons": true
    })
}

/// A configuration as the server reads it.
pub fn parsed(config: &Value) -> ServerConfig {
    ServerConfig::from_json(&config.to_string()).expect("a configuration")
}

/// A directory with one published snapshot that has something in every file.
pub fn published() -> TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let directory = snapshot::random::example().write(root.path());
    publish(root.path(), &directory);
    root
}

/// Publishes as the offline plane does: by renaming.
pub fn publish(root: &Path, directory: &Path) {
    let id = directory
        .file_name()
        .expect("a name")
        .to_str()
        .expect("UTF-8");
    fs::write(root.join("CURRENT.new"), format!("{id}\n")).expect("writes");
    fs::rename(root.join("CURRENT.new"), root.join("CURRENT")).expect("renames");
}

/// Starts a server on a snapshot, after `change`.
pub fn start(change: impl FnOnce(&mut Value)) -> (Server, TempDir) {
    let root = published();
    let mut config = config(root.path());
    change(&mut config);
    (Server::start(parsed(&config)).expect("starts"), root)
}

/// Runs an async test, within the bound.
pub fn run<Output>(test: impl Future<Output = Output>) -> Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            tokio::time::timeout(PATIENCE, test)
                .await
                .expect("the test took too long")
        })
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The status of the server.
pub async fn status(client: &Client) -> wire::promosvc::v1::GetStatusResponse {
    client
        .call(GET_STATUS, &wire::promosvc::v1::GetStatusRequest {})
        .await
        .expect("a status")
}

/// Whether the server as a whole says SERVING.
pub async fn is_serving(client: &Client) -> bool {
    let response: wire::health::HealthCheckResponse = client
        .call(CHECK, &wire::health::HealthCheckRequest::default())
        .await
        .expect("health");
    response.status == 1
}
