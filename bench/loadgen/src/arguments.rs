//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::events::{Expected, Ids, Recording};

/// The path of Recommend.
pub(crate) const RECOMMEND: &str = "/promosvc.v1.PromoService/Recommend";
/// The path of RecordEvents.
pub(crate) const RECORD_EVENTS: &str = "/promosvc.v1.PromoService/RecordEvents";

/// What `--help` says.
pub(crate) const HELP: &str = "\
Measures how many unary gRPC calls a server answers, from one thread.

Usage: loadgen --address HOST:PORT [options]

  --address HOST:PORT   the server (no TLS)
  --method PATH         the call; default /promosvc.v1.PromoService/Recommend
  --requests-file FILE  requests to send in turn: for each one 4 bytes of length, little-endian, then so
                        many bytes of the encoded message, over and over to the end of the file
  --empty               send an empty message instead (the default without --requests-file)
  --connections N       default 8
  --in-flight N         calls open at once on each connection; default 16
  --requests N          stop after so many counted calls; default 100000
  --seconds S           stop after so long instead
  --warmup N            calls before the count begins; default 2000, with events 20
  --rate-per-second R   begin R calls each second, whatever the answers do, instead of a closed loop; a call's
                        latency then runs from when it was due
  --help

Recording: every event is new (see events.rs), and every one must be accepted, else the exit code is 1.
  --record-events N           RecordEvents requests of N events each, made on the fly
  --record-then-recommend     instead: each call is a Recommend, whose first item is then recorded as a purchase,
                              and at the acknowledgement a second Recommend, which must hide it; latencies are from
                              sending the event to having the second answer
  --users-file F, --users N   whose events: a line each, or so many (default 10000)
  --items-file F, --items N   of what: a line each, or so many (default 10000)
  --event-id-prefix TEXT      event ids begin with it; default \"load-\"
  --seed N                    draws users, items and the rest; default 7
  --clock-start US            time of the first event in microseconds since 1970; default the machine's clock
  --expect-duplicates         every event must be a duplicate instead: the same run again

The callers share one list of requests and take them in turn, so with enough calls every request is sent. A
call's latency runs from before it is sent until its status is read. Every gRPC status is counted; a bench
should accept only {\"0\": N}.

Example, a server on core 0 and the generator on core 1:
  taskset -c 1 loadgen --address 127.0.0.1:50051 --method /grpc.health.v1.Health/Check --empty --seconds 5

The last line is one JSON object: requests, seconds, requests_per_s, response_bytes, statuses, errors, and
latency_us with p50, p90, p99, p99_9, max; and, on Linux, generator_busy (share of the time that this thread
had a core; near 1 the generator is the limit) and generator_starved (share that it waited for one; well above
0 the machine is busy with something else). With events also events_per_s, accepted, duplicates, rejected (these
three of all calls, the warm-up's too) and event_bytes.
";

/// Where requests come from, how many, and how fast.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) address: String,
    pub(crate) method: String,
    pub(crate) task: Task,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) until: Until,
    pub(crate) warmup: u64,
    pub(crate) rate_per_second: Option<f64>,
}

/// What the calls are for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Requests of a file, or one empty message.
    Send(Option<PathBuf>),
    /// New events.
    Record(Recording),
    /// One event, and whether the next answer knows it.
    RecordThenRecommend(Recording),
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Until {
    Requests(u64),
    Elapsed(Duration),
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Box<Arguments>),
    Help,
}

