//! A small closed-loop gRPC load generator.
//!
//! `connections` x `in flight` callers each send a unary call, wait for its answer, and send the next; so the
//! server sets the pace and the figure is its capacity at that concurrency, not its behaviour under an
//! arrival rate. One thread and the `h2` crate: some 3 us for each call, so that one core of
//! generator is enough for one core of server.
//!
//! The last line of the output is one JSON object.

mod arguments;
mod load;
mod report;
mod requests;

use std::process::ExitCode;

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
    let measured = requests::load(&arguments.requests_file)
        .and_then(|requests| load::run(&arguments, requests));
    match measured {
        Ok(measured) => {
            report::print(&arguments, &measured);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("loadgen: {message}");
            ExitCode::FAILURE
        }
    }
}
