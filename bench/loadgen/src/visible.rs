//! How soon an acknowledged event is in an answer: one event, its acknowledgement, one answer that must know it.
//!
//! Each caller asks Recommend for a user with seen items hidden, records a purchase of the first item of the page, and at
//! the acknowledgement asks again: the item must be gone. Measured is from sending the event to having the
//! second answer, so a durable write and a whole decision. A page that still has the item fails the run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use hdrhistogram::Histogram;
use http::Uri;
use tokio::task::spawn_local;

use crate::arguments::{Arguments, RECOMMEND, RECORD_EVENTS, Until};
use crate::events::{Recording, Tally, purchase, read_ids};
use crate::load::{Measured, call, connect, histogram, on_one_thread, uri};
use crate::protobuf::{Fields, Value, bytes, integer};
use crate::requests::framed;
use crate::work::Recorded;

/// Items of a page.
const PAGE_SIZE: u64 = 20;

struct Shared {
    users: Vec<String>,
    recommend: Uri,
    record_events: Uri,
    id_prefix: String,
    clock_start_us: i64,
    began: Instant,
    until: Until,
    warmup: u64,
    next: Cell<u64>,
    counted: Cell<u64>,
    counting_since: Cell<Option<Instant>>,
    latency_ns: RefCell<Histogram<u64>>,
}

/// Runs all callers to the end.
pub(crate) fn run(arguments: &Arguments, recording: &Recording) -> Result<Measured, String> {
    let shared = Rc::new(Shared {
        users: read_ids(&recording.users, "user")?,
        recommend: uri(&arguments.address, RECOMMEND)?,
        record_events: uri(&arguments.address, RECORD_EVENTS)?,
        id_prefix: recording.id_prefix.clone(),
        clock_start_us: recording.clock_start_us,
        began: Instant::now(),
        until: arguments.until,
        warmup: arguments.warmup,
        next: Cell::new(0),
        counted: Cell::new(0),
        counting_since: Cell::new((arguments.warmup == 0).then(Instant::now)),
        latency_ns: RefCell::new(histogram()?),
    });
    on_one_thread(async {
        let mut callers = Vec::new();
        for _ in 0..arguments.connections {
            let sender = connect(&arguments.address).await?;
            for _ in 0..arguments.in_flight {
                callers.push(spawn_local(Rc::clone(&shared).pairs(sender.clone())));
            }
        }
        for caller in callers {
            caller.await.map_err(|error| error.to_string())??;
        }
        Ok(())
    })?;
    let seconds = shared
        .counting_since
        .get()
        .map_or(0.0, |since| since.elapsed().as_secs_f64());
    let counted = shared.counted.get();
    Ok(Measured {
        seconds,
        latency_ns: shared.latency_ns.borrow().clone(),
        statuses: BTreeMap::from([("0".to_owned(), counted)]),
        errors: BTreeMap::new(),
        response_bytes: 0,
        recorded: Some(Recorded {
            batch: 1,
            tally: Tally {
                accepted: shared.next.get(),
                ..Tally::default()
            },
            event_bytes: purchase(&shared.event_id(0), &shared.users[0], "item", 0).len() as f64,
            complaint: None,
        }),
        scheduling: None,
    })
}

impl Shared {
    async fn pairs(self: Rc<Self>, mut sender: SendRequest<Bytes>) -> Result<(), String> {
        let mut answer = Vec::new();
        while self.wants_more() {
            let number = self.next.replace(self.next.get() + 1);
            let user_id = &self.users[number as usize % self.users.len()];
            let asked = framed(&recommend_request(user_id));
            self.send(&mut sender, &self.recommend, asked.clone(), &mut answer)
                .await?;
            let page = item_ids(&answer)?;
            let item_id = page
                .first()
                .ok_or_else(|| format!("nothing is recommended to {user_id}"))?;

            let at_us = self.clock_start_us + self.began.elapsed().as_micros() as i64;
            let event = purchase(&self.event_id(number), user_id, item_id, at_us);
            let event = framed(&event);
            let began = Instant::now();
            self.send(&mut sender, &self.record_events, event, &mut answer)
                .await?;
            accepted(&answer)?;
            self.send(&mut sender, &self.recommend, asked, &mut answer)
                .await?;
            let took = began.elapsed();
            if item_ids(&answer)?.contains(item_id) {
                return Err(format!(
                    "{user_id} bought {item_id}, and the next answer still has it"
                ));
            }
            self.count(took.as_nanos() as u64);
        }
        Ok(())
    }

