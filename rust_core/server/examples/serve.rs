//! Serves without Python, for measuring and debugging: prints the bound address and stops when its
//! standard input ends.
//!
//! `cargo run --release -p promosvc-server --example serve -- [SNAPSHOTS [WORKERS [EVENTS]]]`; with a directory for
//! `EVENTS` it records.

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use promosvc_server::{Server, ServerConfig};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let directory = words.next().unwrap_or_else(|| "data/snapshots".to_owned());
    let workers: usize = words.next().map_or(Ok(1), |count| count.parse())?;
    let events = words.next().map(|directory| {
        json!({
            "directory": directory, "source": "live", "custom_events": {},
            "segment_bytes": 268435456, "retention_hours": 168, "checkpoint_seconds": 300,
            "queue_commands_max": 1024, "dedupe_hours": 168, "dedupe_bytes_max": 268435456,
            "request_window_hours": 24, "request_window_bytes_max": 67108864,
            "live_state_bytes_max": 536870912, "events_per_user_max": 1000, "earliest_us": 0
        })
    });
    let config = json!({
        "server": {
            "address": "127.0.0.1", "port": 0, "workers": workers, "insecure": false,
            "in_flight_calls_max": 1024, "streams_per_connection_max": 256, "connections_max": 10000,
            "idle_seconds_max": 300, "header_bytes_max": 16384, "pending_resets_max": 512,
            "handshake_seconds_max": 5
        },
        "clock": {"mode": "offset", "offset_us": 0, "manual_now_us": 0},
        "snapshots": {"directory": directory, "poll_ms": 1000},
        "placements": {"default": {
            "page_size": 20, "sources": [],
            "seen": {"hide_seen": true, "event_names": ["purchase"], "window_days": 0},
            "category_cap": 0, "include_reasons": true
        }},
        "events": events, "decisions": null, "attribution": null
    });
    let server = Server::start(ServerConfig::from_json(&config.to_string())?)?;
    println!("{}", server.address());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!(
        "all calls finished: {}",
        server.stop(Duration::from_secs(5))?
    );
    Ok(())
}
