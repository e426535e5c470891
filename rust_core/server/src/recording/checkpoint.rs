//! A checkpoint's parts: the memory as messages of `promosvc.log.v1`, out and back in.
//!
//! Each part is made when the writer asks for it, from one shard that is locked while it is copied; so memory beyond the
//! state itself is one shard. A part holds the log before a position of its own and passes over what it holds when
//! the log is replayed from the checkpoint's position on, which is the lowest.

use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::history::{
    AnsweredWrite, CatalogueShard, CheckpointUser, DedupeShard, DedupeWindow, ItemFact, LiveFact,
    LiveState, RequestShard, UserShard,
};
use promosvc_engine::types::TimeUs;
use prost::Message;

use super::memory::Memory;
use super::upsert_items::fact_of;
use super::windows::Windows;
use crate::storage::checkpoints::Part;
use crate::wire::promosvc::log::v1 as wire;

/// What a part is, in the order in which they are written.
const HEADER: u16 = 1;
const USERS: u16 = 2;
const CATALOGUE: u16 = 3;
const EVENT_IDS: u16 = 4;
const REQUESTS: u16 = 5;

/// The parts of a checkpoint of the log before `position`.
pub(super) fn parts(
    memory: &Memory,
    position: u64,
) -> impl Iterator<Item = Result<(u16, Vec<u8>)>> {
    let header = wire::CheckpointHeader {
        position: position as i64,
        event_names: memory.live().event_names().to_vec(),
        user_shard_count: LiveState::shard_count() as i32,
    };
    let users = (0..LiveState::shard_count()).map(|shard| {
        let shard = memory.live().export_users(shard)?;
        Ok((USERS, user_shard(shard).encode_to_vec()))
    });
    let event_ids = (0..DedupeWindow::shard_count()).map(|shard| {
        let shard = memory.windows().events.export(shard)?;
        Ok((EVENT_IDS, dedupe_shard(shard).encode_to_vec()))
    });
    let catalogue = || {
        let shard = catalogue_shard(memory.live().export_catalogue());
        (CATALOGUE, shard.encode_to_vec())
    };
    let requests = || {
        let shard = request_shard(memory.windows().export_requests());
        (REQUESTS, shard.encode_to_vec())
    };
    std::iter::once(Ok((HEADER, header.encode_to_vec())))
        .chain(users)
        .chain(std::iter::once_with(move || Ok(catalogue())))
        .chain(event_ids)
        .chain(std::iter::once_with(move || Ok(requests())))
}

/// Takes parts into a new state, one after the other.
#[derive(Default)]
pub(super) struct Import {
    event_names: Option<Vec<String>>,
}

impl Import {
    /// Takes the next part (`CHECKPOINT_INVALID` for one that cannot be).
    pub(super) fn take(&mut self, part: &Part, live: &LiveState, windows: &Windows) -> Result<()> {
        let bytes = part.payload.as_slice();
        let names = self.event_names.as_deref();
        match (part.kind, names) {
            (HEADER, None) => {
                let header: wire::CheckpointHeader = decode(bytes, "the header")?;
                self.event_names = Some(header.event_names);
                Ok(())
            }
            (USERS, Some(names)) => live.import_users(users_from(decode(bytes, "users")?)?, names),
            (CATALOGUE, Some(_)) => {
                live.import_catalogue(catalogue_from(decode(bytes, "the catalogue")?)?)
            }
            (EVENT_IDS, Some(_)) => windows
                .events
                .import(dedupe_from(decode(bytes, "event ids")?)?),
            (REQUESTS, Some(_)) => {
                windows.import_requests(requests_from(decode(bytes, "requests")?)?)
            }
            (kind, _) => Err(invalid(format!(
                "a part of kind {kind} has no place where it stands; the header comes first, and once"
            ))),
        }
    }
}

fn user_shard(shard: UserShard) -> wire::UserShard {
    let UserShard {
        shard,
        position,
        evicted_before,
        users,
    } = shard;
    wire::UserShard {
        shard: shard as i32,
        position: position as i64,
        users: users.into_iter().map(live_user).collect(),
        evicted_before: evicted_before as i64,
    }
}

fn live_user(user: CheckpointUser) -> wire::LiveUser {
    let CheckpointUser {
        user_id,
        positions,
        items,
        names,
        event_at_us,
        item_ids,
        truncated_before,
    } = user;
    wire::LiveUser {
        user_id,
        positions: positions
            .into_iter()
            .map(|position| position as i64)
            .collect(),
        items,
        names,
        event_at_us,
        item_ids: item_ids.iter().map(|id| id.to_string()).collect(),
        truncated_before: truncated_before as i64,
    }
}

fn dedupe_shard(shard: DedupeShard) -> wire::DedupeShard {
    let DedupeShard {
        shard,
        position,
        ids,
        recorded_at_us,
    } = shard;
    wire::DedupeShard {
        shard: shard as i32,
        position: position as i64,
        ids,
        recorded_at_us,
    }
}

fn catalogue_shard(shard: CatalogueShard) -> wire::CatalogueShard {
    let CatalogueShard { position, items } = shard;
    wire::CatalogueShard {
        position: position as i64,
        items: items.iter().map(|item| live_item(item)).collect(),
    }
}

