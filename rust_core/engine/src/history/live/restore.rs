//! Checkpoints of user shards: out, and back in after every number was looked at.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::checkpoint::{CheckpointUser, UserShard, invalid, not_empty};
use super::super::text_hash::text_hash;
use super::interner::Interner;
use super::{LiveEvent, LiveItem, LiveState, SHARDS, shard_of};
use crate::error::{Error, Result};
use crate::types::TimeUs;

/// Longest id in UTF-8 bytes, as on the wire.
const ID_BYTES_MAX: usize = 128;

impl LiveState {
    /// What a checkpoint holds of one shard. The shard is locked while its memory is copied; the rest is done after.
    ///
    /// # Errors
    /// `InvalidArgument` for a shard that does not exist.
    pub fn export_users(&self, shard: usize) -> Result<UserShard> {
        if shard >= SHARDS {
            let message = format!("shard is {shard}; the last is {}", SHARDS - 1);
            return Err(Error::invalid("shard", "NO_SUCH_SHARD", message));
        }
        // Read before the lock: see `checkpoint`.
        let position = self.position();
        let copy = self.read(shard).copy();
        let mut items = Items::of(&copy.events, &self.items);
        let users = copy.users().into_iter().enumerate();
        let users = users.map(|(turn, (user_id, events, truncated_before))| {
            let mut user = CheckpointUser {
                user_id: user_id.to_owned(),
                positions: Vec::with_capacity(events.len()),
                items: Vec::with_capacity(events.len()),
                names: Vec::with_capacity(events.len()),
                event_at_us: Vec::with_capacity(events.len()),
                item_ids: Vec::new(),
                truncated_before,
            };
            for event in events {
                // Only a move of the floor past this event takes its item's text away.
                let Some(number) = items.number(event, turn, &mut user.item_ids) else {
                    continue;
                };
                user.positions.push(event.position);
                user.items.push(number);
                user.names.push(u32::from(event.name));
                user.event_at_us.push(event.event_at.0);
            }
            user
        });
        Ok(UserShard {
            shard: shard as u32,
            position: position.max(copy.position),
            evicted_before: copy.evicted_before,
            users: users.filter(|user| !user.positions.is_empty()).collect(),
        })
    }

    /// Takes a shard of a checkpoint into a new state; `event_names` are the checkpoint's. Events of names that the
    /// settings do not have are left out, as they would be by the fold.
    ///
    /// # Errors
    /// `DataLoss` for a checkpoint that cannot be true, `FailedPrecondition` for a shard that folded events already.
    pub fn import_users(&self, shard: UserShard, event_names: &[String]) -> Result<()> {
        let number = shard.shard as usize;
        let part = format!("user shard {number}");
        if number >= SHARDS {
            return Err(invalid(&part, format!("the last is {}", SHARDS - 1)));
        }
        if shard.evicted_before > shard.position {
            let what = format!(
                "evicted_before {} is after its position {}",
                shard.evicted_before, shard.position
            );
            return Err(invalid(&part, what));
        }
        check_users(&shard, event_names.len()).map_err(|what| invalid(&part, what))?;
        let names: Vec<Option<u8>> = event_names.iter().map(|name| self.name_of(name)).collect();
        let mut state = self.write(number);
        if state.position > 0 {
            return Err(not_empty(&part, state.position));
        }
        state.position = shard.position;
        state.evicted_before = shard.evicted_before;
        let mut events = Vec::new();
        for user in &shard.users {
            let mut truncated_before = user.truncated_before;
            events.clear();
            for at in 0..user.positions.len() {
                let position = user.positions[at];
                let (Some(item_id), Some(name)) = (
                    user.item_ids.get(user.items[at] as usize),
                    names[user.names[at] as usize],
                ) else {
                    continue;
                };
                match self.items.intern(item_id, position) {
                    Some(item) => events.push(LiveEvent {
                        position,
                        event_at: TimeUs(user.event_at_us[at]),
                        item: Some(item),
                        name,
                    }),
                    None => truncated_before = truncated_before.max(position + 1),
                }
            }
            let hash = text_hash(&user.user_id);
            state.restore(&user.user_id, hash, &events, truncated_before);
        }
        Ok(())
    }

