//! Decides again from what the decision log kept, and compares bytes.
//!
//! A decision is a pure function, so its record and what the record names give it again: the snapshot by its id, the
//! catalogue facts of the event log from the snapshot's position up to the record's, and from the record itself the
//! user's live events, the request, the placement and the clock. Each decision gets a live state and an engine of its own.
//!
//! Where the snapshot is gone, or the log that held the facts, the verdict is NOT_RETAINED; without facts since the
//! snapshot (the record's hash says so) the log is not needed. DIFFERENT means that the program decides differently
//! now, or that a record was altered.
//!
//! Cost: what publishing a snapshot costs, for each decision: a tenth of a second for a hundred thousand items. The event
//! log is read once.

mod facts;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::history::{Effect, LiveSettings, LiveState, RecordedEvent};
use promosvc_engine::snapshot::Snapshot;
use promosvc_engine::types::TimeUs;

use crate::convert::{RecommendCall, encode_recommendation};
use crate::decisions::{DecisionReader, placement_from_json};
use crate::recording::item_effect;
use crate::wire::promosvc::log::v1 as wire;
use facts::{Facts, Found};

pub use verdict::{Replayed, Verdict, replayed_to_json};

/// Where everything lies.
#[derive(Clone, Copy, Debug)]
pub struct ReplayFolders<'a> {
    /// The decision log.
    pub decisions: &'a Path,
    /// The event log.
    pub events: &'a Path,
    /// The snapshots.
    pub snapshots: &'a Path,
}

/// Which decisions to make again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one at a position.
    Position(u64),
    /// The newest ones, at most so many.
    Last(usize),
}

/// Makes decisions again, oldest first.
///
/// # Errors
/// `FailedPrecondition` with reason `NO_DECISION_LOG`; `NotFound` with reason `DECISION_NOT_FOUND` for a position that
/// was not reached yet; `DataLoss` for damaged files. What was deleted is a verdict, not an error.
pub fn replay(folders: ReplayFolders<'_>, which: Which) -> Result<Vec<Replayed>> {
    let reader = DecisionReader::open(folders.decisions)?;
    let (first, end) = (reader.first()?, reader.end()?);
    let (from, count) = match which {
        Which::Position(position) if position >= end => return Err(not_found(position, end)),
        Which::Position(position) if position < first => {
            let what = format!("the decision log begins at {first}");
            return Ok(vec![Replayed {
                position,
                decided_at_us: 0,
                snapshot_id: String::new(),
                verdict: Verdict::NotRetained(what),
            }]);
        }
        Which::Position(position) => (position, 1),
        Which::Last(count) => {
            let from = end.saturating_sub(count as u64).max(first);
            (from, (end - from) as usize)
        }
    };
    let mut snapshots = Snapshots {
        directory: folders.snapshots,
        last: None,
    };
    let mut facts = Facts::of(folders.events);
    reader
        .records(from, count)?
        .map(|decision| {
            let (position, record) = decision?;
            Ok(Replayed {
                position,
                decided_at_us: record.now_us,
                snapshot_id: record.snapshot_id.clone(),
                verdict: replay_one(&mut facts, &mut snapshots, position, &record)?,
            })
        })
        .collect()
}

