//! A placement as its configuration, for the record and back.

use promosvc_engine::decision::{Placement, SeenRule};
use promosvc_engine::error::{Error, Result};
use promosvc_engine::types::DurationUs;
use serde_json::json;

/// The JSON that the configuration has for it.
pub(super) fn placement_to_json(placement: &Placement) -> String {
    let Placement {
        page_size,
        sources,
        seen:
            SeenRule {
                hide_seen,
                event_names,
                window,
            },
        category_cap,
        include_reasons,
    } = placement;
    let names: Vec<_> = sources.iter().map(|source| source.name()).collect();
    let days = |window: &DurationUs| window.0 / DurationUs::from_days(1).0;
    json!({
        "page_size": page_size,
        "sources": names,
        "seen": {
            "hide_seen": hide_seen,
            "event_names": event_names,
            "window_days": window.as_ref().map_or(0, days),
        },
        "category_cap": category_cap,
        "include_reasons": include_reasons,
    })
    .to_string()
}

/// The placement that a record holds (`RECORD_INVALID`).
pub(crate) fn placement_from_json(json: &str, position: u64) -> Result<Placement> {
    serde_json::from_str(json).map_err(|error| {
        Error::data_loss(
            format_args!("decision {position}"),
            "RECORD_INVALID",
            format_args!("its placement cannot be read: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use promosvc_engine::types::Source;

    use super::*;

    #[test]
    fn a_placement_comes_back_as_it_was() {
        for (sources, window) in [
            (vec![], None),
            (Source::ALL.to_vec(), Some(DurationUs::from_days(30))),
        ] {
            let placement = Placement {
                page_size: 7,
                sources,
                seen: SeenRule {
                    hide_seen: true,
                    event_names: vec!["purchase".to_owned(), "view_item".to_owned()],
                    window,
                },
                category_cap: 3,
                include_reasons: false,
            };
            let json = placement_to_json(&placement);
            assert_eq!(placement_from_json(&json, 0).expect("reads"), placement);
        }
        let error = placement_from_json("{}", 9).unwrap_err();
        assert!(error.message.contains("decision 9"), "{error}");
    }
}
