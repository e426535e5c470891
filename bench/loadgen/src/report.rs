//! Tells what was measured: some lines for people, the last one for programs.

use serde_json::json;

use crate::arguments::Arguments;
use crate::load::Measured;

/// Prints the report.
pub(crate) fn print(arguments: &Arguments, measured: &Measured) {
    let Measured {
        seconds,
        latency_ns,
        statuses,
        errors,
        response_bytes,
    } = measured;
    let requests: u64 = statuses.values().sum();
    let requests_per_s = if *seconds > 0.0 {
        requests as f64 / seconds
    } else {
        0.0
    };
    let at = |quantile: f64| latency_ns.value_at_quantile(quantile) as f64 / 1_000.0;
    let max = latency_ns.max() as f64 / 1_000.0;
    println!(
        "{} {}: {} connections x {} in flight, closed loop",
        arguments.address, arguments.method, arguments.connections, arguments.in_flight
    );
    println!(
        "{requests} calls in {seconds:.3} s: {requests_per_s:.0}/s; latency p50 {:.0} us, p99 {:.0} us, max {max:.0} us",
        at(0.5),
        at(0.99),
    );
    println!("statuses {statuses:?}, errors {errors:?}");
    println!(
        "{}",
        json!({
            "requests": requests,
            "seconds": seconds,
            "requests_per_s": requests_per_s,
            "response_bytes": response_bytes,
            "statuses": statuses,
            "errors": errors,
            "latency_us": {
                "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p99_9": at(0.999), "max": max,
            },
            "connections": arguments.connections,
            "in_flight": arguments.in_flight,
            "method": arguments.method,
        })
    );
}
