//! The best items, no category more often than the cap allows.

use crate::types::RankKey;

/// How often each category is on the page.
#[derive(Debug, Default)]
pub struct CategoryCounts {
    counts: Vec<usize>,
    used: Vec<u32>,
    cap: usize,
}

impl CategoryCounts {
    /// Empties the page and fits to so many categories; a cap of 0 is no limit.
    pub fn reset(&mut self, category_count: usize, cap: usize) {
        for &category in &self.used {
            if let Some(count) = self.counts.get_mut(category as usize) {
                *count = 0;
            }
        }
        self.used.clear();
        self.counts.resize(category_count, 0);
        self.cap = cap;
    }

    /// Counts an item of a category in, if the cap allows. `None` (no category) is never limited.
    pub fn admit(&mut self, category: Option<u32>) -> bool {
        let Some(category) = category.filter(|_| self.cap > 0) else {
            return true;
        };
        let Some(count) = self.counts.get_mut(category as usize) else {
            return true;
        };
        if *count >= self.cap {
            return false;
        }
        *count += 1;
        self.used.push(category);
        true
    }
}

/// Puts the best admitted items on `page` until it has `page_size`; reorders `keys`. Says whether the cap
/// kept an item away that would have been next.
pub fn pick_page(
    keys: &mut [RankKey],
    page: &mut Vec<RankKey>,
    page_size: usize,
    counts: &mut CategoryCounts,
    category_of: impl Fn(u32) -> Option<u32>,
) -> bool {
    // Only as much is sorted as the page is likely to need.
    let step = if counts.cap == 0 {
        page_size
    } else {
        4 * page_size
    }
    .max(1);
    let mut is_capped = false;
    let mut rest = keys;
    while page.len() < page_size && !rest.is_empty() {
        let length = step.min(rest.len());
        if length < rest.len() {
            rest.select_nth_unstable_by(length - 1, |a, b| b.cmp(a));
        }
        let (next, later) = rest.split_at_mut(length);
        next.sort_unstable_by(|a, b| b.cmp(a));
        for &key in next.iter() {
            if page.len() == page_size {
                break;
            }
            if counts.admit(category_of(key.item())) {
                page.push(key);
            } else {
                is_capped = true;
            }
        }
        rest = later;
    }
    is_capped
}
