//! Asks the memory for a list before it is needed.
//!
//! The lists of a history are spread over tens of megabytes, and the processor cannot guess where the next one
//! lies: measured, four fifths of the time of `add_similar_items` was waiting for the first bytes of lists.
//! Asked for a few lists ahead, they arrive while earlier ones are added.

/// How many lists ahead: one list takes longer to add (300 ns) than memory to answer; more changed nothing.
pub(super) const LISTS_AHEAD: usize = 2;

/// Asks for every cache line of a list. A hint: it changes nothing but time.
#[inline]
#[allow(unsafe_code)] // the standard library has no stable safe prefetch yet (rust-lang/rust#146941)
pub(super) fn prefetch<T>(list: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in list.chunks((64 / size_of::<T>()).max(1)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and cannot fault, whatever the address; this one is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = list;
}
