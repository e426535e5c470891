//! Finishes a row of dot products into similarities, and the maximum of each block of them.
//!
//! Compiled twice from one body: for any machine, and for AVX2, where eight similarities are made at once. Both do the
//! same operations on the same lanes without fused multiply-adds, so they give the same bits.

use crate::similarity::measure::Finish;

/// Similarities whose maximum is kept together: two cache lines.
pub(super) const BLOCK: usize = 32;

/// Turns `dots` into similarities to a column of size `size`, in place; `best[b]` becomes the maximum of block b, at least 0.
///
/// All lengths fit: `dots` and `sizes` are as long, a multiple of [`BLOCK`], and `best` has one entry for each block. Measures
/// that need counts are not for here.
pub(super) fn finish_blocks(
    finish: Finish,
    size: f32,
    dots: &mut [f32],
    sizes: &[f32],
    best: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has AVX2, as just asked; the function has no other precondition.
        unsafe { finish_avx2(finish, size, dots, sizes, best) };
        return;
    }
    finish_plain(finish, size, dots, sizes, best);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn finish_avx2(finish: Finish, size: f32, dots: &mut [f32], sizes: &[f32], best: &mut [f32]) {
    finish_plain(finish, size, dots, sizes, best);
}

#[inline(always)]
fn finish_plain(finish: Finish, size: f32, dots: &mut [f32], sizes: &[f32], best: &mut [f32]) {
    // One loop for each formula, so that each becomes straight vector code.
    match finish {
        Finish::Plain | Finish::Counted(_) => run(dots, sizes, best, |dot, _| dot),
        Finish::Unit => run(dots, sizes, best, |dot, other| dot * (size * other)),
        Finish::Norms(shrinkage) => run(dots, sizes, best, |dot, other| {
            dot / (size * other + shrinkage)
        }),
        Finish::Union(shrinkage) => run(dots, sizes, best, |dot, other| {
            dot / (size + other - dot + shrinkage)
        }),
    }
}

#[inline(always)]
fn run(dots: &mut [f32], sizes: &[f32], best: &mut [f32], similarity: impl Fn(f32, f32) -> f32) {
    // Two plain passes: in one, the compiler takes the blocks for the lanes and shuffles more than it computes.
    for (dot, &size) in dots.iter_mut().zip(sizes) {
        *dot = similarity(*dot, size);
    }
    for (block, best) in dots.as_chunks::<BLOCK>().0.iter().zip(best) {
        // Above 0, floats order as their bits do as integers, whose maximum may be taken in any order; there is no NaN.
        let most = block
            .iter()
            .fold(0, |most, dot| i32::max(most, dot.to_bits().cast_signed()));
        *best = f32::from_bits(most.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_best_version_equals_the_plain_one() {
        let length = 5 * BLOCK;
        let dots: Vec<f32> = (0..length)
            .map(|at| ((at * 37) % 101) as f32 / 7.0 - 2.0)
            .collect();
        let sizes: Vec<f32> = (0..length)
            .map(|at| ((at * 53) % 97) as f32 / 3.0)
            .collect();
        for finish in [
            Finish::Plain,
            Finish::Unit,
            Finish::Norms(2.5),
            Finish::Union(0.0),
        ] {
            let (mut fast, mut plain) = (dots.clone(), dots.clone());
            let (mut fast_best, mut plain_best) = (vec![0.0; 5], vec![0.0; 5]);
            finish_blocks(finish, 1.7, &mut fast, &sizes, &mut fast_best);
            finish_plain(finish, 1.7, &mut plain, &sizes, &mut plain_best);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&fast), bits(&plain), "{finish:?}");
            assert_eq!(fast_best, plain_best, "{finish:?}");
            for (block, best) in fast.chunks(BLOCK).zip(&fast_best) {
                assert_eq!(*best, block.iter().copied().fold(0.0, f32::max));
            }
        }
    }
}
