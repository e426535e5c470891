//! Which decisions are kept.
//!
//! Decision n is kept when a hash of n lies below the rate. Every decision has the same probability, whoever asks and
//! whenever, which is what weighting by 1 / rate rests on; and because it is a hash and not every hundredth, calls
//! that come in a rhythm are not kept in a rhythm. There is no randomness: the same calls in the same order give the
//! same sample.

use std::sync::atomic::{AtomicU64, Ordering};

/// Says which decisions are kept.
pub(super) struct Sampler {
    /// Hashes below it are kept; `None` keeps all.
    threshold: Option<u64>,
    count: AtomicU64,
}

impl Sampler {
    /// Keeps a share of 0 to 1.
    pub(super) fn new(rate: f64) -> Self {
        Self {
            // Saturates; 2^64 itself does not fit.
            threshold: (rate < 1.0).then_some((rate * 2_f64.powi(64)) as u64),
            count: AtomicU64::new(0),
        }
    }

    /// Whether the next decision is kept.
    pub(super) fn samples(&self) -> bool {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.threshold
            .is_none_or(|threshold| mixed(number) < threshold)
    }
}

/// SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rate: f64, count: usize) -> Vec<usize> {
        let sampler = Sampler::new(rate);
        (0..count).filter(|_| sampler.samples()).collect()
    }

    #[test]
    fn a_share_is_kept_and_always_the_same() {
        assert_eq!(kept(1.0, 100).len(), 100);
        assert_eq!(kept(0.0, 100).len(), 0);
        let hundredth = kept(0.01, 100_000);
        // Four standard deviations of a binomial.
        assert!(
            (875..=1_125).contains(&hundredth.len()),
            "{}",
            hundredth.len()
        );
        assert_eq!(kept(0.01, 100_000), hundredth);
    }

    #[test]
    fn calls_in_a_rhythm_are_not_kept_in_a_rhythm() {
        let mut by_remainder = [0_usize; 10];
        for number in kept(0.1, 100_000) {
            by_remainder[number % 10] += 1;
        }
        for count in by_remainder {
            assert!((860..=1_140).contains(&count), "{by_remainder:?}");
        }
    }
}
