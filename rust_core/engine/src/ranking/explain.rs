//! What each score is made of.
//!
//! The parts of an item's score are: each history or cart item that it is similar to (the largest three by
//! name, the others summed up), similar users, the user's own choice, and popularity in each window. They
//! are the very numbers that the score was summed from, in another order of additions: so they add up to
//! it within rounding (1e-4 is promised).
//!
//! One pass over the neighbour lists serves all items of a page: a dense map says for an item its slot on the
//! page. |H|·K + N·L byte loads, about 10 us.

use super::{Basis, RankedItem, Reason, Scales};
use crate::snapshot::Popular;
use crate::types::{ItemIdx, Source, Taste, TimeUs};

/// History items that are named one by one.
const NAMED_ITEMS_MAX: usize = 3;

/// What the scores of a page were made from. Lists name items by *keys*, the caller's own numbering from 0.
pub trait Evidence {
    /// The key of an item.
    fn key_of(&self, item: ItemIdx) -> u32;
    /// H.
    fn tastes(&self) -> &[Taste];
    /// Keys and similarities of an item's neighbours.
    fn neighbours_of(&self, item: ItemIdx) -> (&[u32], &[f32]);
    /// For each similar user the keys of the items that were used.
    fn items_of_similar_users(&self) -> impl Iterator<Item = &[u32]>;
    /// A source's score of an item, not normalised.
    fn score_of(&self, source: Source, item: ItemIdx) -> f32;
    /// How often and when last the user chose an item.
    fn choice_of(&self, item: ItemIdx) -> Option<(u32, TimeUs)>;
}

/// Slot on the page by key; 0 is none, so that a page has at most 255 items.
#[derive(Debug, Default)]
pub struct ItemSlots {
    slots: Vec<u8>,
}

impl ItemSlots {
    fn of(&self, key: u32) -> Option<usize> {
        let slot = self.slots.get(key as usize).copied().unwrap_or(0);
        usize::from(slot).checked_sub(1)
    }

    fn set(&mut self, key: u32, slot: u8) {
        if let Some(place) = self.slots.get_mut(key as usize) {
            *place = slot;
        }
    }
}

/// Fills in the reasons of every item of a page; keys are below `key_count`.
pub fn explain(
    page: &mut [RankedItem],
    scales: &Scales,
    evidence: &impl Evidence,
    slots: &mut ItemSlots,
    key_count: usize,
) {
    slots.slots.resize(key_count, 0);
    for (slot, ranked) in (1..=u8::MAX).zip(page.iter()) {
        slots.set(evidence.key_of(ranked.item), slot);
    }
    let mut parts_of = similar_items(page.len(), scales, evidence, slots);
    let user_counts = similar_users(page.len(), scales, evidence, slots);
    for ranked in page.iter() {
        slots.set(evidence.key_of(ranked.item), 0);
    }
    for (at, ranked) in page.iter_mut().enumerate() {
        ranked.reasons = named_and_other(&mut parts_of[at]);
        add_sources(ranked, user_counts[at], scales, evidence);
        ranked.reasons.retain(|reason| reason.contribution > 0.0);
        ranked
            .reasons
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    }
}

/// For each item of the page its similar items, in the order of H.
fn similar_items(
    page_size: usize,
    scales: &Scales,
    evidence: &impl Evidence,
    slots: &ItemSlots,
) -> Vec<Vec<Reason>> {
    let mut parts_of = vec![Vec::new(); page_size];
    if scales.weights[Source::ItemKnn as usize] == 0.0 {
        return parts_of;
    }
    for taste in evidence.tastes() {
        let item = ItemIdx(taste.item);
        let (keys, similarities) = evidence.neighbours_of(item);
        for (&key, &similarity) in keys.iter().zip(similarities) {
            let Some(slot) = slots.of(key) else {
                continue;
            };
            let contribution = scales.contribution(Source::ItemKnn, taste.weight * similarity);
            if contribution > 0.0 {
                let is_in_cart = taste.is_in_cart;
                let basis = Basis::BecauseOfItem {
                    item,
                    similarity,
                    is_in_cart,
                };
                parts_of[slot].push(Reason {
                    contribution,
                    basis,
                });
            }
        }
    }
    parts_of
}

/// For each item of the page how many similar users chose it.
fn similar_users(
    page_size: usize,
    scales: &Scales,
    evidence: &impl Evidence,
    slots: &ItemSlots,
) -> Vec<u32> {
    let mut counts = vec![0; page_size];
    if scales.weights[Source::UserKnn as usize] > 0.0 {
        for &key in evidence.items_of_similar_users().flatten() {
            if let Some(slot) = slots.of(key) {
                counts[slot] += 1;
            }
        }
    }
    counts
}

/// The largest parts by name, earlier ones of H first among equals, and the sum of the others.
fn named_and_other(parts: &mut [Reason]) -> Vec<Reason> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|&a, &b| parts[b].contribution.total_cmp(&parts[a].contribution));
    let (named, others) = order.split_at_mut(NAMED_ITEMS_MAX.min(parts.len()));
    let mut reasons: Vec<Reason> = named.iter().map(|&at| parts[at]).collect();
    others.sort_unstable();
    if !others.is_empty() {
        let contribution = others
            .iter()
            .fold(0.0, |sum, &at| sum + parts[at].contribution);
        let basis = Basis::OtherHistory {
            item_count: others.len() as u32,
        };
        reasons.push(Reason {
            contribution,
            basis,
        });
    }
    reasons
}

fn add_sources(
    ranked: &mut RankedItem,
    user_count: u32,
    scales: &Scales,
    evidence: &impl Evidence,
) {
    let mut add = |source: Source, basis: Basis| {
        let contribution = scales.contribution(source, evidence.score_of(source, ranked.item));
        ranked.reasons.push(Reason {
            contribution,
            basis,
        });
    };
    add(Source::UserKnn, Basis::SimilarUsers { user_count });
    if let Some((event_count, last_event_at)) = evidence.choice_of(ranked.item) {
        add(
            Source::Repeat,
            Basis::ChosenBefore {
                event_count,
                last_event_at,
            },
        );
    }
    let windows = [Source::Popular1d, Source::Popular7d, Source::Popular30d];
    for (source, window_days) in windows.into_iter().zip(Popular::WINDOWS_DAYS) {
        add(source, Basis::PopularItem { window_days });
    }
}
