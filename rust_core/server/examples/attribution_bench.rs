//! What attribution tokens cost, on one core: issued for an answer of 20 items, and verified.
//!
//! `cargo run --release -p promosvc-server --example attribution_bench`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use promosvc_engine::types::TimeUs;
use promosvc_server::Attribution;

const SNAPSHOT: &str = "20180101T040000Z-0123456789abcdef";
const ITEMS: usize = 20;
const ANSWERS: usize = 20_000;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let keys_file = std::env::temp_dir().join(format!("attribution-bench-{}", std::process::id()));
    let attribution = Attribution::open(&keys_file);
    let _ = std::fs::remove_file(&keys_file);
    let attribution = attribution?;
    println!("nanoseconds, median of {ROUNDS} rounds of {ANSWERS} answers of {ITEMS} items");
    for (what, user_id, digits) in [
        ("short ids (2 SHA-256 blocks)", "1104", 7),
        (
            "UUIDs (3 SHA-256 blocks)",
            "7f3b2c52-96a1-4be1-9d1c-6b6d0a4f6f51",
            36,
        ),
    ] {
        let item_ids: Vec<String> = (0..ITEMS).map(|at| format!("{at:0digits$}")).collect();
        let mut issued = Vec::new();
        let issuing = median(|| {
            for at in 0..ANSWERS {
                issued.clear();
                let Some(issuer) = attribution.issuer(SNAPSHOT, TimeUs(at as i64), user_id) else {
                    return;
                };
                for (rank, item_id) in item_ids.iter().enumerate() {
                    issuer.issue(item_id, rank as u8 + 1, &mut issued);
                }
                black_box(&issued);
            }
        });
        let tokens: Vec<&str> = std::str::from_utf8(&issued)?
            .as_bytes()
            .chunks(54)
            .map(|token| std::str::from_utf8(token).unwrap_or_default())
            .collect();
        let mut verified = 0;
        let verifying = median(|| {
            for _ in 0..ANSWERS {
                for (token, item_id) in tokens.iter().zip(&item_ids) {
                    verified += usize::from(attribution.verify(token, user_id, item_id).is_some());
                }
            }
        });
        assert_eq!(verified, ROUNDS * ANSWERS * ITEMS, "every token verifies");
        println!(
            "{what}: an answer {:.0}, a token {:.0}, verifying one {:.0}",
            issuing * ITEMS as f64,
            issuing,
            verifying
        );
    }
    Ok(())
}

/// Nanoseconds for one token.
fn median(mut run: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_nanos() as f64 / (ANSWERS * ITEMS) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
