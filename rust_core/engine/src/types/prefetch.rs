//! Asks the processor to fetch memory that will be read soon.
//!
//! Neighbour lists lie all over tens of megabytes, and the processor cannot guess where the next one is. The standard
//! library has no stable safe prefetch (rust-lang/rust#146941), hence the one `unsafe` here: docs/decisions/0004.

/// Bytes of one cache line.
const LINE: usize = 64;
/// Lines fetched of one slice; the hardware follows a stream that long by itself.
const LINES_MAX: usize = 8;

/// Begins to fetch the start of `values`. Changes nothing but the time that a later read takes.
#[inline(always)]
pub(crate) fn prefetch<T>(values: &[T]) {
    let per_line = (LINE / size_of::<T>().max(1)).max(1);
    for value in values.iter().step_by(per_line).take(LINES_MAX) {
        fetch(value);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch<T>(value: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the address is that of a reference, and a prefetch is a hint that cannot fault.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn fetch<T>(_value: &T) {}
