//! Tells what was measured: some lines for people, the last one for programs.

use std::time::Duration;

use serde_json::json;

use crate::arguments::Arguments;
use crate::events::Tally;
use crate::load::Measured;
use crate::work::Recorded;

/// Prints the report.
pub(crate) fn print(arguments: &Arguments, measured: &Measured) {
    let Measured {
        seconds,
        latency_ns,
        statuses,
        errors,
        response_bytes,
        recorded,
        scheduling,
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
        "{} {}: {} connections x {} in flight, {}",
        arguments.address,
        arguments.method,
        arguments.connections,
        arguments.in_flight,
        match arguments.rate_per_second {
            None => "closed loop".to_owned(),
            Some(rate) => format!("{rate} calls begun each second"),
        }
    );
    println!(
        "{requests} calls in {seconds:.3} s: {requests_per_s:.0}/s; latency p50 {:.0} us, p99 {:.0} us, max {max:.0} us",
        at(0.5),
        at(0.99),
    );
    println!("statuses {statuses:?}, errors {errors:?}");
    let share = |time: Duration| time.as_secs_f64() / seconds.max(f64::EPSILON);
    let (running, waiting) = scheduling.map_or((None, None), |scheduling| {
        (
            Some(share(scheduling.running)),
            Some(share(scheduling.waiting)),
        )
    });
    if let (Some(running), Some(waiting)) = (running, waiting) {
        println!(
            "generator: {:.0} % of a core, waited for one {:.0} % of the time",
            running * 100.0,
            waiting * 100.0
        );
    }
    let mut figures = json!({
        "requests": requests,
        "seconds": seconds,
        "requests_per_s": requests_per_s,
        "response_bytes": response_bytes,
        "statuses": statuses,
        "errors": errors,
        "latency_us": {
            "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p99_9": at(0.999), "max": max,
        },
        "generator_busy": running,
        "generator_starved": waiting,
        "connections": arguments.connections,
        "in_flight": arguments.in_flight,
        "method": arguments.method,
        "rate_per_second": arguments.rate_per_second,
    });
    if let Some(recorded) = recorded {
        let Recorded {
            batch,
            tally:
                Tally {
                    accepted,
                    duplicates,
                    rejected,
                },
            event_bytes,
            complaint: _,
        } = recorded;
        let events_per_s = requests_per_s * *batch as f64;
        println!(
            "{events_per_s:.0} events/s of {event_bytes:.0} bytes; of all: {accepted} accepted, \
             {duplicates} duplicates, {rejected} rejected"
        );
        figures["events_per_s"] = json!(events_per_s);
        figures["accepted"] = json!(accepted);
        figures["duplicates"] = json!(duplicates);
        figures["rejected"] = json!(rejected);
        figures["event_bytes"] = json!(event_bytes);
    }
    println!("{figures}");
}
