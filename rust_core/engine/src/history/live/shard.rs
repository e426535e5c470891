//! One shard of users: events in, the least recent users out.

use super::LiveEvent;
use super::record::Incoming;
use super::users::{User, Users};

/// Users whose memory is asked for ahead while a shard is copied.
const AHEAD: usize = 8;

/// Users whose ids hash to one number.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) users: Users,
    /// It holds its entries of the log before this position.
    pub(super) position: u64,
    /// Users whose newest event was before this position may have been forgotten.
    pub(super) evicted_before: u64,
    /// Users forgotten for want of memory since the start.
    pub(super) evicted_users: u64,
    bytes_max: u64,
}

impl Shard {
    pub(super) fn new(bytes_max: u64, events_max: usize) -> Self {
        Self {
            users: Users::new(events_max),
            position: 0,
            evicted_before: 0,
            evicted_users: 0,
            bytes_max,
        }
    }

    /// Adds events, oldest first.
    ///
    /// In stages (slot, user, content, insertion), each of which asks memory for what the next one reads: one after the
    /// other the events would wait for three cache misses each.
    pub(super) fn apply(&mut self, events: &[&Incoming<'_>]) {
        for event in events {
            self.users.prefetch_slot(event.hash);
        }
        for event in events {
            self.users.prefetch_user(event.hash);
        }
        for event in events {
            self.users.prefetch_content(event.hash);
        }
        for event in events {
            self.apply_one(event);
        }
    }

    fn apply_one(&mut self, incoming: &Incoming<'_>) {
        let Incoming {
            user_id,
            hash,
            position,
            event_at,
            item,
            name,
        } = *incoming;
        if position < self.position {
            return;
        }
        self.position = position + 1;
        if item.is_none() {
            return self.mark_hole(position, user_id, hash);
        }
        let at = self.users.find_or_add(user_id, hash, self.evicted_before);
        let event = LiveEvent {
            position,
            event_at,
            item,
            name,
        };
        self.users.push(at, event);
        self.evict();
    }

    /// Appends a user's events from `since` on, by position, and gives the position before which some may be missing.
    pub(super) fn read(
        &self,
        user_id: &str,
        hash: u64,
        since: u64,
        out: &mut Vec<LiveEvent>,
    ) -> u64 {
        let Some(at) = self.users.find(user_id, hash) else {
            return self.evicted_before;
        };
        let user = self.users.get(at);
        let first = user.events.partition_point(|event| event.position < since);
        out.extend(user.events.range(first..));
        user.truncated_before
    }

    /// Drops events before `floor` of one chunk of users; `false` when there is no such chunk.
    pub(super) fn drop_before(&mut self, chunk: usize, floor: u64) -> bool {
        if self.evicted_before <= floor {
            self.evicted_before = 0;
        }
        let Some(places) = self.users.places(chunk) else {
            return false;
        };
        for at in places {
            if let Some(missing) = self.users.drop_before(at, floor) {
                self.evicted_before = self.evicted_before.max(missing);
            }
        }
        true
    }

    /// Copies what a checkpoint holds, as little and as flat as it can be: the lock is held meanwhile.
    pub(super) fn copy(&self) -> ShardCopy {
        let mut copy = ShardCopy {
            position: self.position,
            evicted_before: self.evicted_before,
            ids: String::new(),
            events: Vec::with_capacity(self.users.event_count),
            users: Vec::with_capacity(self.users.len()),
        };
        let users: Vec<&User> = self.users.iter().collect();
        for (at, user) in users.iter().enumerate() {
            if let Some(later) = users.get(at + AHEAD) {
                later.prefetch();
            }
            copy.ids.push_str(&user.user_id);
            copy.events.extend(&user.events);
            copy.users.push(UserCopy {
                ids_end: copy.ids.len(),
                events_end: copy.events.len(),
                truncated_before: user.truncated_before,
            });
        }
        copy
    }

    /// Adds a user of a checkpoint behind all others.
    pub(super) fn restore(
        &mut self,
        user_id: &str,
        hash: u64,
        events: &[LiveEvent],
        truncated_before: u64,
    ) {
        if events.is_empty() {
            self.evicted_before = self.evicted_before.max(truncated_before);
            return;
        }
        let at = self.users.find_or_add(user_id, hash, truncated_before);
        for event in events {
            self.users.push(at, *event);
        }
        self.evict();
    }

    fn mark_hole(&mut self, position: u64, user_id: &str, hash: u64) {
        match self.users.find(user_id, hash) {
            Some(at) => self.users.get_mut(at).truncated_before = position + 1,
            // Who has no events here has no place for a mark either; the shard's own holds for all such.
            None => self.evicted_before = position + 1,
        }
    }

    fn evict(&mut self) {
        while self.users.bytes > self.bytes_max
            && let Some(missing) = self.users.remove_oldest()
        {
            // A hole of somebody else may stand later already.
            self.evicted_before = self.evicted_before.max(missing);
            self.evicted_users += 1;
        }
    }
}

/// A shard's content, flat.
pub(super) struct ShardCopy {
    pub(super) position: u64,
    pub(super) evicted_before: u64,
    ids: String,
    pub(super) events: Vec<LiveEvent>,
    users: Vec<UserCopy>,
}

struct UserCopy {
    ids_end: usize,
    events_end: usize,
    truncated_before: u64,
}

impl ShardCopy {
    /// Each user's id, events and mark, by the position of the newest event.
    pub(super) fn users(&self) -> Vec<(&str, &[LiveEvent], u64)> {
        let (mut id, mut event) = (0, 0);
        let mut users: Vec<_> = self
            .users
            .iter()
            .map(|user| {
                let user_id = &self.ids[id..user.ids_end];
                let events = &self.events[event..user.events_end];
                (id, event) = (user.ids_end, user.events_end);
                (user_id, events, user.truncated_before)
            })
            .collect();
        users.sort_unstable_by_key(|(_, events, _)| events.last().map(|event| event.position));
        users
    }
}
