//! Seeds of lives and of damage, counted.

use std::panic::{UnwindSafe, catch_unwind, set_hook};
use std::time::Instant;

use serde_json::{Value, json};

use crate::corruption::{Outcome, damage};
use crate::scenario::{Seen, run as live};

/// Runs all; the JSON line, and whether nothing was lost.
pub(crate) fn run(first_seed: u64, seeds: u64, flips: u64) -> (Value, bool) {
    // A panic is counted and named by its seed; the trace would bury that.
    set_hook(Box::new(|_| {}));
    println!("lives on a simulated disk: seeds {first_seed} and {seeds} on; damage: {flips}");
    let began = Instant::now();
    let mut seen = Seen::default();
    let mut lost = 0u64;
    for seed in first_seed..first_seed + seeds {
        match caught(move || live(seed, None)) {
            Some(Ok(one)) => seen.add(&one),
            Some(Err(what)) => {
                println!("lost: {what}");
                lost += 1;
            }
            None => {
                println!("panic: life of seed {seed}");
                lost += 1;
            }
        }
    }
    println!("{seen:?}");
    let (mut silent, mut panics) = (0u64, 0u64);
    let mut outcomes = [0u64; 4];
    for seed in first_seed..first_seed + flips {
        match caught(move || damage(seed)) {
            Some(Ok(outcome)) => outcomes[outcome as usize] += 1,
            Some(Err(what)) => {
                println!("silent: {what}");
                silent += 1;
            }
            None => {
                println!("panic: damage of seed {seed}");
                panics += 1;
            }
        }
    }
    for outcome in [
        Outcome::Refused,
        Outcome::Cut,
        Outcome::GaveWay,
        Outcome::Harmless,
    ] {
        println!("{outcome:?}: {}", outcomes[outcome as usize]);
    }
    let json = json!({
        "disk_seeds": seeds,
        "disk_lost": lost,
        "log_flips": flips,
        "log_silent": silent,
        "log_panics": panics,
        "seconds": began.elapsed().as_secs_f64(),
    });
    (json, lost + silent + panics == 0)
}

fn caught<T>(work: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    catch_unwind(work).ok()
}
