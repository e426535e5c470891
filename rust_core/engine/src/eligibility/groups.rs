//! Categories and kinds as numbers.

use std::collections::BTreeMap;

use crate::snapshot::Items;
use crate::types::ItemIdx;

/// Category and kind of every item of a snapshot.
#[derive(Debug)]
pub struct ItemGroups {
    /// Categories; the empty one is a group like any other here.
    pub categories: GroupColumn,
    /// Kinds.
    pub kinds: GroupColumn,
}

/// One way to group items.
#[derive(Debug)]
pub struct GroupColumn {
    names: Vec<String>,
    group_of_item: Vec<u32>,
    ends: Vec<usize>,
    members: Vec<u32>,
}

impl ItemGroups {
    /// Groups a catalogue.
    pub fn new(items: &Items) -> Self {
        Self {
            categories: GroupColumn::new(items.len(), |item| items.category(item)),
            kinds: GroupColumn::new(items.len(), |item| items.kind(item)),
        }
    }
}

impl GroupColumn {
    fn new<'a>(item_count: usize, name_of: impl Fn(ItemIdx) -> &'a str) -> Self {
        let mut members_of: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for item in 0..item_count as u32 {
            members_of
                .entry(name_of(ItemIdx(item)))
                .or_default()
                .push(item);
        }
        let mut column = Self {
            names: Vec::with_capacity(members_of.len()),
            group_of_item: vec![0; item_count],
            ends: Vec::with_capacity(members_of.len()),
            members: Vec::with_capacity(item_count),
        };
        for (group, (name, members)) in members_of.into_iter().enumerate() {
            for &item in &members {
                column.group_of_item[item as usize] = group as u32;
            }
            column.names.push(name.to_owned());
            column.members.extend(members);
            column.ends.push(column.members.len());
        }
        column
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The group of a name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let found = self
            .names
            .binary_search_by(|known| known.as_str().cmp(name));
        found.ok().map(|group| group as u32)
    }

    /// The group of an item.
    pub fn of(&self, item: u32) -> Option<u32> {
        self.group_of_item.get(item as usize).copied()
    }

    /// Items of a group, ascending.
    pub fn members(&self, group: u32) -> &[u32] {
        let group = group as usize;
        let Some(&end) = self.ends.get(group) else {
            return &[];
        };
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        &self.members[start..end]
    }
}