fn live_item(item: &LiveFact) -> wire::LiveItem {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let ItemFact {
        item_id,
        kind,
        title,
        category,
        brand,
        unit_price,
        stock,
        is_available,
    } = item.as_item_fact();
    wire::LiveItem {
        fact: Some(wire::ItemFact {
            item_id: item_id.to_owned(),
            kind: owned(kind),
            title: owned(title),
            category: owned(category),
            brand: owned(brand),
            unit_price_minor: unit_price.map(|(amount, _)| amount),
            currency: owned(unit_price.map(|(_, currency)| currency)),
            stock,
            is_available,
        }),
        positions: item
            .positions()
            .into_iter()
            .map(|position| position as i64)
            .collect(),
    }
}

fn request_shard(shard: RequestShard) -> wire::RequestShard {
    let RequestShard { position, requests } = shard;
    wire::RequestShard {
        position: position as i64,
        answered_at_us: requests
            .iter()
            .map(|request| request.answered_at.0)
            .collect(),
        requests: requests
            .into_iter()
            .map(|request| wire::AnsweredRequest {
                request_id: request.request_id.into(),
                body_hash: request.body_hash.to_vec(),
                answer: request.answer.to_vec(),
            })
            .collect(),
    }
}

fn users_from(shard: wire::UserShard) -> Result<UserShard> {
    let wire::UserShard {
        shard,
        position,
        users,
        evicted_before,
    } = shard;
    Ok(UserShard {
        shard: index(shard)?,
        position: unsigned(position)?,
        evicted_before: unsigned(evicted_before)?,
        users: users.into_iter().map(user_from).collect::<Result<_>>()?,
    })
}

fn user_from(user: wire::LiveUser) -> Result<CheckpointUser> {
    let wire::LiveUser {
        user_id,
        positions,
        items,
        names,
        event_at_us,
        item_ids,
        truncated_before,
    } = user;
    Ok(CheckpointUser {
        user_id,
        positions: positions.into_iter().map(unsigned).collect::<Result<_>>()?,
        items,
        names,
        event_at_us,
        item_ids: item_ids.into_iter().map(Arc::from).collect(),
        truncated_before: unsigned(truncated_before)?,
    })
}

fn dedupe_from(shard: wire::DedupeShard) -> Result<DedupeShard> {
    let wire::DedupeShard {
        shard,
        position,
        ids,
        recorded_at_us,
    } = shard;
    Ok(DedupeShard {
        shard: index(shard)?,
        position: unsigned(position)?,
        ids,
        recorded_at_us,
    })
}

fn catalogue_from(shard: wire::CatalogueShard) -> Result<CatalogueShard> {
    let wire::CatalogueShard { position, items } = shard;
    let item = |item: wire::LiveItem| {
        let wire::LiveItem { fact, positions } = item;
        let fact = fact.ok_or_else(|| invalid("an item of the catalogue has no fact"))?;
        let positions = positions.into_iter().map(unsigned);
        let positions: Vec<u64> = positions.collect::<Result<_>>()?;
        Ok(Arc::new(LiveFact::from_checkpoint(
            &fact_of(&fact),
            &positions,
        )?))
    };
    Ok(CatalogueShard {
        position: unsigned(position)?,
        items: items.into_iter().map(item).collect::<Result<_>>()?,
    })
}

fn requests_from(shard: wire::RequestShard) -> Result<RequestShard> {
    let wire::RequestShard {
        position,
        requests,
        answered_at_us,
    } = shard;
    if requests.len() != answered_at_us.len() {
        return Err(invalid(format!(
            "{} requests have {} times",
            requests.len(),
            answered_at_us.len()
        )));
    }
    let request = |(request, answered_at): (wire::AnsweredRequest, i64)| {
        Ok(AnsweredWrite {
            request_id: request.request_id.into(),
            body_hash: body_hash_from(&request.body_hash)?,
            answer: request.answer.into(),
            answered_at: TimeUs(answered_at),
        })
    };
    Ok(RequestShard {
        position: unsigned(position)?,
        requests: requests
            .into_iter()
            .zip(answered_at_us)
            .map(request)
            .collect::<Result<_>>()?,
    })
}

/// The hash of a body as a log or a checkpoint holds it.
pub(super) fn body_hash_from(bytes: &[u8]) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| {
        invalid(format!(
            "a body's hash has {} bytes; it must have 16",
            bytes.len()
        ))
    })
}

fn index(number: i32) -> Result<u32> {
    u32::try_from(number).map_err(|_| invalid(format!("{number} is no shard")))
}

fn unsigned(position: i64) -> Result<u64> {
    u64::try_from(position).map_err(|_| invalid(format!("{position} is no position")))
}

fn decode<M: Message + Default>(bytes: &[u8], part: &str) -> Result<M> {
    M::decode(bytes).map_err(|error| invalid(format!("{part} cannot be decoded: {error}")))
}

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::DataLoss,
        "CHECKPOINT_INVALID",
        format!("checkpoint: {what}"),
    )
}
