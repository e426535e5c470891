//! The slow, obvious twin of a decision: `docs/snapshot-format.md`, "How a score is made", word by word.
//!
//! It works on the rows that a snapshot was written from and the entries of a log, with maps and full sorts, and
//! shares no code with the engine but the words of a request and an answer. Live state is as if a snapshot had been
//! written with it (`World`), but for similar users, who are as the snapshot has them.

use std::collections::{BTreeMap, BTreeSet};

use promosvc_engine::decision::{
    Basis, DegradedReason, Placement, Reason, RecommendRequest, ShortfallReason, Source,
};
use promosvc_engine::engine::EvaluationOptions;
use promosvc_engine::types::{ItemIdx, TimeUs};
use serde_json::Value;

use super::log::{Entry, LogSettings};
use super::{DAY_US, HistoryRow, ItemRow, SnapshotRows};

/// What the twin answers.
#[derive(Clone, Debug, PartialEq)]
pub struct TwinAnswer {
    pub items: Vec<(u32, f32, Vec<Reason>)>,
    pub page_size: usize,
    pub degraded: Option<DegradedReason>,
    pub shortfall: Option<ShortfallReason>,
}

/// One entry of a merged history.
#[derive(Clone, Copy)]
struct Merged {
    item: u32,
    weight: f32,
    count: u32,
    last_at_us: i64,
}

/// One entry of H.
#[derive(Clone, Copy)]
struct Taste {
    item: u32,
    weight: f32,
    is_in_cart: bool,
}

type Scores = BTreeMap<u32, f32>;

/// A snapshot, and what it would be with everything that the log says behind it.
#[derive(Clone, Debug)]
pub struct World {
    snapshot: SnapshotRows,
    pub now: SnapshotRows,
    /// Users of whom events are missing.
    incomplete: BTreeSet<String>,
}

impl World {
    /// A snapshot alone.
    pub fn of_snapshot(rows: &SnapshotRows) -> Self {
        Self::new(rows, &[], &LogSettings::default())
    }

    /// A snapshot and a log, whose first entry stands at position 0.
    pub fn new(rows: &SnapshotRows, log: &[Entry], settings: &LogSettings) -> Self {
        let mut world = Self {
            snapshot: rows.clone(),
            now: rows.clone(),
            incomplete: BTreeSet::new(),
        };
        let first = log.len().min(rows.events_position as usize);
        world.tell_facts(&log[first..]);
        world.tell_events(log, settings);
        world
    }

    fn tell_facts(&mut self, log: &[Entry]) {
        let rows = &mut self.now;
        let mut extras: BTreeMap<String, ItemRow> = BTreeMap::new();
        for entry in log {
            let Entry::Item(fact) = entry else {
                continue;
            };
            let known = rows
                .items
                .iter_mut()
                .find(|row| row.item_id == fact.item_id);
            let row = match known {
                Some(row) => row,
                None => extras
                    .entry(fact.item_id.clone())
                    .or_insert_with(|| ItemRow {
                        title: String::new(),
                        unit_price: None,
                        ..ItemRow::new(&fact.item_id)
                    }),
            };
            let fact = fact.clone();
            row.kind = fact.kind.unwrap_or_else(|| row.kind.clone());
            row.title = fact.title.unwrap_or_else(|| row.title.clone());
            row.category = fact.category.unwrap_or_else(|| row.category.clone());
            row.unit_price = fact.unit_price.or_else(|| row.unit_price.clone());
            row.stock = fact.stock.or(row.stock);
            row.is_available = fact.is_available.unwrap_or(row.is_available);
        }
        for row in extras.into_values() {
            for window in 0..3 {
                let score = prior(&self.snapshot, window, &row.category);
                if score > 0.0 {
                    rows.popular[window].push((rows.items.len() as u32, score));
                }
            }
            rows.item_neighbours.push(Vec::new());
            rows.items.push(row);
        }
    }

