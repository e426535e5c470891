//! What decisions are made on: a snapshot, and the catalogue as the event log changed it since.
//!
//! Both are published as one (`View`), so that a decision never sees the catalogue of another snapshot. Two threads
//! write: a follower of snapshots and the sequencer of the event log. Rules that keep them apart and readers free:
//!
//! - Readers take the `published` lock for as long as it takes to clone an `Arc`, and no other.
//! - Everything that is derived is made before a lock is taken, and what was replaced is freed after.
//! - Who replaces the view holds `writer`. The log holds it from before a record is folded until its facts are in the
//!   view: so a view has all items of a record or none.
//! - While a publication collects facts, items that the log tells of are noted; they are read again, under `writer`,
//!   just before the view is replaced. So the log waits for a publication no longer than that takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::prepared::Prepared;
use crate::catalogue::Catalogue;
use crate::history::{Effect, LiveFact, LiveState};
use crate::snapshot::Snapshot;

/// What one decision is made on.
pub(super) struct View {
    pub(super) prepared: Arc<Prepared>,
    pub(super) catalogue: Arc<Catalogue>,
    /// All catalogue facts before this position of the event log are in it, and none after.
    pub(super) events_position: u64,
}

/// The view of all decisions from now on.
#[derive(Default)]
pub(super) struct Published {
    published: RwLock<Option<Arc<View>>>,
    /// Held by a publication from beginning to end.
    publication: Mutex<()>,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    /// Ids of items that the log told of since the publication under way began.
    told_meanwhile: Option<Vec<Arc<str>>>,
}

impl Published {
    pub(super) fn view(&self) -> Option<Arc<View>> {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        published.clone()
    }

    /// Publishes a snapshot under all that live state knows, but for the events at `doubled` (ascending).
    pub(super) fn publish(&self, snapshot: Arc<Snapshot>, doubled: Vec<u64>, live: &LiveState) {
        let names = live.event_names();
        let prepared = Arc::new(Prepared::new(Arc::clone(&snapshot), doubled, names));
        let since = snapshot.manifest.events_position;
        let bare = Catalogue::new(snapshot);

        let publication = lock(&self.publication);
        lock(&self.writer).told_meanwhile = Some(Vec::new());
        let mut facts = Vec::new();
        live.catalogue().facts_since(since, &mut facts);
        let mut catalogue = bare.with(facts);
        let mut writer = lock(&self.writer);
        let told_meanwhile = writer.told_meanwhile.take().unwrap_or_default();
        if !told_meanwhile.is_empty() {
            catalogue = catalogue.with(facts_of(&told_meanwhile, live));
        }
        let before = self.replace(View {
            prepared,
            catalogue: Arc::new(catalogue),
            events_position: live.position().max(since),
        });
        drop(writer);
        drop(publication);
        drop(before);
    }

    /// Folds a record into live state and, where it tells of items, into the view.
    pub(super) fn apply(&self, position: u64, effects: &[Effect<'_>], live: &LiveState) {
        let mut item_ids: Vec<&str> = effects.iter().filter_map(item_of).collect();
        if item_ids.is_empty() {
            live.apply(position, effects);
            return;
        }
        item_ids.sort_unstable();
        item_ids.dedup();
        let mut writer = lock(&self.writer);
        live.apply(position, effects);
        if let Some(told) = &mut writer.told_meanwhile {
            told.extend(item_ids.iter().map(|&item_id| Arc::from(item_id)));
        }
        let Some(view) = self.view() else {
            return;
        };
        let catalogue = view.catalogue.with(facts_of(&item_ids, live));
        let before = self.replace(View {
            prepared: Arc::clone(&view.prepared),
            catalogue: Arc::new(catalogue),
            events_position: live.position().max(view.events_position),
        });
        drop(writer);
        drop((view, before));
    }

    /// Gives what was published before, to be freed where no lock is held.
    fn replace(&self, view: View) -> Option<Arc<View>> {
        let view = Arc::new(view);
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        published.replace(view)
    }
}

fn item_of<'a>(effect: &Effect<'a>) -> Option<&'a str> {
    match effect {
        Effect::Item(fact) => Some(fact.item_id),
        Effect::Event(_) | Effect::Answered(_) => None,
    }
}

/// What live state says now of some items.
fn facts_of<T: AsRef<str>>(item_ids: &[T], live: &LiveState) -> Vec<Arc<LiveFact>> {
    let fact_of = |item_id: &T| live.catalogue().fact(item_id.as_ref());
    item_ids.iter().filter_map(fact_of).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
