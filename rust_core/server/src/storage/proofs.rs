//! What storage promises, on a simulated disk; and that each sync is needed for it.
//!
//! `PROMOSVC_FUZZ_SEEDS` runs more seeds; a failure prints the seed that repeats it.

#[path = "../../tests/support/corruption.rs"]
mod corruption;
#[path = "../../tests/support/omitting.rs"]
mod omitting;
#[path = "../../tests/support/scenario.rs"]
mod scenario;
#[path = "../../tests/support/seeded.rs"]
mod seeded;
#[path = "../../tests/support/simulated_disk.rs"]
mod simulated_disk;

use corruption::{Outcome, damage};
use omitting::Omission;
use scenario::{Seen, run};

use super::record;

/// Seeds within which an omission must show.
const SEEDS_TO_NOTICE: u64 = 2000;

fn seeds() -> u64 {
    let asked = std::env::var("PROMOSVC_FUZZ_SEEDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_else_appears() {
    let mut all = Seen::default();
    for seed in 0..seeds() {
        let seen = run(seed, None).unwrap_or_else(|what| panic!("{what}"));
        all.add(&seen);
    }
    // The runs go where they should.
    println!("{all:?}");
    assert!(all.is_broad(), "{all:?}");
}

#[test]
fn leaving_out_any_one_sync_is_noticed() {
    for omission in Omission::ALL {
        let noticed = notice(|seed| run(seed, Some(omission)));
        println!("{omission:?}: {noticed:?}");
        assert!(noticed.is_some(), "{omission:?} was not noticed");
    }
}

#[test]
fn leaving_out_the_position_check_is_noticed() {
    let noticed = notice(|seed| {
        record::IS_POSITION_CHECKED.set(false);
        let result = run(seed, None);
        record::IS_POSITION_CHECKED.set(true);
        result
    });
    println!("{noticed:?}");
    assert!(noticed.is_some());
}

/// The first failure of a seed that does well when nothing is left out.
fn notice(run_without: impl Fn(u64) -> Result<Seen, String>) -> Option<String> {
    (0..SEEDS_TO_NOTICE).find_map(|seed| {
        let noticed = run_without(seed).err()?;
        run(seed, None).is_ok().then_some(noticed)
    })
}

#[test]
fn damage_is_refused_or_said_and_never_silent() {
    let mut outcomes = Vec::new();
    for seed in 0..seeds() {
        outcomes.push(damage(seed).unwrap_or_else(|what| panic!("{what}")));
    }
    let count = |wanted| {
        outcomes
            .iter()
            .filter(|&&outcome| outcome == wanted)
            .count()
    };
    for wanted in [
        Outcome::Refused,
        Outcome::Cut,
        Outcome::GaveWay,
        Outcome::Harmless,
    ] {
        println!("{wanted:?}: {}", count(wanted));
        assert!(count(wanted) > 0, "{wanted:?} never happened");
    }
}
