//! Keeps the best `top_n` of many scores, exactly, ties by the lower index.
//!
//! A score and its index are packed into one u64 that sorts as they should: the bits of a positive f32 order as
//! its value does, and the inverted index behind them breaks ties. So comparing is one instruction and the result
//! does not depend on the order in which candidates arrive.

/// The best `top_n` so far.
#[derive(Debug)]
pub(super) struct TopN {
    keys: Vec<u64>,
    top_n: usize,
    /// Keys below this cannot be among the best.
    floor: u64,
}

impl TopN {
    pub(super) fn new(top_n: usize) -> Self {
        Self {
            keys: Vec::with_capacity(4 * top_n.max(16)),
            top_n,
            floor: 0,
        }
    }

    /// Offers one score; anything that is not above 0 is passed over.
    #[inline(always)]
    pub(super) fn offer(&mut self, score: f32, index: u32) {
        if score > 0.0 {
            self.offer_key(pack(score, index));
        }
    }

    /// Offers a packed key.
    #[inline(always)]
    pub(super) fn offer_key(&mut self, key: u64) {
        if key >= self.floor {
            self.keys.push(key);
            if self.keys.len() == self.keys.capacity() {
                self.prune();
            }
        }
    }

    /// Hands out the best, best first, and begins anew.
    pub(super) fn drain(&mut self, mut take: impl FnMut(u32, f32)) {
        if self.top_n > 0 && self.keys.len() > self.top_n {
            self.keys
                .select_nth_unstable_by(self.top_n - 1, |a, b| b.cmp(a));
        }
        self.keys.truncate(self.top_n);
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        for &key in &self.keys {
            let (score, index) = unpack(key);
            take(index, score);
        }
        self.keys.clear();
        self.floor = 0;
    }

    #[cold]
    fn prune(&mut self) {
        if self.top_n == 0 {
            self.keys.clear();
            self.floor = u64::MAX;
        } else if self.keys.len() > self.top_n {
            let (_, last, _) = self
                .keys
                .select_nth_unstable_by(self.top_n - 1, |a, b| b.cmp(a));
            self.floor = *last;
            self.keys.truncate(self.top_n);
        }
    }
}

/// Key of a score and an index: larger is better. Any finite score is allowed.
#[inline(always)]
pub(super) fn pack(score: f32, index: u32) -> u64 {
    // Adding 0 turns -0 into 0, so that equal scores have equal keys.
    let bits = (score + 0.0).to_bits();
    // Negative numbers sort backwards by their bits, and below all others.
    let ordered = if bits >> 31 == 0 {
        bits | 0x8000_0000
    } else {
        !bits
    };
    (u64::from(ordered) << 32) | u64::from(!index)
}

fn unpack(key: u64) -> (f32, u32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 {
        ordered & 0x7fff_ffff
    } else {
        !ordered
    };
    (f32::from_bits(bits), !(key as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn best(top_n: usize, scores: &[f32]) -> Vec<(u32, f32)> {
        let mut top = TopN::new(top_n);
        for (index, &score) in scores.iter().enumerate() {
            top.offer(score, index as u32);
        }
        let mut kept = Vec::new();
        top.drain(|index, score| kept.push((index, score)));
        kept
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        assert_eq!(best(2, &[0.5, 0.0, 0.75, -1.0, 0.5]), [(2, 0.75), (0, 0.5)]);
        assert_eq!(best(0, &[0.5; 1000]), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

        #[test]
        fn equals_a_full_sort(top_n in 0_usize..40, scores in prop::collection::vec((-3_i8..20).prop_map(f32::from), 0..400)) {
            let mut sorted: Vec<(u32, f32)> = scores.iter().enumerate().map(|(i, &s)| (i as u32, s)).filter(|&(_, s)| s > 0.0).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(top_n);
            prop_assert_eq!(best(top_n, &scores), sorted);
        }

        #[test]
        fn keys_order_as_scores_do(a in -1e9_f32..1e9, b in -1e9_f32..1e9, i in any::<u32>()) {
            prop_assert_eq!(pack(a, i) > pack(b, i), a > b);
            prop_assert_eq!(unpack(pack(a, i)), (a, i));
        }
    }
}
