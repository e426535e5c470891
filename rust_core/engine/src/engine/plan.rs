//! A request with every default filled in.

use super::evaluation::EvaluationOptions;
use crate::decision::{PAGE_SIZE_MAX, Placement, RecommendRequest};
use crate::error::{Error, Result};
use crate::snapshot::Blend;
use crate::types::{DurationUs, Source};

/// What is to be decided, after defaults.
pub(super) struct Plan<'a> {
    pub(super) page_size: usize,
    pub(super) category_cap: usize,
    pub(super) include_reasons: bool,
    pub(super) hide_seen: bool,
    pub(super) seen_event_names: Vec<&'a str>,
    pub(super) seen_window: Option<DurationUs>,
    sources: &'a [Source],
    options: &'a EvaluationOptions,
}

impl<'a> Plan<'a> {
    /// Fills the request's gaps from the placement.
    pub(super) fn new(
        placement: &'a Placement,
        request: &'a RecommendRequest,
        options: &'a EvaluationOptions,
    ) -> Result<Self> {
        if request.page_size > PAGE_SIZE_MAX {
            let message = format!(
                "page_size is {}; the maximum is {PAGE_SIZE_MAX}",
                request.page_size
            );
            return Err(Error::invalid("page_size", "PAGE_SIZE_TOO_LARGE", message)
                .with("value", request.page_size)
                .with("limit", PAGE_SIZE_MAX));
        }
        options.check()?;
        let rule = &placement.seen;
        let (hide_seen, names, seen_window) = match &request.seen {
            Some((hide_seen, names, window)) => (*hide_seen, names.as_slice(), *window),
            None => (rule.hide_seen, [].as_slice(), rule.window),
        };
        let seen_event_names = if names.is_empty() {
            rule.event_names.iter().map(String::as_str).collect()
        } else {
            names.to_vec()
        };
        let own_sources = options.sources.is_empty();
        Ok(Self {
            page_size: if request.page_size == 0 {
                placement.page_size
            } else {
                request.page_size
            },
            category_cap: request.category_cap.unwrap_or(placement.category_cap),
            include_reasons: request.include_reasons.unwrap_or(placement.include_reasons),
            hide_seen,
            seen_event_names,
            seen_window,
            sources: if own_sources {
                &placement.sources
            } else {
                &options.sources
            },
            options,
        })
    }

    /// The weight of each source; 0 for one that takes no part.
    pub(super) fn weights(&self, blend: &Blend, is_personal: bool) -> [f32; 6] {
        let takes_part = self.takes_part(is_personal);
        let snapshot_weights = *blend.weights(self.hide_seen || !is_personal);
        let table = self.options.weights.unwrap_or(snapshot_weights);
        let mut weights = [0.0; Source::ALL.len()];
        for source in Source::ALL.into_iter().filter(|&source| takes_part(source)) {
            weights[source as usize] = table.of(source);
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            if !self.is_evaluation() {
                weights[Source::Popular30d as usize] = 1.0;
            } else if self.options.weights.is_none() {
                return self.equal_weights(is_personal);
            }
        }
        weights
    }

    /// 1 for each source that may take part, whatever the snapshot's weights.
    pub(super) fn equal_weights(&self, is_personal: bool) -> [f32; 6] {
        let takes_part = self.takes_part(is_personal);
        Source::ALL.map(|source| if takes_part(source) { 1.0 } else { 0.0 })
    }

    /// Whether only the named sources may give items.
    pub(super) fn is_evaluation(&self) -> bool {
        !self.options.sources.is_empty() || self.options.weights.is_some()
    }

    pub(super) fn candidates_max(&self) -> usize {
        self.options.candidates_max
    }

    fn takes_part(&self, is_personal: bool) -> impl Fn(Source) -> bool {
        move |source| {
            (self.sources.is_empty() || self.sources.contains(&source))
                && (is_personal || source.is_popular())
        }
    }
}
