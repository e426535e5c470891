//! What an engine is configured with.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::decision::{ID_BYTES_MAX, PAGE_SIZE_MAX, Placement, SEEN_EVENT_NAMES_MAX};
use crate::error::{Error, Result};

/// What an engine is configured with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSettings {
    /// Placements by name.
    pub placements: BTreeMap<String, Placement>,
}

impl EngineSettings {
    /// Refuses what no request could be answered by.
    pub(super) fn check(&self) -> Result<()> {
        self.placements
            .iter()
            .try_for_each(|(name, placement)| check_placement(name, placement))
    }
}

fn check_placement(name: &str, placement: &Placement) -> Result<()> {
    let Placement {
        page_size,
        sources,
        seen,
        category_cap,
        include_reasons: _,
    } = placement;
    let invalid = |field: &str, value: String, wanted: String| {
        let message = format!("{value}; {wanted}");
        Err(Error::invalid(
            format!("placements.{name}{field}"),
            "PLACEMENT_INVALID",
            message,
        )
        .with("placement", name)
        .with("value", value))
    };
    if name.is_empty() || name.len() > ID_BYTES_MAX {
        let value = format!("the name has {} bytes", name.len());
        return invalid("", value, format!("it must have 1 to {ID_BYTES_MAX}"));
    }
    if *page_size == 0 || *page_size > PAGE_SIZE_MAX {
        let value = format!("page_size is {page_size}");
        return invalid(
            ".page_size",
            value,
            format!("it must be 1 to {PAGE_SIZE_MAX}"),
        );
    }
    if *category_cap > PAGE_SIZE_MAX {
        let value = format!("category_cap is {category_cap}");
        return invalid(
            ".category_cap",
            value,
            format!("it must be 0 (no limit) to {PAGE_SIZE_MAX}"),
        );
    }
    if let Some(at) = (1..sources.len()).find(|&at| sources[..at].contains(&sources[at])) {
        let value = format!("sources[{at}] is {} again", sources[at].name());
        return invalid(".sources", value, "each source may be named once".into());
    }
    let names = &seen.event_names;
    if names.len() > SEEN_EVENT_NAMES_MAX {
        let value = format!("it has {} names", names.len());
        return invalid(
            ".seen.event_names",
            value,
            format!("the maximum is {SEEN_EVENT_NAMES_MAX}"),
        );
    }
    if let Some(name) = names
        .iter()
        .find(|name| name.is_empty() || name.len() > ID_BYTES_MAX)
    {
        let value = format!("a name has {} bytes", name.len());
        return invalid(
            ".seen.event_names",
            value,
            format!("it must have 1 to {ID_BYTES_MAX}"),
        );
    }
    Ok(())
}
