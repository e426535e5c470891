//! A small gRPC load generator.
//!
//! `connections` x `in flight` callers each send a unary call, wait for its answer, and send the next; so the
//! server sets the pace and the figure is its capacity at that concurrency. With a rate, calls begin when they are
//! due instead, and latencies count from then. One thread and the `h2` crate: some 3 us for each call, so that one
//! core of generator is enough for one core of server.
//!
//! Calls come from a file, or are new events (`events`), or are pairs of an event and the answer that must know
//! it (`visible`).
//!
//! The last line of the output is one JSON object.

mod arguments;
mod events;
mod load;
mod protobuf;
mod report;
mod requests;
mod visible;
mod work;

use std::process::ExitCode;

use arguments::Task;
use work::Work;

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments::Parsed::Run(arguments)) => arguments,
        Ok(arguments::Parsed::Help) => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("loadgen: {message}; see loadgen --help");
            return ExitCode::from(2);
        }
    };
    let measured = match &arguments.task {
        Task::RecordThenRecommend(recording) => visible::run(&arguments, recording),
        Task::Send(_) | Task::Record(_) => {
            Work::new(&arguments.task).and_then(|work| load::run(&arguments, work))
        }
    };
    match measured {
        Ok(measured) => {
            report::print(&arguments, &measured);
            match measured.recorded.and_then(|recorded| recorded.complaint) {
                None => ExitCode::SUCCESS,
                Some(complaint) => {
                    eprintln!("loadgen: {complaint}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(message) => {
            eprintln!("loadgen: {message}");
            ExitCode::FAILURE
        }
    }
}
