//! A score for each item, cheap to clear.

use super::TopItems;

/// Dense scores and the list of items that have one. A score is never negative.
#[derive(Debug, Default)]
pub struct ScoreBoard {
    scores: Vec<f32>,
    /// The first `touched_count` are items whose score is above 0, each once.
    touched: Vec<u32>,
    touched_count: usize,
}

impl ScoreBoard {
    /// Forgets all scores and fits to a catalogue of `item_count` items.
    pub fn reset(&mut self, item_count: usize) {
        if self.scores.len() == item_count {
            for &item in &self.touched[..self.touched_count] {
                self.scores[item as usize] = 0.0;
            }
        } else {
            self.scores.clear();
            self.scores.resize(item_count, 0.0);
        }
        self.touched_count = 0;
    }

    /// The score of an item; 0 for one that has none.
    pub fn score(&self, item: u32) -> f32 {
        self.scores.get(item as usize).copied().unwrap_or(0.0)
    }

    /// Items whose score is above 0, each once, in the order of their first addition.
    pub fn touched(&self) -> &[u32] {
        &self.touched[..self.touched_count]
    }

    /// Adds `weight · value` to each item.
    pub fn add_weighted(&mut self, items: &[u32], values: &[f32], weight: f32) {
        self.add(
            items
                .iter()
                .zip(values)
                .map(|(&item, &value)| (item, weight * value)),
            items.len(),
        );
    }

    /// Adds the same to each item.
    pub fn add_same(&mut self, items: &[u32], value: f32) {
        self.add(items.iter().map(|&item| (item, value)), items.len());
    }

    fn add(&mut self, additions: impl Iterator<Item = (u32, f32)>, count: usize) {
        let needed = self.touched_count + count;
        if self.touched.len() < needed {
            self.touched.resize(needed.next_power_of_two(), 0);
        }
        // The item is always written and counted only when new: a branch would be mispredicted half of
        // the time. An addition of 0 (underflow) must not count, else the item could be listed twice.
        let free = &mut self.touched[self.touched_count..needed];
        let mut new = 0;
        for (item, addition) in additions {
            let Some(score) = self.scores.get_mut(item as usize) else {
                continue;
            };
            if let Some(place) = free.get_mut(new) {
                *place = item;
            }
            new += usize::from(*score == 0.0 && addition > 0.0);
            *score += addition;
        }
        self.touched_count += new;
    }

    /// Offers all items that have a score and pass.
    pub fn offer_to(&self, top: &mut TopItems, passes: impl Fn(u32) -> bool) {
        for &item in self.touched() {
            top.offer(self.scores[item as usize], item, &passes);
        }
    }
}
