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
use crate::snapshot::{Neighbours, Popular};
use crate::types::{ItemIdx, Source, Taste, TimeUs};

/// History items that are named one by one.
const NAMED_ITEMS_MAX: usize = 3;

/// What the scores of a page were made from.
pub struct Evidence<'a, S, R> {
    /// The blend.
    pub scales: &'a Scales,
    /// H.
    pub tastes: &'a [Taste],
    /// Neighbours of H's items.
    pub item_neighbours: &'a Neighbours,
    /// For each similar user the items that were used.
    pub similar_users: &'a [&'a [u32]],
    /// Each source's score of an item, not normalised.
    pub scores_of: S,
    /// How often and when last the user chose an item.
    pub repeat_of: R,
}

/// Slot on the page by item; 0 is none, so that a page has at most 255 items.
#[derive(Debug, Default)]
pub struct ItemSlots {
    slots: Vec<u8>,
}

/// Fills in the reasons of every item of a page.
pub fn explain<S, R>(
    page: &mut [RankedItem],
    evidence: &Evidence<S, R>,
    slots: &mut ItemSlots,
    item_count: usize,
) where
    S: Fn(u32) -> [f32; Source::ALL.len()],
    R: Fn(u32) -> Option<(u32, TimeUs)>,
{
    slots.slots.resize(item_count, 0);
    for (slot, item) in (1..=u8::MAX).zip(page.iter()) {
        slots.slots[item.item.at()] = slot;
    }
    let mut parts_of = similar_items(page.len(), evidence, slots);
    let user_counts = similar_users(page.len(), evidence, slots);
    for item in page.iter() {
        slots.slots[item.item.at()] = 0;
    }
    for (at, item) in page.iter_mut().enumerate() {
        item.reasons = named_and_other(&mut parts_of[at]);
        add_sources(item, user_counts[at], evidence);
        item.reasons.retain(|reason| reason.contribution > 0.0);
        item.reasons
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    }
}

/// For each item of the page its similar items, in the order of H.
fn similar_items<S, R>(
    page_size: usize,
    evidence: &Evidence<S, R>,
    slots: &ItemSlots,
) -> Vec<Vec<Reason>> {
    let mut parts_of = vec![Vec::new(); page_size];
    if evidence.scales.weights[Source::ItemKnn as usize] == 0.0 {
        return parts_of;
    }
    for taste in evidence.tastes {
        let (neighbours, similarities) = evidence.item_neighbours.of(taste.item as usize);
        for (&neighbour, &similarity) in neighbours.iter().zip(similarities) {
            let slot = slots.slots[neighbour as usize];
            if slot == 0 {
                continue;
            }
            let score = taste.weight * similarity;
            let contribution = evidence.scales.contribution(Source::ItemKnn, score);
            if contribution > 0.0 {
                let basis = Basis::BecauseOfItem {
                    item: ItemIdx(taste.item),
                    similarity,
                    is_in_cart: taste.is_in_cart,
                };
                parts_of[usize::from(slot) - 1].push(Reason {
                    contribution,
                    basis,
                });
            }
        }
    }
    parts_of
}

/// For each item of the page how many similar users chose it.
fn similar_users<S, R>(page_size: usize, evidence: &Evidence<S, R>, slots: &ItemSlots) -> Vec<u32> {
    let mut counts = vec![0; page_size];
    for item in evidence.similar_users.iter().copied().flatten() {
        let slot = slots.slots[*item as usize];
        if slot != 0 {
            counts[usize::from(slot) - 1] += 1;
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

fn add_sources<S, R>(item: &mut RankedItem, user_count: u32, evidence: &Evidence<S, R>)
where
    S: Fn(u32) -> [f32; Source::ALL.len()],
    R: Fn(u32) -> Option<(u32, TimeUs)>,
{
    let scores = (evidence.scores_of)(item.item.0);
    let mut add = |source: Source, basis: Basis| {
        let contribution = evidence
            .scales
            .contribution(source, scores[source as usize]);
        item.reasons.push(Reason {
            contribution,
            basis,
        });
    };
    add(Source::UserKnn, Basis::SimilarUsers { user_count });
    if let Some((event_count, last_event_at)) = (evidence.repeat_of)(item.item.0) {
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