    fn tell_events(&mut self, log: &[Entry], settings: &LogSettings) {
        let rows = &mut self.now;
        let mut of_user: BTreeMap<&str, Vec<(u64, &str, &str, i64)>> = BTreeMap::new();
        for (position, entry) in (0..).zip(log) {
            if let Entry::Event(event) = entry
                && settings.event_names.contains(&event.event_name)
                && !event.item_id.is_empty()
            {
                let told = (
                    position,
                    event.event_name.as_str(),
                    event.item_id.as_str(),
                    event.event_at_us,
                );
                of_user.entry(&event.user_id).or_default().push(told);
            }
        }
        for (user_id, mut events) in of_user {
            let dropped = events.len().saturating_sub(settings.events_per_user_max);
            let is_after = |position| position >= rows.events_position;
            if events.drain(..dropped).any(|event| is_after(event.0)) {
                self.incomplete.insert(user_id.to_owned());
            }
            events.retain(|event| is_after(event.0));
            if events.is_empty() {
                continue;
            }
            let user = rows.users.iter().position(|user| user == user_id);
            let user = user.unwrap_or_else(|| {
                rows.users.push(user_id.to_owned());
                rows.history.push(Vec::new());
                rows.user_neighbours.push(Vec::new());
                rows.users.len() - 1
            });
            for (_, event_name, item_id, last_at_us) in events {
                let Some(item) = rows.items.iter().position(|row| row.item_id == item_id) else {
                    continue;
                };
                let names = &mut rows.history_events;
                let name = names.iter().position(|name| name == event_name);
                let name = name.unwrap_or_else(|| {
                    names.push(event_name.to_owned());
                    names.len() - 1
                });
                rows.history[user].push(HistoryRow {
                    item: item as u32,
                    event: name as u8,
                    last_at_us,
                    count: 1,
                });
            }
        }
    }
}

/// The mean popular score of a category's items, or of all when there are none.
fn prior(snapshot: &SnapshotRows, window: usize, category: &str) -> f32 {
    let of_category: Vec<usize> = (0..snapshot.items.len())
        .filter(|&item| snapshot.items[item].category == category)
        .collect();
    let items = if of_category.is_empty() {
        (0..snapshot.items.len()).collect()
    } else {
        of_category
    };
    if items.is_empty() {
        return 0.0;
    }
    let score_of = |item: usize| {
        let found = snapshot.popular[window]
            .iter()
            .find(|&&(found, _)| found as usize == item);
        found.map_or(0.0, |&(_, score)| score)
    };
    let sum = items
        .iter()
        .fold(0.0_f32, |sum, &item| sum + score_of(item));
    sum / items.len() as f32
}

