//! Categories and kinds as numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::snapshot::Items;
use crate::types::{ItemIdx, Pages};

/// The number of the empty name in every column: items without a category.
pub const NO_CATEGORY: u32 = 0;

/// Category and kind of every item.
#[derive(Clone, Debug)]
pub struct ItemGroups {
    /// Categories; the empty one is a group like any other here.
    pub categories: GroupColumn,
    /// Kinds.
    pub kinds: GroupColumn,
}

/// One way to group items. Clones share what does not change.
#[derive(Clone, Debug)]
pub struct GroupColumn {
    snapshot: Arc<SnapshotGroups>,
    /// Names that no item of the snapshot has, with their numbers.
    new_names: Arc<BTreeMap<Arc<str>, u32>>,
    group_of_item: Pages<u32>,
    /// All items of the groups that are not as in the snapshot.
    changed_members: Arc<BTreeMap<u32, Arc<Vec<u32>>>>,
}

/// The groups of a snapshot.
#[derive(Debug)]
struct SnapshotGroups {
    /// Ascending, the empty name first.
    names: Vec<String>,
    ends: Vec<usize>,
    members: Vec<u32>,
}

impl ItemGroups {
    /// Groups the items of a snapshot.
    pub fn new(items: &Items) -> Self {
        Self {
            categories: GroupColumn::new(items.len(), |item| items.category(item)),
            kinds: GroupColumn::new(items.len(), |item| items.kind(item)),
        }
    }
}

impl GroupColumn {
    fn new<'a>(item_count: usize, name_of: impl Fn(ItemIdx) -> &'a str) -> Self {
        let mut members_of: BTreeMap<&str, Vec<u32>> = [("", Vec::new())].into();
        for item in 0..item_count as u32 {
            members_of
                .entry(name_of(ItemIdx(item)))
                .or_default()
                .push(item);
        }
        let mut group_of_item = vec![NO_CATEGORY; item_count];
        let mut snapshot = SnapshotGroups {
            names: Vec::with_capacity(members_of.len()),
            ends: Vec::with_capacity(members_of.len()),
            members: Vec::with_capacity(item_count),
        };
        for (group, (name, members)) in members_of.into_iter().enumerate() {
            for &item in &members {
                group_of_item[item as usize] = group as u32;
            }
            snapshot.names.push(name.to_owned());
            snapshot.members.extend(members);
            snapshot.ends.push(snapshot.members.len());
        }
        Self {
            snapshot: Arc::new(snapshot),
            new_names: Arc::default(),
            group_of_item: group_of_item.into_iter().collect(),
            changed_members: Arc::default(),
        }
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.snapshot.names.len() + self.new_names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The group of a name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let of_snapshot = self.snapshot.find(name);
        of_snapshot.or_else(|| self.new_names.get(name).copied())
    }

    /// The group of an item.
    #[inline]
    pub fn of(&self, item: u32) -> Option<u32> {
        self.group_of_item.get(item as usize).copied()
    }

    /// Items of a group, ascending.
    pub fn members(&self, group: u32) -> &[u32] {
        match self.changed_members.get(&group) {
            Some(members) => members,
            None => self.snapshot.members(group),
        }
    }

    /// Moves an item, which exists, to the group of a name.
    pub(super) fn set(&mut self, item: u32, name: &str) {
        let group = self.find_or_add(name);
        let Some(before) = self.of(item).filter(|&before| before != group) else {
            return;
        };
        let members = self.members_mut(before);
        if let Ok(at) = members.binary_search(&item) {
            members.remove(at);
        }
        let members = self.members_mut(group);
        if let Err(at) = members.binary_search(&item) {
            members.insert(at, item);
        }
        self.group_of_item.set(item as usize, group);
    }

    /// Appends items by the names of their groups.
    pub(super) fn extend<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let first = self.group_of_item.len() as u32;
        let groups: Vec<u32> = names.map(|name| self.find_or_add(name)).collect();
        for (item, &group) in (first..).zip(&groups) {
            self.members_mut(group).push(item);
        }
        self.group_of_item.extend(groups);
    }

    fn find_or_add(&mut self, name: &str) -> u32 {
        if let Some(group) = self.find(name) {
            return group;
        }
        let group = self.len() as u32;
        Arc::make_mut(&mut self.new_names).insert(name.into(), group);
        group
    }

    fn members_mut(&mut self, group: u32) -> &mut Vec<u32> {
        let snapshot = &self.snapshot;
        let members = Arc::make_mut(&mut self.changed_members)
            .entry(group)
            .or_insert_with(|| Arc::new(snapshot.members(group).to_vec()));
        Arc::make_mut(members)
    }
}

impl SnapshotGroups {
    fn find(&self, name: &str) -> Option<u32> {
        let found = self
            .names
            .binary_search_by(|known| known.as_str().cmp(name));
        found.ok().map(|group| group as u32)
    }

    fn members(&self, group: u32) -> &[u32] {
        let group = group as usize;
        let Some(&end) = self.ends.get(group) else {
            return &[];
        };
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        &self.members[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 6] = ["", "bread", "milk", "new", "newer", "wine"];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn a_column_is_its_list_of_names(
            names in prop::collection::vec(prop::sample::select(&[0, 1, 2, 5]), 0..40),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, any::<bool>()), 0..30),
        ) {
            let mut plain: Vec<&str> = names.iter().map(|&name| NAMES[name]).collect();
            let first = plain.clone();
            let mut column = GroupColumn::new(plain.len(), |item| first[item.at()]);
            let untouched = column.clone();
            for (item, name, is_new) in steps {
                if is_new || plain.is_empty() {
                    plain.push(NAMES[name]);
                    column.extend([NAMES[name]].into_iter());
                } else {
                    let item = item.index(plain.len());
                    plain[item] = NAMES[name];
                    column.set(item as u32, NAMES[name]);
                }
            }
            for (column, plain) in [(&column, &plain), (&untouched, &first)] {
                for name in NAMES {
                    let expected: Vec<u32> = (0..plain.len() as u32).filter(|&item| plain[item as usize] == name).collect();
                    let members = column.find(name).map_or(&[][..], |group| column.members(group));
                    prop_assert_eq!(members, expected);
                }
                for (item, name) in plain.iter().enumerate() {
                    prop_assert_eq!(column.of(item as u32), column.find(name));
                }
                prop_assert_eq!(column.of(plain.len() as u32), None);
                prop_assert_eq!(column.find(""), Some(NO_CATEGORY));
            }
        }
    }
}
