//! The command line.

use std::path::PathBuf;
use std::time::Duration;

/// What `--help` says.
pub(crate) const HELP: &str = "\
Measures how many unary gRPC calls a server answers, in a closed loop, from one thread.

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
  --warmup N            calls before the count begins; default 2000
  --help

The callers share one list of requests and take them in turn, so with enough calls every request is sent. A
call's latency runs from before it is sent until its status is read. Every gRPC status is counted; a bench
should accept only {\"0\": N}.

Example, a server on core 0 and the generator on core 1:
  taskset -c 1 loadgen --address 127.0.0.1:50051 --method /grpc.health.v1.Health/Check --empty --seconds 5

The last line is one JSON object: requests, seconds, requests_per_s, response_bytes, statuses, errors, and
latency_us with p50, p90, p99, p99_9, max; and, on Linux, generator_busy (share of the time that this thread
had a core; near 1 the generator is the limit) and generator_starved (share that it waited for one; well above
0 the machine is busy with something else).
";

/// Where requests come from, how many, and how fast.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) address: String,
    pub(crate) method: String,
    pub(crate) requests_file: Option<PathBuf>,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) until: Until,
    pub(crate) warmup: u64,
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
    Run(Arguments),
    Help,
}

/// Reads the command line; the error names the option.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let mut address = None;
    let mut arguments = Arguments {
        address: String::new(),
        method: "/promosvc.v1.PromoService/Recommend".to_owned(),
        requests_file: None,
        connections: 8,
        in_flight: 16,
        until: Until::Requests(100_000),
        warmup: 2_000,
    };
    while let Some(option) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))
        };
        match option.as_str() {
            "--help" | "-h" => return Ok(Parsed::Help),
            "--empty" => arguments.requests_file = None,
            "--address" => address = Some(value()?),
            "--method" => arguments.method = value()?,
            "--requests-file" => arguments.requests_file = Some(value()?.into()),
            "--connections" => arguments.connections = positive(&option, &value()?)? as usize,
            "--in-flight" => arguments.in_flight = positive(&option, &value()?)? as usize,
            "--requests" => arguments.until = Until::Requests(positive(&option, &value()?)?),
            "--seconds" => arguments.until = Until::Elapsed(seconds(&option, &value()?)?),
            "--warmup" => arguments.warmup = number(&option, &value()?)?,
            _ => return Err(format!("{option} is not an option")),
        }
    }
    if !arguments.method.starts_with('/') {
        return Err(format!(
            "--method is {}; it must begin with / as in /package.Service/Method",
            arguments.method
        ));
    }
    arguments.address = address.ok_or("--address is missing")?;
    Ok(Parsed::Run(arguments))
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

fn seconds(option: &str, text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|&seconds: &f64| seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{option} is {text}; it must be a number of seconds above 0"))
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
        ] {
            assert!(words(line).unwrap_err().contains(name), "{line}");
        }
    }
}
