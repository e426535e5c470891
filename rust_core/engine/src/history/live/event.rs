//! What live state says about a user: events, and whether any are missing.

use std::num::NonZeroU32;

use crate::types::TimeUs;

/// An item as live state numbers it; never used again for another item, in this process.
///
/// The numbers of two processes differ, so that nothing that is answered or written may depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LiveItem(NonZeroU32);

impl LiveItem {
    pub(super) fn from_index(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(Self)
    }

    /// Its number, counted from 0 in the order in which items came: a place in a translation vector.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Something that a user did, 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveEvent {
    /// Where it stands in the event log.
    pub position: u64,
    /// When it happened.
    pub event_at: TimeUs,
    /// The item. Events without one are not kept today: nobody reads them.
    pub item: Option<LiveItem>,
    /// Index into `LiveState::event_names`.
    pub name: u8,
}

const _: () = assert!(size_of::<LiveEvent>() == 24);

/// Whether live state gave all events of a user since the position that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCompleteness {
    /// All of them.
    Complete,
    /// Events before this position may be missing: they were too many, or the user was forgotten for want of memory,
    /// or they lie below the floor.
    MissingBefore(u64),
}

impl UserCompleteness {
    /// What is missing before `before`, for somebody who asked from `since` on.
    pub(super) fn new(before: u64, since: u64) -> Self {
        if before > since {
            Self::MissingBefore(before)
        } else {
            Self::Complete
        }
    }

    /// Whether nothing is missing.
    pub fn is_complete(self) -> bool {
        self == Self::Complete
    }
}