    async fn send(
        &self,
        sender: &mut SendRequest<Bytes>,
        uri: &Uri,
        request: Bytes,
        answer: &mut Vec<u8>,
    ) -> Result<(), String> {
        answer.clear();
        match call(sender, uri, request, answer).await {
            Ok(0) => Ok(()),
            Ok(status) => Err(format!("{uri}: a call failed with status {status}")),
            Err(error) => Err(format!("{uri}: {error}")),
        }
    }

    fn event_id(&self, number: u64) -> String {
        format!("{}{number:012}", self.id_prefix)
    }

    fn wants_more(&self) -> bool {
        match self.until {
            Until::Requests(count) => self.next.get() < self.warmup + count,
            Until::Elapsed(limit) => self
                .counting_since
                .get()
                .is_none_or(|since| since.elapsed() < limit),
        }
    }

    fn count(&self, nanoseconds: u64) {
        match self.counting_since.get() {
            Some(_) => {
                self.counted.set(self.counted.get() + 1);
                self.latency_ns.borrow_mut().saturating_record(nanoseconds);
            }
            None if self.next.get() >= self.warmup => {
                self.counting_since.set(Some(Instant::now()));
            }
            None => {}
        }
    }
}

/// `RecommendRequest` for a user with seen items hidden.
fn recommend_request(user_id: &str) -> Vec<u8> {
    let mut user = Vec::new();
    bytes(1, user_id.as_bytes(), &mut user);
    let mut seen_filter = Vec::new();
    integer(1, 1, &mut seen_filter);
    let mut request = Vec::new();
    bytes(1, &user, &mut request);
    integer(3, PAGE_SIZE, &mut request);
    bytes(5, &seen_filter, &mut request);
    request
}

/// The items of a framed `RecommendResponse`.
fn item_ids(answer: &[u8]) -> Result<Vec<String>, String> {
    let read = || {
        let mut ids = Vec::new();
        for field in Fields(answer.get(5..)?) {
            if let (1, Value::Bytes(item)) = field? {
                for field in Fields(item) {
                    if let (1, Value::Bytes(id)) = field? {
                        ids.push(String::from_utf8(id.to_vec()).ok()?);
                    }
                }
            }
        }
        Some(ids)
    };
    read().ok_or_else(|| "an answer is no RecommendResponse".to_owned())
}

/// Whether a framed `RecordEventsResponse` has accepted one event.
fn accepted(answer: &[u8]) -> Result<(), String> {
    let mut accepted = None;
    for field in Fields(answer.get(5..).unwrap_or_default()) {
        if let Some((2, Value::Integer(count))) = field {
            accepted = Some(count);
        }
    }
    match accepted {
        Some(1) => Ok(()),
        _ => Err(format!("the event was not accepted: {answer:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_looked_into() {
        let mut message = Vec::new();
        for id in ["near", "far"] {
            let mut item = Vec::new();
            bytes(1, id.as_bytes(), &mut item);
            integer(2, 1, &mut item);
            bytes(1, &item, &mut message);
        }
        bytes(2, b"a snapshot", &mut message);
        assert_eq!(item_ids(&framed(&message)).expect("items"), ["near", "far"]);
        assert!(item_ids(&framed(&message[..3])).is_err());
        assert!(item_ids(&[]).is_err());

        let mut one = Vec::new();
        integer(2, 1, &mut one);
        accepted(&framed(&one)).expect("accepted");
        let mut none = Vec::new();
        integer(4, 1, &mut none);
        accepted(&framed(&none)).expect_err("rejected");
    }
}