/// Decides.
pub fn recommend(
    world: &World,
    placement: &Placement,
    request: &RecommendRequest,
    now: TimeUs,
    options: &EvaluationOptions,
) -> TwinAnswer {
    let rows = &world.now;
    let item_of = |id: &str| {
        rows.items
            .iter()
            .position(|item| item.item_id == id)
            .map(|row| row as u32)
    };
    let is_off = request.personalization_off;
    let user = if is_off {
        None
    } else {
        rows.users.iter().position(|user| user == request.user_id)
    };
    let merged: Vec<Merged> = user.map(|user| merge(rows, user)).unwrap_or_default();
    let mut cart: Vec<u32> = Vec::new();
    if !is_off {
        for item in request.cart_item_ids.iter().filter_map(|id| item_of(id)) {
            if !cart.contains(&item) {
                cart.push(item);
            }
        }
    }
    let tastes = tastes_of(rows, &cart, &merged);
    let is_personal = !tastes.is_empty();

    let (hide_seen, names, window) = match &request.seen {
        Some((hide_seen, names, window)) if !names.is_empty() => (
            *hide_seen,
            names.iter().map(|name| (*name).to_owned()).collect(),
            *window,
        ),
        Some((hide_seen, _, window)) => (*hide_seen, placement.seen.event_names.clone(), *window),
        None => (
            placement.seen.hide_seen,
            placement.seen.event_names.clone(),
            placement.seen.window,
        ),
    };
    let mut seen = BTreeSet::new();
    if let Some(user) = user.filter(|_| hide_seen) {
        for entry in &rows.history[user] {
            let age_us = now.0 - entry.last_at_us;
            let is_young = window.is_none_or(|window| age_us < window.0);
            if is_young && names.contains(&rows.history_events[usize::from(entry.event)]) {
                seen.insert(entry.item);
            }
        }
    }
    let passes = |item: u32| {
        let row = &rows.items[item as usize];
        (request.include_unavailable
            || (row.is_available && row.stock.is_none_or(|stock| stock > 0)))
            && (request.categories.is_empty()
                || request.categories.contains(&row.category.as_str()))
            && (request.kinds.is_empty() || request.kinds.contains(&row.kind.as_str()))
            && !request.exclude_item_ids.contains(&row.item_id.as_str())
            && !cart.contains(&item)
            && !seen.contains(&item)
    };

    let weights = weights_of(rows, placement, options, hide_seen, is_personal);
    let is_evaluation = !options.sources.is_empty() || options.weights.is_some();
    let all = source_scores(world, user, &tastes, &merged, now);
    let mut candidates = BTreeSet::new();
    let mut maxima = [0.0_f32; 6];
    for source in 0..6 {
        if weights[source] == 0.0 {
            continue;
        }
        let mut passing: Vec<(u32, f32)> = all[source]
            .iter()
            .map(|(&item, &score)| (item, score))
            .filter(|&(item, score)| score > 0.0 && passes(item))
            .collect();
        passing.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        maxima[source] = passing.first().map_or(0.0, |&(_, score)| score);
        candidates.extend(
            passing
                .iter()
                .take(options.candidates_max)
                .map(|&(item, _)| item),
        );
    }
    let raw = |source: usize, item: u32| all[source].get(&item).copied().unwrap_or(0.0);
    let part = |source: usize, score: f32| {
        if maxima[source] > 0.0 {
            weights[source] * (score / maxima[source])
        } else {
            0.0
        }
    };
    let score_of = |item: u32| {
        let mut sum = 0.0_f32;
        for source in 0..6 {
            sum += part(source, raw(source, item));
        }
        sum
    };

    let page_size = if request.page_size == 0 {
        placement.page_size
    } else {
        request.page_size
    };
    let cap = request.category_cap.unwrap_or(placement.category_cap);
    let pick = |candidates: &BTreeSet<u32>| {
        let mut ranked: Vec<(u32, f32)> = candidates
            .iter()
            .map(|&item| (item, score_of(item)))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut of_category: BTreeMap<&str, usize> = BTreeMap::new();
        let mut page = Vec::new();
        let mut is_capped = false;
        for (item, score) in ranked {
            if page.len() == page_size {
                break;
            }
            let category = rows.items[item as usize].category.as_str();
            let count = of_category.entry(category).or_default();
            if cap > 0 && !category.is_empty() && *count == cap {
                is_capped = true;
                continue;
            }
            *count += 1;
            page.push((item, score));
        }
        (page, is_capped)
    };
    let (mut page, mut is_capped) = pick(&candidates);
    if page.len() < page_size && !is_evaluation {
        let everything = (0..rows.items.len() as u32)
            .filter(|&item| passes(item))
            .collect();
        (page, is_capped) = pick(&everything);
    }

    let shortfall = match page.len() {
        found if found == page_size => None,
        0 => Some(ShortfallReason::NothingEligible),
        _ if is_capped => Some(ShortfallReason::CategoryCap),
        _ => Some(ShortfallReason::FewerEligible),
    };
    let degraded = match user {
        _ if !is_off && world.incomplete.contains(request.user_id) => {
            Some(DegradedReason::LiveStateFull)
        }
        _ if is_personal || is_off => None,
        Some(_) => Some(DegradedReason::NoHistory),
        None => Some(DegradedReason::UnknownUser),
    };
    let include_reasons = request.include_reasons.unwrap_or(placement.include_reasons);
    let reasons = |item: u32| -> Vec<Reason> {
        if !include_reasons {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        let mut of_history: Vec<(usize, f32, f32)> = Vec::new();
        for (at, taste) in tastes.iter().enumerate() {
            for &(neighbour, similarity) in &rows.item_neighbours[taste.item as usize] {
                let contribution = part(0, taste.weight * similarity);
                if neighbour == item && contribution > 0.0 {
                    of_history.push((at, similarity, contribution));
                }
            }
        }
        let mut by_size = of_history.clone();
        by_size.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        by_size.truncate(3);
        for &(at, similarity, contribution) in &by_size {
            let basis = Basis::BecauseOfItem {
                item: ItemIdx(tastes[at].item),
                similarity,
                is_in_cart: tastes[at].is_in_cart,
            };
            reasons.push(Reason {
                contribution,
                basis,
            });
        }
        let others: Vec<f32> = of_history
            .iter()
            .filter(|entry| !by_size.iter().any(|named| named.0 == entry.0))
            .map(|entry| entry.2)
            .collect();
        let basis = Basis::OtherHistory {
            item_count: others.len() as u32,
        };
        let contribution = others.iter().fold(0.0, |sum, part| sum + part);
        reasons.push(Reason {
            contribution,
            basis,
        });
        let mut user_count = 0;
        for neighbour in user
            .map(|user| similar_users(rows, user))
            .unwrap_or_default()
        {
            user_count += u32::from(newest_items(&world.snapshot, neighbour.0).contains(&item));
        }
        reasons.push(Reason {
            contribution: part(1, raw(1, item)),
            basis: Basis::SimilarUsers { user_count },
        });
        if let Some(choice) = merged.iter().find(|entry| entry.item == item) {
            let basis = Basis::ChosenBefore {
                event_count: choice.count,
                last_event_at: TimeUs(choice.last_at_us),
            };
            reasons.push(Reason {
                contribution: part(2, raw(2, item)),
                basis,
            });
        }
        for (source, window_days) in [(3, 1), (4, 7), (5, 30)] {
            let basis = Basis::PopularItem { window_days };
            reasons.push(Reason {
                contribution: part(source, raw(source, item)),
                basis,
            });
        }
        reasons.retain(|reason| reason.contribution > 0.0);
        reasons.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        reasons
    };
    TwinAnswer {
        items: page
            .iter()
            .map(|&(item, score)| (item, score, reasons(item)))
            .collect(),
        page_size,
        degraded,
        shortfall,
    }
}

fn merge(rows: &SnapshotRows, user: usize) -> Vec<Merged> {
    let weight_of = |event: u8| {
        let name = &rows.history_events[usize::from(event)];
        rows.blend["event_weights"]
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or(0.0) as f32
    };
    let mut by_item: BTreeMap<u32, Vec<(f32, u32, i64)>> = BTreeMap::new();
    for entry in &rows.history[user] {
        let weight = weight_of(entry.event);
        if weight > 0.0 {
            by_item
                .entry(entry.item)
                .or_default()
                .push((weight, entry.count, entry.last_at_us));
        }
    }
    let merge_one = |(item, events): (u32, Vec<(f32, u32, i64)>)| {
        let weight = events
            .iter()
            .fold(0.0_f32, |largest, event| largest.max(event.0));
        Merged {
            item,
            weight,
            count: events
                .iter()
                .filter(|event| event.0 == weight)
                .map(|event| event.1)
                .sum(),
            last_at_us: events.iter().map(|event| event.2).max().unwrap(),
        }
    };
    let mut merged: Vec<Merged> = by_item.into_iter().map(merge_one).collect();
    merged.sort_by(|a, b| b.last_at_us.cmp(&a.last_at_us).then(a.item.cmp(&b.item)));
    merged
}

fn decay(age_us: i64, half_life_days: f32) -> f32 {
    let age_days = (age_us.max(0) as f64 / DAY_US as f64) as f32;
    f32::exp2(-(age_days / half_life_days))
}

fn setting(rows: &SnapshotRows, part: &str, name: &str) -> f64 {
    rows.blend[part][name].as_f64().unwrap()
}

fn tastes_of(rows: &SnapshotRows, cart: &[u32], merged: &[Merged]) -> Vec<Taste> {
    let half_life_days = setting(rows, "item_knn", "history_half_life_days") as f32;
    let mut tastes: Vec<Taste> = cart
        .iter()
        .map(|&item| Taste {
            item,
            weight: 1.0,
            is_in_cart: true,
        })
        .collect();
    if let Some(newest) = merged.first() {
        for entry in merged.iter().filter(|entry| !cart.contains(&entry.item)) {
            let weight = entry.weight * decay(newest.last_at_us - entry.last_at_us, half_life_days);
            tastes.push(Taste {
                item: entry.item,
                weight,
                is_in_cart: false,
            });
        }
    }
    tastes.truncate(setting(rows, "item_knn", "history_max") as usize);
    tastes
}

fn weights_of(
    rows: &SnapshotRows,
    placement: &Placement,
    options: &EvaluationOptions,
    hide_seen: bool,
    is_personal: bool,
) -> [f32; 6] {
    let sources = if options.sources.is_empty() {
        &placement.sources
    } else {
        &options.sources
    };
    let is_evaluation = !options.sources.is_empty() || options.weights.is_some();
    let case = if hide_seen || !is_personal {
        "unseen"
    } else {
        "repeats"
    };
    let mut weights = [0.0; 6];
    let mut allowed = [0.0; 6];
    for (at, source) in Source::ALL.into_iter().enumerate() {
        let is_allowed =
            (sources.is_empty() || sources.contains(&source)) && (is_personal || at >= 3);
        if is_allowed {
            allowed[at] = 1.0;
            weights[at] = match options.weights {
                Some(weights) => weights.0[at],
                None => rows.blend["weights"][case][source.name()].as_f64().unwrap() as f32,
            };
        }
    }
    if weights == [0.0; 6] {
        if !is_evaluation {
            weights[5] = 1.0;
        } else if options.weights.is_none() {
            weights = allowed;
        }
    }
    weights
}

fn similar_users(rows: &SnapshotRows, user: usize) -> Vec<(u32, f32)> {
    let count = setting(rows, "user_knn", "neighbours_max") as usize;
    rows.user_neighbours[user]
        .iter()
        .take(count)
        .copied()
        .collect()
}

fn newest_items(rows: &SnapshotRows, user: u32) -> Vec<u32> {
    let count = setting(rows, "user_knn", "history_max") as usize;
    merge(rows, user as usize)
        .iter()
        .take(count)
        .map(|entry| entry.item)
        .collect()
}

fn source_scores(
    world: &World,
    user: Option<usize>,
    tastes: &[Taste],
    merged: &[Merged],
    now: TimeUs,
) -> [Scores; 6] {
    let rows = &world.now;
    let [mut item_knn, mut user_knn, mut repeat] = [(); 3].map(|()| Scores::new());
    for taste in tastes {
        for &(neighbour, similarity) in &rows.item_neighbours[taste.item as usize] {
            *item_knn.entry(neighbour).or_default() += taste.weight * similarity;
        }
    }
    for (neighbour, similarity) in user
        .map(|user| similar_users(rows, user))
        .unwrap_or_default()
    {
        for item in newest_items(&world.snapshot, neighbour) {
            *user_knn.entry(item).or_default() += similarity;
        }
    }
    let half_life_days = setting(rows, "repeat", "half_life_days") as f32;
    for entry in merged {
        let score = (entry.count as f32).ln_1p() * decay(now.0 - entry.last_at_us, half_life_days);
        repeat.insert(entry.item, score);
    }
    let [popular_1d, popular_7d, popular_30d] =
        [0, 1, 2].map(|window: usize| rows.popular[window].iter().copied().collect());
    [
        item_knn,
        user_knn,
        repeat,
        popular_1d,
        popular_7d,
        popular_30d,
    ]
}
