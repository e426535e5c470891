//! Who asks: user, history and cart, and what must not be answered to them.

use super::plan::Plan;
use super::prepared::Prepared;
use super::scratch::Scratch;
use crate::decision::{DegradedReason, RecommendRequest};
use crate::eligibility::SeenEvents;
use crate::history::{Histories, MergedHistory};
use crate::types::{Taste, TimeUs, UserIdx};

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Visitor<'a> {
    /// None when unknown, anonymous or not to be looked at.
    pub(super) user: Option<UserIdx>,
    pub(super) history: MergedHistory<'a>,
    is_personalization_off: bool,
}

/// Finds user, history and cart; blocks what this request must not answer.
pub(super) fn meet<'a>(
    prepared: &'a Prepared,
    plan: &Plan,
    request: &RecommendRequest,
    now: TimeUs,
    scratch: &mut Scratch,
) -> Visitor<'a> {
    let snapshot = &*prepared.snapshot;
    let Scratch {
        blocked,
        tastes,
        boards,
        ..
    } = scratch;
    boards
        .iter_mut()
        .for_each(|board| board.reset(snapshot.items.len()));
    blocked.reset(snapshot.items.len());
    tastes.clear();
    let is_personalization_off = request.personalization_off;
    let user = match request.user_id {
        "" => None,
        _ if is_personalization_off => None,
        user_id => snapshot.users.find(user_id),
    };
    let history = user
        .map(|user| prepared.histories.of(user))
        .unwrap_or_default();
    if !is_personalization_off {
        // The cart comes first; then `blocked` holds the cart and nothing else.
        for item in request
            .cart_item_ids
            .iter()
            .filter_map(|id| snapshot.items.find(id))
        {
            if blocked.insert(item.0) {
                tastes.push(Taste {
                    item: item.0,
                    weight: 1.0,
                    is_in_cart: true,
                });
            }
        }
        let history_max = snapshot.blend.item_knn.history_max as usize;
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
    }
    for item in request
        .exclude_item_ids
        .iter()
        .filter_map(|id| snapshot.items.find(id))
    {
        blocked.insert(item.0);
    }
    if let Some(user) = user.filter(|_| plan.hide_seen) {
        let events = &snapshot.manifest.history_events;
        let seen = SeenEvents::new(events, &plan.seen_event_names, plan.seen_window, now);
        seen.block(snapshot.events_of(user), blocked);
    }
    Visitor {
        user,
        history,
        is_personalization_off,
    }
}

impl Visitor<'_> {
    pub(super) fn degraded_reason(&self, is_personal: bool) -> Option<DegradedReason> {
        if is_personal || self.is_personalization_off {
            None
        } else if self.user.is_some() {
            Some(DegradedReason::NoHistory)
        } else {
            Some(DegradedReason::UnknownUser)
        }
    }
}