/// Reads the command line; the error names the option.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let mut address = None;
    let mut method = None;
    let mut requests_file = None;
    let mut warmup = None;
    let mut is_pair = false;
    let mut recording = Recording {
        batch: 0,
        users: Ids::Count(10_000),
        items: Ids::Count(10_000),
        id_prefix: "load-".to_owned(),
        seed: 7,
        clock_start_us: machine_now_us(),
        expected: Expected::Accepted,
    };
    let mut arguments = Arguments {
        address: String::new(),
        method: String::new(),
        task: Task::Send(None),
        connections: 8,
        in_flight: 16,
        until: Until::Requests(100_000),
        warmup: 2_000,
        rate_per_second: None,
    };
    while let Some(option) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))
        };
        match option.as_str() {
            "--help" | "-h" => return Ok(Parsed::Help),
            "--empty" => requests_file = None,
            "--address" => address = Some(value()?),
            "--method" => method = Some(value()?),
            "--requests-file" => requests_file = Some(value()?.into()),
            "--connections" => arguments.connections = positive(&option, &value()?)? as usize,
            "--in-flight" => arguments.in_flight = positive(&option, &value()?)? as usize,
            "--requests" => arguments.until = Until::Requests(positive(&option, &value()?)?),
            "--seconds" => {
                let seconds = above_zero(&option, &value()?)?;
                arguments.until = Until::Elapsed(
                    Duration::try_from_secs_f64(seconds)
                        .map_err(|error| format!("{option} is {seconds}: {error}"))?,
                );
            }
            "--warmup" => warmup = Some(number(&option, &value()?)?),
            "--rate-per-second" => {
                arguments.rate_per_second = Some(above_zero(&option, &value()?)?);
            }
            "--record-events" => recording.batch = positive(&option, &value()?)? as usize,
            "--record-then-recommend" => is_pair = true,
            "--users-file" => recording.users = Ids::File(value()?.into()),
            "--users" => recording.users = Ids::Count(positive(&option, &value()?)?),
            "--items-file" => recording.items = Ids::File(value()?.into()),
            "--items" => recording.items = Ids::Count(positive(&option, &value()?)?),
            "--event-id-prefix" => recording.id_prefix = value()?,
            "--seed" => recording.seed = number(&option, &value()?)?,
            "--clock-start" => recording.clock_start_us = number(&option, &value()?)? as i64,
            "--expect-duplicates" => recording.expected = Expected::Duplicates,
            _ => return Err(format!("{option} is not an option")),
        }
    }
    let is_recording = recording.batch > 0;
    if is_pair && is_recording {
        return Err("--record-events and --record-then-recommend exclude each other".to_owned());
    }
    arguments.method = method.unwrap_or_else(|| {
        if is_recording {
            RECORD_EVENTS.to_owned()
        } else {
            RECOMMEND.to_owned()
        }
    });
    if !arguments.method.starts_with('/') {
        return Err(format!(
            "--method is {}; it must begin with / as in /package.Service/Method",
            arguments.method
        ));
    }
    arguments.warmup = warmup.unwrap_or(if is_recording || is_pair { 20 } else { 2_000 });
    arguments.task = if is_pair {
        Task::RecordThenRecommend(recording)
    } else if is_recording {
        Task::Record(recording)
    } else {
        Task::Send(requests_file)
    };
    arguments.address = address.ok_or("--address is missing")?;
    Ok(Parsed::Run(Box::new(arguments)))
}

fn machine_now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{option} is {text}; it must be a whole number"))
}

fn positive(option: &str, text: &str) -> Result<u64, String> {
    match number(option, text)? {
        0 => Err(format!("{option} is 0; it must be at least 1")),
        value => Ok(value),
    }
}

fn above_zero(option: &str, text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&value: &f64| value > 0.0 && value.is_finite())
        .ok_or_else(|| format!("{option} is {text}; it must be a number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Parsed, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let Ok(Parsed::Run(arguments)) = words("--address a:1 --seconds 1.5 --in-flight 2") else {
            panic!("not read");
        };
        assert_eq!(
            arguments.until,
            Until::Elapsed(Duration::from_millis(1_500))
        );
        assert_eq!((arguments.connections, arguments.in_flight), (8, 2));
        assert_eq!(
            (arguments.method.as_str(), arguments.warmup),
            (RECOMMEND, 2_000)
        );
    }

    #[test]
    fn recording_has_its_own_method_and_warmup() {
        let line =
            "--address a:1 --record-events 500 --users 9 --items-file far --rate-per-second 0.5";
        let Ok(Parsed::Run(arguments)) = words(line) else {
            panic!("not read");
        };
        assert_eq!(
            (arguments.method.as_str(), arguments.warmup),
            (RECORD_EVENTS, 20)
        );
        assert_eq!(arguments.rate_per_second, Some(0.5));
        let Task::Record(recording) = arguments.task else {
            panic!("not recording");
        };
        assert_eq!(recording.batch, 500);
        assert!(matches!(recording.users, Ids::Count(9)));
        assert!(matches!(recording.items, Ids::File(_)));
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, name) in [
            ("", "--address"),
            ("--address", "--address"),
            ("--address a:1 --connections 0", "--connections"),
            ("--address a:1 --seconds -1", "--seconds"),
            ("--address a:1 --seconds NaN", "--seconds"),
            ("--address a:1 --warmup x", "--warmup"),
            ("--address a:1 --method far", "--method"),
            ("--address a:1 --fast", "--fast"),
            ("--address a:1 --record-events 0", "--record-events"),
            ("--address a:1 --rate-per-second inf", "--rate-per-second"),
            (
                "--address a:1 --record-events 1 --record-then-recommend",
                "--record-then-recommend",
            ),
        ] {
            assert!(words(line).unwrap_err().contains(name), "{line}");
        }
    }
}
