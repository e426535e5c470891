//! A column that is cheap to clone and to change in a few places.

use std::sync::Arc;

/// Values of one page.
const PAGE: usize = 512;

/// A column in pages that its clones share until one of them changes a value.
///
/// A clone costs one counter for each page, a change one copy of a page, reading two loads.
#[derive(Clone, Debug)]
pub struct Pages<T> {
    /// All of `PAGE` values but the last.
    pages: Vec<Arc<[T]>>,
    len: usize,
}

impl<T: Clone> Pages<T> {
    /// The same value so many times; all whole pages are one.
    pub fn filled(value: T, len: usize) -> Self {
        let whole: Arc<[T]> = vec![value; PAGE.min(len)].into();
        let mut pages = vec![Arc::clone(&whole); len / PAGE];
        if !len.is_multiple_of(PAGE) {
            pages.push(whole[..len % PAGE].into());
        }
        Self { pages, len }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value at a place, if there is such a place.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&T> {
        self.pages.get(at / PAGE)?.get(at % PAGE)
    }

    /// Changes the value at a place; a place that does not exist is ignored.
    pub fn set(&mut self, at: usize, value: T) {
        if let Some(page) = self.pages.get_mut(at / PAGE)
            && at < self.len
        {
            Arc::make_mut(page)[at % PAGE] = value;
        }
    }

    /// Appends values.
    pub fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        let mut values = values.into_iter();
        let mut open: Vec<T> = match self.pages.last() {
            Some(page) if page.len() < PAGE => page.to_vec(),
            _ => Vec::new(),
        };
        if !open.is_empty() {
            self.pages.pop();
        }
        loop {
            let before = open.len();
            open.extend(values.by_ref().take(PAGE - before));
            if open.is_empty() {
                return;
            }
            // The last page was counted before.
            self.len = self.pages.len() * PAGE + open.len();
            let is_last = open.len() < PAGE;
            self.pages.push(open.as_slice().into());
            if is_last {
                return;
            }
            open.clear();
        }
    }
}

impl<T: Clone> FromIterator<T> for Pages<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut pages = Self {
            pages: Vec::new(),
            len: 0,
        };
        pages.extend(values);
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(pages: &Pages<u32>) -> Vec<u32> {
        (0..pages.len()).map(|at| *pages.get(at).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

        #[test]
        fn is_a_vector_and_leaves_its_clones_alone(
            first in prop_oneof![Just(0), Just(PAGE), Just(2 * PAGE), 0..3 * PAGE],
            is_filled in any::<bool>(),
            changes in prop::collection::vec((0..4 * PAGE, any::<u32>()), 0..20),
            more in prop::collection::vec(any::<u32>(), 0..2 * PAGE),
        ) {
            let mut plain = if is_filled { vec![7; first] } else { (0..first as u32).collect() };
            let mut pages = if is_filled { Pages::filled(7, first) } else { plain.iter().copied().collect() };
            let (before, plain_before) = (pages.clone(), plain.clone());
            for &(at, value) in &changes {
                if let Some(place) = plain.get_mut(at) {
                    *place = value;
                }
                pages.set(at, value);
            }
            plain.extend(&more);
            pages.extend(more);
            prop_assert_eq!(values(&pages), plain);
            prop_assert_eq!(pages.get(pages.len()), None);
            prop_assert_eq!(values(&before), plain_before);
        }
    }
}
