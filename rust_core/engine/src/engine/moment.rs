//! All that a decision rests on besides its request.

use super::published::View;
use crate::history::LiveState;
use crate::types::TimeUs;

/// All that a decision rests on besides its request.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) view: &'a View,
    pub(super) live: &'a LiveState,
    pub(super) now: TimeUs,
    /// Whether a decision is made again of which live state said that events of the user may be missing.
    pub(super) is_replay_incomplete: bool,
}
