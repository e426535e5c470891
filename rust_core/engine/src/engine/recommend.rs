//! One decision: the stages, in order.

use std::sync::Arc;

use super::evaluation::ScoredCandidate;
use super::plan::Plan;
use super::prepared::Prepared;
use super::scratch::Scratch;
use super::sources::Sources;
use super::visitor::meet;
use crate::decision::{RecommendRequest, Recommendation, ShortfallReason};
use crate::eligibility::{ItemFilter, RequestedGroups};
use crate::ranking::{self, CategoryCounts, RankedItem};
use crate::snapshot::Snapshot;
use crate::types::{ItemIdx, ItemSet, RankKey, Source, TimeUs};

/// Decides; every buffer of `scratch` is reset first.
pub(super) fn recommend(
    prepared: &Prepared,
    plan: &Plan,
    request: &RecommendRequest,
    now: TimeUs,
    scratch: &mut Scratch,
) -> Recommendation {
    let snapshot = &*prepared.snapshot;
    let item_count = snapshot.items.len();
    let visitor = meet(prepared, plan, request, now, scratch);
    let is_personal = !scratch.tastes.is_empty();
    let weights = plan.weights(&snapshot.blend, is_personal);
    let filter = filter_of(prepared, request, &scratch.blocked);
    let passes = |item| filter.passes(item);
    let keep = plan.candidates_max();
    // A category's items are looked up rather than searched for among everything that has a score.
    scratch.passing.clear();
    let within = if request.categories.is_empty() {
        None
    } else {
        filter.visit_all(item_count, |item| scratch.passing.push(item));
        Some(scratch.passing.as_slice())
    };
    let mut sources = Sources {
        prepared,
        visitor,
        now,
        tastes: &scratch.tastes,
        boards: &mut scratch.boards,
    };
    scratch.candidates.reset(item_count);
    let scales = sources.gather(
        weights,
        keep,
        &mut scratch.top,
        &mut scratch.candidates,
        within,
        passes,
    );

    let score_of = |item| RankKey::new(scales.score(|source| sources.score(source, item)), item);
    scratch.keys.clear();
    scratch.keys.extend(
        scratch
            .candidates
            .members()
            .iter()
            .map(|&item| score_of(item)),
    );
    let mut is_capped = pick_page(
        prepared,
        plan,
        &mut scratch.keys,
        &mut scratch.page,
        &mut scratch.category_counts,
    );
    if scratch.page.len() < plan.page_size && !plan.is_evaluation() {
        // The best of each source did not fill the page: now every item that passes is a candidate. Rare, or
        // cheap: a narrow category is what leads here, and its few items are looked up.
        scratch.keys.clear();
        filter.visit_all(item_count, |item| scratch.keys.push(score_of(item)));
        is_capped = pick_page(
            prepared,
            plan,
            &mut scratch.keys,
            &mut scratch.page,
            &mut scratch.category_counts,
        );
    }

    // The guarantee: whatever happened above, nothing forbidden leaves.
    let allowed = scratch.page.iter().filter(|key| filter.passes(key.item()));
    let ranked = |key: &RankKey| RankedItem {
        item: ItemIdx(key.item()),
        score: key.score(),
        reasons: Vec::new(),
    };
    let mut items: Vec<RankedItem> = allowed.map(ranked).collect();
    if plan.include_reasons {
        ranking::explain(
            &mut items,
            &scales,
            &sources,
            &mut scratch.slots,
            item_count,
        );
    }

    Recommendation {
        snapshot: Arc::clone(&prepared.snapshot),
        decided_at: now,
        shortfall: shortfall_of(items.len(), plan.page_size, is_capped),
        degraded: visitor.degraded_reason(is_personal),
        items,
        page_size: plan.page_size,
    }
}

/// Puts the best keys on an empty page; says whether the cap kept one away.
fn pick_page(
    prepared: &Prepared,
    plan: &Plan,
    keys: &mut [RankKey],
    page: &mut Vec<RankKey>,
    counts: &mut CategoryCounts,
) -> bool {
    page.clear();
    counts.reset(prepared.groups.categories.len(), plan.category_cap);
    ranking::pick_page(keys, page, plan.page_size, counts, |item| {
        prepared.category_of(item)
    })
}

/// Every source's normalised scores for the union of their best, by item.
pub(super) fn source_scores(
    prepared: &Prepared,
    plan: &Plan,
    request: &RecommendRequest,
    now: TimeUs,
    scratch: &mut Scratch,
) -> Vec<ScoredCandidate> {
    let visitor = meet(prepared, plan, request, now, scratch);
    let weights = plan.equal_weights(!scratch.tastes.is_empty());
    let filter = filter_of(prepared, request, &scratch.blocked);
    let keep = plan.candidates_max();
    let mut sources = Sources {
        prepared,
        visitor,
        now,
        tastes: &scratch.tastes,
        boards: &mut scratch.boards,
    };
    scratch.candidates.reset(prepared.snapshot.items.len());
    let passes = |item| filter.passes(item);
    let scales = sources.gather(
        weights,
        keep,
        &mut scratch.top,
        &mut scratch.candidates,
        None,
        passes,
    );
    let mut items = scratch.candidates.members().to_vec();
    items.sort_unstable();
    let scored = |item: u32| ScoredCandidate {
        item: ItemIdx(item),
        scores: Source::ALL.map(|source| scales.normalised(source, sources.score(source, item))),
    };
    items.into_iter().map(scored).collect()
}

fn filter_of<'a>(
    prepared: &'a Prepared,
    request: &RecommendRequest,
    blocked: &'a ItemSet,
) -> ItemFilter<'a, Snapshot> {
    ItemFilter {
        catalogue: &prepared.snapshot,
        groups: &prepared.groups,
        blocked,
        categories: RequestedGroups::new(&prepared.groups.categories, &request.categories),
        kinds: RequestedGroups::new(&prepared.groups.kinds, &request.kinds),
        include_unavailable: request.include_unavailable,
    }
}

fn shortfall_of(found: usize, page_size: usize, is_capped: bool) -> Option<ShortfallReason> {
    if found >= page_size {
        None
    } else if found == 0 {
        Some(ShortfallReason::NothingEligible)
    } else if is_capped {
        Some(ShortfallReason::CategoryCap)
    } else {
        Some(ShortfallReason::FewerEligible)
    }
}
