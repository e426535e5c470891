//! Eligibility.

mod seen;

pub use seen::SeenRule;
