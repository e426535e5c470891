//! A set of items, cheap to clear.

/// A flag for each item and the list of those set, so that clearing costs what was set.
#[derive(Debug, Default)]
pub struct ItemSet {
    flags: Vec<bool>,
    members: Vec<u32>,
}

impl ItemSet {
    /// Empties it and fits it to a catalogue of `item_count` items.
    pub fn reset(&mut self, item_count: usize) {
        for &item in &self.members {
            if let Some(flag) = self.flags.get_mut(item as usize) {
                *flag = false;
            }
        }
        self.members.clear();
        self.flags.resize(item_count, false);
    }

    /// Puts an item in; one out of range is ignored. Says whether it is new.
    pub fn insert(&mut self, item: u32) -> bool {
        match self.flags.get_mut(item as usize) {
            Some(flag) if !*flag => {
                *flag = true;
                self.members.push(item);
                true
            }
            _ => false,
        }
    }

    /// Whether an item is in.
    pub fn contains(&self, item: u32) -> bool {
        self.flags.get(item as usize).copied().unwrap_or(false)
    }

    /// The items that are in, in the order in which they came.
    pub fn members(&self) -> &[u32] {
        &self.members
    }
}
