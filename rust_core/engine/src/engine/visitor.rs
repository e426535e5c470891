//! Who asks: user, history and cart, and what must not be answered to them.

use super::moment::Moment;
use super::plan::Plan;
use super::published::View;
use super::scratch::{TranslatedEvent, VisitScratch};
use crate::decision::{DegradedReason, RecommendRequest};
use crate::eligibility::SeenEvents;
use crate::history::{Histories, LiveEvent, LiveState, MergedHistory};
use crate::types::{ItemSet, Taste, TimeUs, UserIdx};

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Visitor<'a> {
    /// Row of the user; none when the snapshot does not know them, for anonymous ones, and when not to be looked at.
    pub(super) user: Option<UserIdx>,
    pub(super) history: MergedHistory<'a>,
    /// H.
    pub(super) tastes: &'a [Taste],
    /// Cart, excluded and seen items.
    pub(super) blocked: &'a ItemSet,
    /// Whether live state says that events of the user may be missing.
    pub(super) is_incomplete: bool,
    /// The user's live events since the snapshot, by time, then position.
    pub(super) live_events: &'a [LiveEvent],
    is_personalization_off: bool,
}

/// Finds user, history and cart; blocks what this request must not answer.
pub(super) fn meet<'a>(
    moment: Moment<'a>,
    plan: &Plan,
    request: &RecommendRequest,
    scratch: &'a mut VisitScratch,
) -> Visitor<'a> {
    let Moment {
        view,
        live,
        now,
        is_replay_incomplete,
    } = moment;
    let catalogue = &*view.catalogue;
    let snapshot = &*view.prepared.snapshot;
    scratch.reset(catalogue.len());
    let is_personalization_off = request.personalization_off;
    let user_id = if is_personalization_off {
        ""
    } else {
        request.user_id
    };
    let user = match user_id {
        "" => None,
        user_id => snapshot.users.find(user_id),
    };
    let is_complete = read_live_events(view, live, user_id, scratch);
    let VisitScratch {
        blocked,
        tastes,
        live_events,
        translated,
        joined,
    } = scratch;

    let item_knn = &snapshot.blend.item_knn;
    let history_max = item_knn.history_max as usize;
    let cart = if is_personalization_off {
        &[][..]
    } else {
        &request.cart_item_ids
    };
    let merged = user.map(|user| view.prepared.histories.of(user));
    let weights = user.map(|user| view.prepared.histories.weights_of(user));
    let (merged, weights) = (merged.unwrap_or_default(), weights.unwrap_or_default());
    for event in translated.iter() {
        let weight = view.prepared.live_weights[usize::from(event.name)];
        joined.add(event.item, weight, event.at_us);
    }
    let history = if joined.is_empty() {
        merged
    } else {
        // As many as can be used: an entry that is passed over for the cart has its place taken by the cart.
        let half_life_days = item_knn.history_half_life_days;
        joined.join(merged, weights, half_life_days, history_max)
    };

    // The cart comes first; then `blocked` holds the cart and nothing else.
    for item in cart.iter().filter_map(|id| catalogue.find(id)) {
        if blocked.insert(item.0) {
            tastes.push(Taste {
                item: item.0,
                weight: 1.0,
                is_in_cart: true,
            });
        }
    }
    for (&item, &weight) in history.items.iter().zip(history.decayed_weights) {
        if tastes.len() >= history_max {
            break;
        }
        if !blocked.contains(item) {
            tastes.push(Taste {
                item,
                weight,
                is_in_cart: false,
            });
        }
    }
    // A history_max below the length of the cart cuts the cart too.
    tastes.truncate(history_max);

    let excluded = request.exclude_item_ids.iter();
    for item in excluded.filter_map(|id| catalogue.find(id)) {
        blocked.insert(item.0);
    }
    if plan.hide_seen {
        let rule_for = |names: &[String]| {
            SeenEvents::new(names, &plan.seen_event_names, plan.seen_window, now)
        };
        if let Some(user) = user {
            let seen = rule_for(&snapshot.manifest.history_events);
            seen.block(snapshot.events_of(user), blocked);
        }
        if !translated.is_empty() {
            let seen = rule_for(live.event_names());
            let hides = |event: &&TranslatedEvent| seen.hides(event.name, TimeUs(event.at_us));
            for event in translated.iter().filter(hides) {
                blocked.insert(event.item);
            }
        }
    }
    Visitor {
        user,
        history,
        tastes,
        blocked,
        is_incomplete: !is_complete || is_replay_incomplete,
        live_events,
        is_personalization_off,
    }
}

/// Reads what live state knows of a user since the snapshot; says whether it knows all.
fn read_live_events(
    view: &View,
    live: &LiveState,
    user_id: &str,
    scratch: &mut VisitScratch,
) -> bool {
    if user_id.is_empty() {
        return true;
    }
    let since = view.prepared.snapshot.manifest.events_position;
    let completeness = live.user_events(user_id, since, &mut scratch.live_events);
    let doubled = &view.prepared.doubled;
    if !doubled.is_empty() {
        let is_single = |event: &LiveEvent| doubled.binary_search(&event.position).is_err();
        scratch.live_events.retain(is_single);
    }
    for event in &scratch.live_events {
        // An item that neither the snapshot nor a fact tells of can be neither answered nor compared with others.
        let item = event.item.and_then(|item| {
            view.prepared
                .translation
                .item_of(item, live, &view.catalogue)
        });
        if let Some(item) = item {
            scratch.translated.push(TranslatedEvent {
                item: item.0,
                name: event.name,
                at_us: event.event_at.0,
            });
        }
    }
    completeness.is_complete()
}

impl Visitor<'_> {
    /// Whether there is anything to be personal with.
    pub(super) fn is_personal(&self) -> bool {
        !self.tastes.is_empty()
    }

    pub(super) fn degraded_reason(&self) -> Option<DegradedReason> {
        if self.is_incomplete {
            Some(DegradedReason::LiveStateFull)
        } else if self.is_personal() || self.is_personalization_off {
            None
        } else if self.user.is_some() || !self.live_events.is_empty() {
            Some(DegradedReason::NoHistory)
        } else {
            Some(DegradedReason::UnknownUser)
        }
    }
}