fn replay_one(
    facts: &mut Facts<'_>,
    snapshots: &mut Snapshots<'_>,
    position: u64,
    record: &wire::DecisionRecord,
) -> Result<Verdict> {
    let Some(snapshot) = snapshots.open(&record.snapshot_id)? else {
        let what = format!("snapshot {} is gone", record.snapshot_id);
        return Ok(Verdict::NotRetained(what));
    };
    let since = snapshot.manifest.events_position;
    let until = u64::try_from(record.events_position).unwrap_or(0);
    let facts = if record.catalogue_hash.is_empty() {
        Found::Here(&[][..])
    } else {
        facts.between(since, until)?
    };
    let facts = match facts {
        Found::Here(facts) => facts,
        Found::Gone(what) => return Ok(Verdict::NotRetained(what)),
    };
    let call = RecommendCall::decode(&record.request)?;
    let (placement, request) = call.check()?;
    let live = live_state(&snapshot, request.user_id, until, facts, record)?;
    let settings = EngineSettings {
        placements: BTreeMap::from([(
            placement.to_owned(),
            placement_from_json(&record.placement_json, position)?,
        )]),
    };
    let engine = Engine::with_live(settings, Arc::new(live))?;
    engine.publish(snapshot);
    let (answer, trace) = engine.recommend_traced(placement, &request, TimeUs(record.now_us))?;
    let mut replayed = Vec::with_capacity(record.answer.len());
    encode_recommendation(placement, &answer, None, &mut replayed);
    if replayed == record.answer {
        return Ok(Verdict::Same);
    }
    let hash = trace
        .catalogue_hash
        .map_or_else(Vec::new, |hash| hash.to_vec());
    Ok(Verdict::Different {
        recorded: record.answer.clone(),
        replayed,
        is_catalogue_same: hash == record.catalogue_hash,
    })
}

/// The snapshots of a directory, the last one kept open: decisions of one time rest on one snapshot.
struct Snapshots<'a> {
    directory: &'a Path,
    last: Option<Arc<Snapshot>>,
}

impl Snapshots<'_> {
    /// The snapshot of an id; `None` where it is gone.
    fn open(&mut self, id: &str) -> Result<Option<Arc<Snapshot>>> {
        if let Some(last) = &self.last
            && last.id == id
        {
            return Ok(Some(Arc::clone(last)));
        }
        // An id is one name; whatever else a record holds must not lead anywhere.
        let is_name = !id.is_empty() && !id.contains(['/', '\\']) && !id.starts_with('.');
        let directory = self.directory.join(id);
        if !is_name || !directory.is_dir() {
            return Ok(None);
        }
        let snapshot = Arc::new(Snapshot::open(&directory)?);
        self.last = Some(Arc::clone(&snapshot));
        Ok(Some(snapshot))
    }
}

/// Live state as the decision saw it: this user's events and the facts, each at its position.
fn live_state(
    snapshot: &Snapshot,
    user_id: &str,
    until: u64,
    facts: &[(u64, wire::ItemFact)],
    record: &wire::DecisionRecord,
) -> Result<LiveState> {
    let names: BTreeSet<&str> = record
        .user_events
        .iter()
        .map(|event| event.event_name.as_str())
        .collect();
    let live = LiveState::new(LiveSettings {
        event_names: names.into_iter().map(str::to_owned).collect(),
        ..LiveSettings::default()
    })?;
    if record.is_live_state_incomplete {
        // Whatever lies below a floor may be missing: so it says so again.
        live.set_floor(snapshot.manifest.events_position + 1);
    }
    let events = record.user_events.iter().map(|event| {
        let position = u64::try_from(event.position).unwrap_or(0);
        let effect = Effect::Event(RecordedEvent {
            source: "",
            event_id: "",
            event_name: &event.event_name,
            user_id,
            item_id: &event.item_id,
            event_at: TimeUs(event.event_at_us),
        });
        (position, effect)
    });
    let facts = facts
        .iter()
        .map(|(position, fact)| (*position, item_effect(fact)));
    let mut effects: Vec<(u64, Effect<'_>)> = events.chain(facts).collect();
    effects.sort_by_key(|(position, _)| *position);
    for (position, effect) in effects {
        live.apply(position, &[effect]);
    }
    live.apply(until, &[]);
    Ok(live)
}

fn not_found(position: u64, end: u64) -> Error {
    Error {
        field: "position".to_owned(),
        ..Error::new(
            ErrorKind::NotFound,
            "DECISION_NOT_FOUND",
            format!("there is no decision {position}; the log ends before position {end}"),
        )
    }
    .with("position", position)
    .with("end", end)
}
