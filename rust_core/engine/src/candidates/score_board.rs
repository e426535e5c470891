//! A score for each item, cheap to add to and cheap to clear.
//!
//! Scores are kept by *heat* (`HotOrder`): the items that additions hit most often lie side by side, so that
//! most additions stay in the first-level cache. They lie in blocks of one cache line; an addition marks
//! its block, without a branch and without depending on the addition before it. Clearing and picking the
//! best skip what is not marked, eight blocks at a time, and look at 16 scores at once.
//!
//! Measured first and dropped: a list of touched items (each addition had to know whether it was its item's
//! first), and scores by item id (three quarters of the additions left the first-level cache).

use super::{HotOrder, TopItems};

/// Items of one block: 64 bytes of scores.
const BLOCK: usize = 16;
/// Blocks that are skipped at once.
const GROUP: usize = 8;

/// Dense scores by heat; never negative.
#[derive(Debug, Default)]
pub struct ScoreBoard {
    /// A multiple of `GROUP`.
    blocks: Vec<[f32; BLOCK]>,
    /// For each group 1 for each block that may hold a score above 0.
    marks: Vec<[u8; GROUP]>,
}

impl ScoreBoard {
    /// Forgets all scores and fits to a catalogue of `item_count` items.
    pub fn reset(&mut self, item_count: usize) {
        for (blocks, marks) in self.blocks.chunks_mut(GROUP).zip(&mut self.marks) {
            if is_marked(marks) {
                blocks.fill([0.0; BLOCK]);
                *marks = [0; GROUP];
            }
        }
        let group_count = item_count.div_ceil(GROUP * BLOCK);
        self.blocks.resize(group_count * GROUP, [0.0; BLOCK]);
        self.marks.resize(group_count, [0; GROUP]);
    }

    /// The score of an item by its heat; 0 for one that has none.
    #[inline]
    pub fn score(&self, heat: u32) -> f32 {
        let heat = heat as usize;
        self.blocks
            .get(heat / BLOCK)
            .map_or(0.0, |block| block[heat % BLOCK])
    }

    /// Adds `weight · value` to each item, named by its heat.
    pub fn add_weighted(&mut self, heats: &[u32], values: &[f32], weight: f32) {
        for (&heat, &value) in heats.iter().zip(values) {
            self.add(heat, weight * value);
        }
    }

    /// Adds the same to each item, named by its heat.
    pub fn add_same(&mut self, heats: &[u32], value: f32) {
        for &heat in heats {
            self.add(heat, value);
        }
    }

    /// Adds to one item, named by its heat.
    #[inline]
    pub fn add(&mut self, heat: u32, addition: f32) {
        let at = heat as usize / BLOCK;
        if let (Some(block), Some(marks)) =
            (self.blocks.get_mut(at), self.marks.get_mut(at / GROUP))
        {
            block[heat as usize % BLOCK] += addition;
            marks[at % GROUP] = 1;
        }
    }

    /// Offers all items that have a score and pass.
    pub fn offer_to(&self, top: &mut TopItems, order: &HotOrder, passes: impl Fn(u32) -> bool) {
        for (group, marks) in self.marks.iter().enumerate() {
            if !is_marked(marks) {
                continue;
            }
            for at in group * GROUP..(group + 1) * GROUP {
                let score_min = top.score_min();
                let mut good = good_scores(&self.blocks[at], score_min);
                while good != 0 {
                    let offset = good.trailing_zeros() as usize;
                    good &= good - 1;
                    let item = order.item_of((at * BLOCK + offset) as u32);
                    top.offer(self.blocks[at][offset], item, &passes);
                }
            }
        }
    }
}

fn is_marked(marks: &[u8; GROUP]) -> bool {
    u64::from_ne_bytes(*marks) != 0
}

/// A bit for each score of at least `score_min`. Most blocks have none; written without a branch, it becomes
/// a few vector instructions.
#[inline]
fn good_scores(block: &[f32; BLOCK], score_min: f32) -> u16 {
    let bit =
        |bits, (offset, &score): (usize, &f32)| bits | u16::from(score >= score_min) << offset;
    block.iter().enumerate().fold(0, bit)
}
