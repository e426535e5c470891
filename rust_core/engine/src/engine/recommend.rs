//! One decision: the stages, in order.

use std::sync::Arc;

use super::evaluation::ScoredCandidate;
use super::moment::Moment;
use super::plan::Plan;
use super::scratch::Scratch;
use super::sources::Sources;
use super::trace::{trace, traced_candidates};
use super::visitor::meet;
use crate::catalogue::Catalogue;
use crate::decision::{DecisionTrace, RecommendRequest, Recommendation, ShortfallReason};
use crate::eligibility::{ItemFilter, RequestedGroups};
use crate::ranking::{self, CategoryCounts, RankedItem};
use crate::types::{ItemIdx, ItemSet, RankKey};

/// Decides; every buffer of `scratch` is reset first. What the decision was made from is put into `traced`, if given.
pub(super) fn recommend(
    moment: Moment<'_>,
    plan: &Plan,
    request: &RecommendRequest,
    scratch: &mut Scratch,
    traced: Option<&mut DecisionTrace>,
) -> Recommendation {
    let catalogue = &*moment.view.catalogue;
    let snapshot = &moment.view.prepared.snapshot;
    let visitor = meet(moment, plan, request, &mut scratch.visit);
    let weights = plan.weights(&snapshot.blend, visitor.is_personal());
    let filter = filter_of(catalogue, request, visitor.blocked);
    let passes = |item| filter.passes(item);
    let keep = plan.candidates_max();
    // A category's items are looked up rather than searched for among everything that has a score.
    scratch.passing.clear();
    let within = if request.categories.is_empty() {
        None
    } else {
        filter.visit_all(|item| scratch.passing.push(item));
        Some(scratch.passing.as_slice())
    };
    let mut sources = Sources::new(moment, visitor, &mut scratch.boards);
    scratch.candidates.reset(catalogue.len());
    let scales = sources.gather(
        weights,
        keep,
        &mut scratch.top,
        &mut scratch.candidates,
        within,
        passes,
    );

    let score_of = |item| RankKey::new(scales.score(|source| sources.score(source, item)), item);
    let candidates = scratch.candidates.members();
    scratch.keys.clear();
    scratch
        .keys
        .extend(candidates.iter().map(|&item| score_of(item)));
    let mut is_capped = pick_page(
        catalogue,
        plan,
        &mut scratch.keys,
        &mut scratch.page,
        &mut scratch.category_counts,
    );
    if scratch.page.len() < plan.page_size && !plan.is_evaluation() {
        // The best of each source did not fill the page: now every item that passes is a candidate. Rare, or
        // cheap: a narrow category is what leads here, and its few items are looked up.
        scratch.keys.clear();
        filter.visit_all(|item| scratch.keys.push(score_of(item)));
        is_capped = pick_page(
            catalogue,
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
            catalogue.len(),
        );
    }
    if let Some(traced) = traced {
        let of_page = items.iter().map(|ranked| ranked.item.0);
        let all = candidates.iter().copied().chain(of_page);
        *traced = DecisionTrace {
            candidates: traced_candidates(all, &scales, &sources),
            ..trace(moment, &sources)
        };
    }

    Recommendation {
        snapshot: Arc::clone(snapshot),
        catalogue: Arc::clone(&moment.view.catalogue),
        decided_at: moment.now,
        shortfall: shortfall_of(items.len(), plan.page_size, is_capped),
        degraded: visitor.degraded_reason(),
        items,
        page_size: plan.page_size,
    }
}

/// Puts the best keys on an empty page; says whether the cap kept one away.
fn pick_page(
    catalogue: &Catalogue,
    plan: &Plan,
    keys: &mut [RankKey],
    page: &mut Vec<RankKey>,
    counts: &mut CategoryCounts,
) -> bool {
    page.clear();
    counts.reset(catalogue.groups().categories.len(), plan.category_cap);
    ranking::pick_page(keys, page, plan.page_size, counts, |item| {
        catalogue.category_group(item)
    })
}

/// Every source's normalised scores for the union of their best, by item.
pub(super) fn source_scores(
    moment: Moment<'_>,
    plan: &Plan,
    request: &RecommendRequest,
    scratch: &mut Scratch,
) -> Vec<ScoredCandidate> {
    let catalogue = &*moment.view.catalogue;
    let visitor = meet(moment, plan, request, &mut scratch.visit);
    let weights = plan.equal_weights(visitor.is_personal());
    let filter = filter_of(catalogue, request, visitor.blocked);
    let mut sources = Sources::new(moment, visitor, &mut scratch.boards);
    scratch.candidates.reset(catalogue.len());
    let scales = sources.gather(
        weights,
        plan.candidates_max(),
        &mut scratch.top,
        &mut scratch.candidates,
        None,
        |item| filter.passes(item),
    );
    let mut items = scratch.candidates.members().to_vec();
    items.sort_unstable();
    let scored = |item: u32| ScoredCandidate {
        item: ItemIdx(item),
        scores: sources.normalised_scores(&scales, item),
    };
    items.into_iter().map(scored).collect()
}

fn filter_of<'a>(
    catalogue: &'a Catalogue,
    request: &RecommendRequest,
    blocked: &'a ItemSet,
) -> ItemFilter<'a> {
    let groups = catalogue.groups();
    ItemFilter {
        catalogue,
        blocked,
        categories: RequestedGroups::new(&groups.categories, &request.categories),
        kinds: RequestedGroups::new(&groups.kinds, &request.kinds),
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
