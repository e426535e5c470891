//! What becomes of a log on a bad disk, and what one costs on a good disk.
//!
//! `faults` runs the seeded lives of the server's tests (`scenario`: appends, rotations, checkpoints, trims, mishaps,
//! recoveries on a simulated disk) and damages logs at random places (`corruption`). `append` and `recovery` measure
//! a real directory. The last line of the output is one JSON object.

#[allow(dead_code)] // the proofs use the rest
#[path = "../../../rust_core/server/tests/support/corruption.rs"]
mod corruption;
mod faults;
#[allow(dead_code)] // the proofs use the rest
#[path = "../../../rust_core/server/tests/support/omitting.rs"]
mod omitting;
#[allow(dead_code)] // the proofs use the rest
#[path = "../../../rust_core/server/tests/support/scenario.rs"]
mod scenario;
#[path = "../../../rust_core/server/tests/support/seeded.rs"]
mod seeded;
#[path = "../../../rust_core/server/tests/support/simulated_disk.rs"]
mod simulated_disk;
mod speed;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

const HELP: &str = "\
Logs on a simulated disk, damaged logs, and what a real log costs.

Usage: disk_faults [faults] [--seeds N] [--flips N] [--first-seed N]
       disk_faults append [--groups N] [--directory DIR]
       disk_faults recovery [--million-events N] [--directory DIR]

  faults     lives of logs on a simulated disk (20000 seeds) and damaged logs (5000); exit code 1 if anything was
             lost, silent or panicked. A line names each seed that failed; --first-seed repeats it.
  append     appends groups of 500 events (60 kB) with one fdatasync each; default 10000
  recovery   writes a log of that many million events (default 1), then opens and walks it

  --directory DIR   where the measured log goes, in a directory of its own that is removed; default the system's

The last line is one JSON object.
";

struct Arguments {
    command: String,
    seeds: u64,
    flips: u64,
    first_seed: u64,
    groups: u64,
    million_events: u64,
    directory: PathBuf,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("disk_faults: {message}; see disk_faults --help");
            return ExitCode::from(2);
        }
    };
    let result = match &*arguments.command {
        "faults" => Ok(faults::run(
            arguments.first_seed,
            arguments.seeds,
            arguments.flips,
        )),
        "append" => speed::append(&arguments.directory, arguments.groups).map(|json| (json, true)),
        "recovery" => {
            speed::recovery(&arguments.directory, arguments.million_events).map(|json| (json, true))
        }
        other => {
            eprintln!("disk_faults: no command {other}; see disk_faults --help");
            return ExitCode::from(2);
        }
    };
    report(result)
}

fn report(result: Result<(Value, bool), String>) -> ExitCode {
    match result {
        Ok((json, is_good)) => {
            println!("{json}");
            ExitCode::from(u8::from(!is_good))
        }
        Err(message) => {
            eprintln!("disk_faults: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut parsed = Arguments {
        command: "faults".to_owned(),
        seeds: 20_000,
        flips: 5_000,
        first_seed: 0,
        groups: 10_000,
        million_events: 1,
        directory: std::env::temp_dir(),
    };
    let mut arguments = arguments.peekable();
    if let Some(command) = arguments.next_if(|first| !first.starts_with('-')) {
        parsed.command = command;
    }
    while let Some(name) = arguments.next() {
        if name == "--help" {
            return Ok(None);
        }
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{name} is {value}; it must be a whole number"))
        };
        match &*name {
            "--seeds" => parsed.seeds = number()?,
            "--flips" => parsed.flips = number()?,
            "--first-seed" => parsed.first_seed = number()?,
            "--groups" => parsed.groups = number()?.max(1),
            "--million-events" => parsed.million_events = number()?.max(1),
            "--directory" => parsed.directory = PathBuf::from(value),
            _ => return Err(format!("no option {name}")),
        }
    }
    Ok(Some(parsed))
}
