//! The filter of one request.

use crate::catalogue::{Catalogue, GroupColumn};
use crate::types::ItemSet;

/// The groups that a request asks for.
#[derive(Clone, Debug)]
pub struct RequestedGroups {
    /// Those that exist, ascending, each once.
    groups: Vec<u32>,
    is_requested: Vec<bool>,
}

impl RequestedGroups {
    /// Resolves names; `None` when the request names none, which means any.
    pub fn new(column: &GroupColumn, names: &[&str]) -> Option<Self> {
        if names.is_empty() {
            return None;
        }
        let mut groups: Vec<u32> = names.iter().filter_map(|name| column.find(name)).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut is_requested = vec![false; column.len()];
        for &group in &groups {
            is_requested[group as usize] = true;
        }
        Some(Self {
            groups,
            is_requested,
        })
    }

    fn has(&self, group: Option<u32>) -> bool {
        group.and_then(|group| self.is_requested.get(group as usize)) == Some(&true)
    }
}

/// Says of any item whether this request may answer it.
pub struct ItemFilter<'a> {
    /// The items as they are now.
    pub catalogue: &'a Catalogue,
    /// Cart, excluded and seen items.
    pub blocked: &'a ItemSet,
    /// Categories asked for; `None` is any.
    pub categories: Option<RequestedGroups>,
    /// Kinds asked for; `None` is any.
    pub kinds: Option<RequestedGroups>,
    /// Also items that cannot be had.
    pub include_unavailable: bool,
}

impl ItemFilter<'_> {
    /// Whether an item may be answered.
    #[inline]
    pub fn passes(&self, item: u32) -> bool {
        let ItemFilter {
            catalogue,
            blocked,
            categories,
            kinds,
            include_unavailable,
        } = self;
        !blocked.contains(item)
            && (*include_unavailable || catalogue.is_available(item))
            && categories
                .as_ref()
                .is_none_or(|wanted| wanted.has(catalogue.groups().categories.of(item)))
            && kinds
                .as_ref()
                .is_none_or(|wanted| wanted.has(catalogue.groups().kinds.of(item)))
    }

    /// Calls `visit` with every item that passes, in no particular order.
    pub fn visit_all(&self, visit: impl FnMut(u32)) {
        let passes = |&item: &u32| self.passes(item);
        match &self.categories {
            None => (0..self.catalogue.len() as u32)
                .filter(passes)
                .for_each(visit),
            Some(wanted) => {
                // A narrow category is looked up, not searched for.
                let members = |&group: &u32| self.catalogue.groups().categories.members(group);
                let items = wanted.groups.iter().flat_map(members).copied();
                items.filter(passes).for_each(visit);
            }
        }
    }
}
