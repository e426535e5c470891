//! Candidates.
