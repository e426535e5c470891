//! A score for each item, cheap to add to and cheap to clear.
//!
//! Scores are kept by *heat* (`HotOrder`): the items that additions hit most often lie side by side, so that
//! most additions stay in the first-level cache. They lie in blocks of one cache line; an addition marks
//! its block, without a branch and without depending on the addition before it. Clearing and picking the
//! best skip what is not marked, eight blocks at a time, and look at 16 scores at once.
//!
//! Measured first and dropped: a list of touched items (each addition had to know whether it was its item's
//! first), and scores by item id (three quarters of the additions left the first-level cache).

use super::top_items::Sieve;
use super::{HotOrder, TopItems};

/// Items of one block: 64 bytes of scores.
const BLOCK: usize = 16;
/// Blocks that are skipped at once.
const GROUP: usize = 8;

/// The lowest score that counts: the smallest above 0.
const SCORE_MIN: f32 = f32::from_bits(1);
/// Every so many groups one is looked at for a guess.
const SAMPLE_STEP: usize = 8;
/// The guess aims at so many times what is kept: room for items that do not pass, and for chance.
const GUESS_SHARE: (usize, usize) = (8, 5);

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

    /// Offers all items that have a score and pass; on return `top` has the best of them.
    ///
    /// A good guess of the lowest score that will be kept comes first: without it, everything that is
    /// better than the best so far is picked up, four times what is kept. When too few items passed for the
    /// guess to be right, all are offered again.
    pub fn offer_to(&self, top: &mut TopItems, order: &HotOrder, passes: impl Fn(u32) -> bool) {
        let guess = self.guess_lowest(top.keep());
        self.offer_from(guess, top, order, &passes);
        if guess > SCORE_MIN && top.len() < top.keep() {
            top.reset(top.keep());
            self.offer_from(SCORE_MIN, top, order, &passes);
        }
    }

    /// In three passes, none of which branches on a score: blocks that hold a good score, the good scores in
    /// them, and only then the filter. A branch taken for one score in ten costs more than a pass.
    fn offer_from(
        &self,
        floor: f32,
        top: &mut TopItems,
        order: &HotOrder,
        passes: impl Fn(u32) -> bool,
    ) {
        let Sieve {
            mut good_blocks,
            mut good_scores,
        } = top.take_sieve();
        let mut count = 0;
        at_least(&mut good_blocks, self.blocks.len());
        for (group, blocks) in self.marked_groups(1) {
            for (block, scores) in (group * GROUP..).zip(blocks) {
                good_blocks[count] = block as u32;
                count += usize::from(has_any(scores, floor));
            }
        }
        let good_blocks_found = &good_blocks[..count];
        count = 0;
        at_least(&mut good_scores, good_blocks_found.len() * BLOCK);
        for &block in good_blocks_found {
            for (offset, &score) in self.blocks[block as usize].iter().enumerate() {
                good_scores[count] = (block * BLOCK as u32 + offset as u32, score);
                count += usize::from(score >= floor);
            }
        }
        for &(heat, score) in &good_scores[..count] {
            top.offer(score, order.item_of(heat), &passes);
        }
        top.return_sieve(Sieve {
            good_blocks,
            good_scores,
        });
    }

    /// A score that about `GUESS_SHARE` times `keep` items have, from every eighth group: the largest of each
    /// eight scores there, and of these the one at the right rank.
    fn guess_lowest(&self, keep: usize) -> f32 {
        let mut largest_of_eight = Vec::with_capacity(BLOCK * (self.marks.len() / SAMPLE_STEP + 1));
        for (_, blocks) in self.marked_groups(SAMPLE_STEP) {
            let mut largest = [0.0_f32; BLOCK];
            for block in blocks {
                for (largest, &score) in largest.iter_mut().zip(block) {
                    *largest = if score > *largest { score } else { *largest };
                }
            }
            largest_of_eight.extend(largest);
        }
        let rank = keep * GUESS_SHARE.0 / GUESS_SHARE.1 / SAMPLE_STEP;
        if rank >= largest_of_eight.len() {
            return SCORE_MIN;
        }
        let (_, guess, _) = largest_of_eight.select_nth_unstable_by(rank, |a, b| b.total_cmp(a));
        guess.max(SCORE_MIN)
    }

    /// Every `step`-th group, if it is marked.
    fn marked_groups(&self, step: usize) -> impl Iterator<Item = (usize, &[[f32; BLOCK]])> {
        let groups = self
            .blocks
            .chunks(GROUP)
            .zip(&self.marks)
            .enumerate()
            .step_by(step);
        groups
            .filter(|(_, (_, marks))| is_marked(marks))
            .map(|(group, (blocks, _))| (group, blocks))
    }
}

fn is_marked(marks: &[u8; GROUP]) -> bool {
    u64::from_ne_bytes(*marks) != 0
}

/// Whether a block has a score of at least `score_min`. Most have none. Scores are not negative, so their
/// bits order as they do; subtracting bits and collecting the signs becomes a few vector instructions.
#[inline]
fn has_any(block: &[f32; BLOCK], score_min: f32) -> bool {
    let below = score_min.to_bits() as i32 - 1;
    let signs = block.iter().fold(0, |signs, score| {
        signs | below.wrapping_sub(score.to_bits() as i32)
    });
    signs < 0
}

/// Makes a buffer long enough; what it held is of no interest.
fn at_least<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) {
    // One more: the entry after the last good one is always written.
    if buffer.len() <= length {
        buffer.resize(length + 1, T::default());
    }
}