    fn name_of(&self, name: &str) -> Option<u8> {
        let at = self.event_names.iter().position(|known| known == name)?;
        u8::try_from(at).ok()
    }
}

/// The items of a shard: looked up once, numbered anew for each user.
struct Items {
    /// Ascending.
    items: Vec<LiveItem>,
    texts: Vec<Option<Arc<str>>>,
    /// For which user, and as what, an item was numbered last.
    numbers: Vec<(usize, u32)>,
}

impl Items {
    fn of(events: &[LiveEvent], interner: &Interner) -> Self {
        let mut items: Vec<LiveItem> = events.iter().filter_map(|event| event.item).collect();
        items.sort_unstable();
        items.dedup();
        Self {
            texts: interner.texts_of(&items),
            numbers: vec![(usize::MAX, 0); items.len()],
            items,
        }
    }

    /// The number of an event's item among those of the user whose turn it is.
    fn number(&mut self, event: &LiveEvent, turn: usize, ids: &mut Vec<Arc<str>>) -> Option<u32> {
        let at = self.items.binary_search(&event.item?).ok()?;
        let text = self.texts[at].as_ref()?;
        let (last_turn, number) = &mut self.numbers[at];
        if *last_turn != turn {
            (*last_turn, *number) = (turn, ids.len() as u32);
            ids.push(text.clone());
        }
        Some(*number)
    }
}

fn check_users(shard: &UserShard, name_count: usize) -> std::result::Result<(), String> {
    let mut newest_before = None;
    let mut known = HashSet::new();
    for (at, user) in shard.users.iter().enumerate() {
        let wrong = |what: String| Err(format!("user {at}: {what}"));
        if let Err(what) = check_user(user, shard.position, name_count) {
            return wrong(what);
        }
        if shard_of(text_hash(&user.user_id)) != shard.shard as usize {
            return wrong("belongs to another shard".to_owned());
        }
        if !known.insert(user.user_id.as_str()) {
            return wrong("stands twice".to_owned());
        }
        let newest = user.positions.last();
        if newest_before >= newest {
            return wrong(format!(
                "its newest event {newest:?} is not after that of the one before"
            ));
        }
        newest_before = newest;
    }
    Ok(())
}

fn check_user(
    user: &CheckpointUser,
    position: u64,
    name_count: usize,
) -> std::result::Result<(), String> {
    let CheckpointUser {
        user_id,
        positions,
        items,
        names,
        event_at_us,
        item_ids,
        truncated_before,
    } = user;
    let is_id = |id: &str| !id.is_empty() && id.len() <= ID_BYTES_MAX;
    let count = positions.len();
    if !is_id(user_id) || !item_ids.iter().all(|id: &Arc<str>| is_id(id)) {
        return Err(format!("an id does not have 1 to {ID_BYTES_MAX} bytes"));
    }
    if count == 0 || items.len() != count || names.len() != count || event_at_us.len() != count {
        return Err(format!(
            "columns of {count} positions, {} items, {} names and {} times; equal and not empty would be right",
            items.len(),
            names.len(),
            event_at_us.len()
        ));
    }
    if !positions.is_sorted_by(|one, next| one < next) || positions[count - 1] >= position {
        return Err(format!("positions do not ascend to less than {position}"));
    }
    if *truncated_before > position {
        return Err(format!(
            "truncated_before {truncated_before} is after {position}"
        ));
    }
    if let Some(item) = items.iter().find(|item| **item as usize > item_ids.len()) {
        return Err(format!("item {item} of {}", item_ids.len()));
    }
    if let Some(name) = names.iter().find(|name| **name as usize >= name_count) {
        return Err(format!("name {name} of {name_count}"));
    }
    Ok(())
}
