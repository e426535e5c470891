//! RecordEvents requests, made on the fly: every event is new, and making it costs almost nothing.
//!
//! A pool of templates is encoded before the run: name, user, item, order, money and session, drawn by the
//! seed. An event is a template with two holes filled: the sixteen hex digits of its id, and the seconds of its time, which
//! run on from `--clock-start`. Both have a fixed width, so an event is one copy and two small writes, some
//! 50 ns. Ids are a count through the run, scattered by a bijection: unique, and in no order, as ids are that browsers and
//! tills make up for themselves.
//!
//! Seven of ten events are views, two go to the cart, one is a purchase with order and amount; all name a session.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

use crate::protobuf::{Fields, Value, bytes, double, integer};

/// How many different events there are but for id and time; some 7 MB.
const TEMPLATES: usize = 65_536;
/// Hex digits at the end of an id.
const ID_DIGITS: usize = 16;
/// Seconds from 1978 to 3058 are varints of five bytes.
const SECONDS: std::ops::Range<i64> = 1 << 28..1 << 35;

/// Where users or items come from.
#[derive(Clone, Debug)]
pub(crate) enum Ids {
    /// "user-0000017" of so many.
    Count(u64),
    /// A line each.
    File(PathBuf),
}

/// What to record.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) batch: usize,
    pub(crate) users: Ids,
    pub(crate) items: Ids,
    pub(crate) id_prefix: String,
    pub(crate) seed: u64,
    pub(crate) clock_start_us: i64,
    pub(crate) expected: Expected,
}

/// What every event must come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    Accepted,
    Duplicates,
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
}

/// Makes requests and adds up answers.
pub(crate) struct Events {
    batch: usize,
    templates: Vec<Template>,
    clock_start_us: i64,
    began: Instant,
    next: Cell<u64>,
    tally: Cell<Tally>,
    complaint: RefCell<Option<String>>,
}

/// An encoded event, its field of the request included.
struct Template {
    bytes: Box<[u8]>,
    id_at: usize,
    seconds_at: usize,
}

impl Events {
    /// Encodes the templates.
    pub(crate) fn new(recording: &Recording) -> Result<Self, String> {
        let users = read_ids(&recording.users, "user")?;
        let items = read_ids(&recording.items, "item")?;
        let mut random = Random(recording.seed);
        let templates = (0..TEMPLATES)
            .map(|_| {
                let user = &users[random.below(users.len() as u64) as usize];
                let item = &items[random.below(items.len() as u64) as usize];
                template(&recording.id_prefix, user, item, &mut random)
            })
            .collect();
        Ok(Self {
            batch: recording.batch,
            templates,
            clock_start_us: recording.clock_start_us,
            began: Instant::now(),
            next: Cell::new(0),
            tally: Cell::default(),
            complaint: RefCell::default(),
        })
    }

    /// The next request, behind gRPC's prefix.
    pub(crate) fn request(&self) -> Bytes {
        let seconds = (self.clock_start_us + self.began.elapsed().as_micros() as i64) / 1_000_000;
        let mut frame = BytesMut::with_capacity(5 + self.batch * 160);
        frame.put_slice(&[0; 5]);
        for _ in 0..self.batch {
            let number = self.next.replace(self.next.get() + 1);
            let Template {
                bytes,
                id_at,
                seconds_at,
            } = &self.templates[number as usize % TEMPLATES];
            let at = frame.len();
            frame.put_slice(bytes);
            write_hex(
                scattered(number),
                &mut frame[at + id_at..at + id_at + ID_DIGITS],
            );
            write_seconds(seconds, &mut frame[at + seconds_at..at + seconds_at + 5]);
        }
        let length = (frame.len() - 5) as u32;
        frame[1..5].copy_from_slice(&length.to_be_bytes());
        frame.freeze()
    }

    /// Adds up an answer, as it came behind gRPC's prefix.
    pub(crate) fn count(&self, answer: &[u8], expected: Expected) {
        let Some(counts) = answer.get(5..).and_then(read_counts) else {
            self.complain("an answer is no RecordEventsResponse".to_owned());
            return;
        };
        let wanted = match expected {
            Expected::Accepted => counts.accepted,
            Expected::Duplicates => counts.duplicates,
        };
        if wanted != self.batch as u64 {
            self.complain(format!(
                "of {} events all should be {expected:?}: {counts:?}",
                self.batch
            ));
        }
        let before = self.tally.get();
        self.tally.set(Tally {
            accepted: before.accepted + counts.accepted,
            duplicates: before.duplicates + counts.duplicates,
            rejected: before.rejected + counts.rejected,
        });
    }

    fn complain(&self, what: String) {
        self.complaint.borrow_mut().get_or_insert(what);
    }

    /// What became of all events, those of the warm-up included.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.get()
    }

    /// The first answer that was not as expected.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.complaint.borrow().clone()
    }

    /// Bytes of an event, on average.
    pub(crate) fn event_bytes(&self) -> f64 {
        let all: usize = self
            .templates
            .iter()
            .map(|template| template.bytes.len())
            .sum();
        all as f64 / TEMPLATES as f64
    }
}

fn read_counts(message: &[u8]) -> Option<Tally> {
    let mut counts = Tally::default();
    for field in Fields(message) {
        match field? {
            (2, Value::Integer(count)) => counts.accepted = count,
            (3, Value::Integer(count)) => counts.duplicates = count,
            (4, Value::Integer(count)) => counts.rejected = count,
            _ => {}
        }
    }
    Some(counts)
}

/// The ids of a file or of a count, at least one.
pub(crate) fn read_ids(ids: &Ids, what: &str) -> Result<Vec<String>, String> {
    let read: Vec<String> = match ids {
        Ids::Count(count) => (0..*count)
            .map(|number| format!("{what}-{number:07}"))
            .collect(),
        Ids::File(path) => fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .lines()
            .map(str::to_owned)
            .collect(),
    };
    if read.is_empty() {
        return Err(format!("there is no {what}"));
    }
    Ok(read)
}

fn template(id_prefix: &str, user_id: &str, item_id: &str, random: &mut Random) -> Template {
    let kind = random.below(10);
    let name = match kind {
        0..7 => "view_item",
        7..9 => "add_to_cart",
        _ => "purchase",
    };
    let mut event = Vec::with_capacity(160);
    let id = format!("{id_prefix}{:0ID_DIGITS$}", 0);
    bytes(1, id.as_bytes(), &mut event);
    let id_at = event.len() - ID_DIGITS;
    bytes(2, name.as_bytes(), &mut event);
    bytes(3, user_id.as_bytes(), &mut event);
    bytes(4, item_id.as_bytes(), &mut event);

    let mut time = Vec::new();
    integer(1, SECONDS.start as u64, &mut time);
    integer(2, random.below(1_000_000) * 1_000, &mut time);
    bytes(5, &time, &mut event);
    // The seconds stand behind the one byte of their key.
    let seconds_at = event.len() - time.len() + 1;

    if kind >= 7 {
        double(7, (1 + random.below(3)) as f64, &mut event);
    }
    if kind == 9 {
        let order = format!("order-{:08}", random.below(100_000_000));
        bytes(6, order.as_bytes(), &mut event);
        integer(8, 99 + random.below(10_000), &mut event);
        bytes(11, b"USD", &mut event);
    }
    let mut attribute = Vec::new();
    bytes(1, b"session", &mut attribute);
    bytes(
        2,
        format!("{:016x}", random.next()).as_bytes(),
        &mut attribute,
    );
    bytes(16, &attribute, &mut event);

    let mut framed = Vec::with_capacity(event.len() + 3);
    bytes(1, &event, &mut framed);
    let ahead = framed.len() - event.len();
    Template {
        bytes: framed.into(),
        id_at: id_at + ahead,
        seconds_at: seconds_at + ahead,
    }
}

/// A `RecordEventsRequest` of one purchase.
pub(crate) fn purchase(event_id: &str, user_id: &str, item_id: &str, at_us: i64) -> Vec<u8> {
    let mut time = Vec::new();
    integer(1, (at_us / 1_000_000) as u64, &mut time);
    integer(2, (at_us % 1_000_000 * 1_000) as u64, &mut time);
    let mut event = Vec::new();
    bytes(1, event_id.as_bytes(), &mut event);
    bytes(2, b"purchase", &mut event);
    bytes(3, user_id.as_bytes(), &mut event);
    bytes(4, item_id.as_bytes(), &mut event);
    bytes(5, &time, &mut event);
    double(7, 1.0, &mut event);
    let mut request = Vec::new();
    bytes(1, &event, &mut request);
    request
}

fn write_hex(number: u64, out: &mut [u8]) {
    for (at, digit) in out.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * at)) as usize & 15];
    }
}

/// Another number for every number.
fn scattered(number: u64) -> u64 {
    Random(number).next()
}

fn write_seconds(seconds: i64, out: &mut [u8]) {
    let clamped = seconds.clamp(SECONDS.start, SECONDS.end - 1) as u64;
    for (at, byte) in out.iter_mut().enumerate() {
        let more = if at < 4 { 0x80 } else { 0 };
        *byte = (clamped >> (7 * at)) as u8 & 0x7f | more;
    }
}

/// SplitMix64: the same events for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; its bias is below one in 2^40.
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message;

    use super::*;

    /// The request as `event.proto` declares it.
    #[derive(Clone, PartialEq, Message)]
    struct Request {
        #[prost(message, repeated, tag = "1")]
        events: Vec<Event>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Event {
        #[prost(string, tag = "1")]
        event_id: String,
        #[prost(string, tag = "2")]
        event_name: String,
        #[prost(string, tag = "3")]
        user_id: String,
        #[prost(string, tag = "4")]
        item_id: String,
        #[prost(message, optional, tag = "5")]
        event_at: Option<Time>,
        #[prost(string, tag = "6")]
        order_id: String,
        #[prost(double, optional, tag = "7")]
        quantity: Option<f64>,
        #[prost(int64, optional, tag = "8")]
        amount_minor: Option<i64>,
        #[prost(string, tag = "11")]
        currency: String,
        #[prost(btree_map = "string, string", tag = "16")]
        attributes: BTreeMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Time {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    fn recording(batch: usize) -> Recording {
        Recording {
            batch,
            users: Ids::Count(3),
            items: Ids::Count(5),
            id_prefix: "near-".to_owned(),
            seed: 7,
            clock_start_us: 1_514_779_280_000_000,
            expected: Expected::Accepted,
        }
    }

    fn decoded(frame: &[u8]) -> Vec<Event> {
        let (prefix, message) = frame.split_at(5);
        assert_eq!(prefix[0], 0);
        assert_eq!(prefix[1..], (message.len() as u32).to_be_bytes());
        Request::decode(message).expect("a request").events
    }

    #[test]
    fn events_are_new_and_whole() {
        let events = Events::new(&recording(1_000)).expect("events");
        let all: Vec<Event> = (0..3).flat_map(|_| decoded(&events.request())).collect();
        let ids: BTreeSet<_> = all.iter().map(|event| &event.event_id).collect();
        assert_eq!(ids.len(), 3_000);
        for (number, event) in all.iter().enumerate() {
            let expected = format!("near-{:016x}", scattered(number as u64));
            assert_eq!(event.event_id, expected);
        }
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &all {
            *names.entry(&event.event_name).or_default() += 1;
            let time = event.event_at.as_ref().expect("a time");
            assert!((1_514_779_280..1_514_779_340).contains(&time.seconds));
            assert!((0..1_000_000_000).contains(&time.nanos));
            assert!(event.user_id.starts_with("user-000000"));
            assert!(event.item_id.starts_with("item-000000"));
            assert_eq!(event.attributes["session"].len(), 16);
            let is_purchase = event.event_name == "purchase";
            assert_eq!(event.amount_minor.is_some(), is_purchase);
            assert_eq!(event.currency == "USD", is_purchase);
        }
        assert!(names["view_item"] > 5 * names["purchase"], "{names:?}");
        assert!((90.0..150.0).contains(&events.event_bytes()));
    }

    #[test]
    fn the_same_seed_makes_the_same_events() {
        let make = |seed| {
            let events = Events::new(&Recording {
                seed,
                ..recording(10)
            });
            decoded(&events.expect("events").request())
                .into_iter()
                .map(|event| (event.user_id, event.item_id, event.attributes))
                .collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }

    #[test]
    fn answers_are_added_up_and_judged() {
        let answer = |counts: [u64; 3]| {
            let mut message = vec![0; 5];
            bytes(1, &[8, 1], &mut message);
            for (tag, count) in (2..).zip(counts) {
                integer(tag, count, &mut message);
            }
            message
        };
        let events = Events::new(&recording(3)).expect("events");
        events.count(&answer([3, 0, 0]), Expected::Accepted);
        assert_eq!(events.complaint(), None);
        events.count(&answer([1, 1, 1]), Expected::Accepted);
        assert!(events.complaint().expect("said").contains("rejected: 1"));
        assert_eq!(
            events.tally(),
            Tally {
                accepted: 4,
                duplicates: 1,
                rejected: 1
            }
        );
        let events = Events::new(&recording(3)).expect("events");
        events.count(&answer([0, 3, 0]), Expected::Duplicates);
        assert_eq!(events.complaint(), None);
        events.count(&[0; 3], Expected::Duplicates);
        assert!(events.complaint().is_some());
    }

    #[test]
    fn one_purchase_is_what_prost_reads() {
        let request = purchase("e1", "near", "lamp", 1_514_779_280_000_001);
        let read = Request::decode(request.as_slice()).expect("a request");
        let [event] = &read.events[..] else {
            panic!("one event");
        };
        assert_eq!(
            (event.event_id.as_str(), event.event_name.as_str()),
            ("e1", "purchase")
        );
        assert_eq!(
            event.event_at,
            Some(Time {
                seconds: 1_514_779_280,
                nanos: 1_000
            })
        );
        assert_eq!(
            (event.user_id.as_str(), event.item_id.as_str()),
            ("near", "lamp")
        );
    }

    #[test]
    fn lists_come_from_files_too() {
        let error = read_ids(&Ids::File("absent".into()), "user").unwrap_err();
        assert!(error.contains("absent"), "{error}");
        assert!(read_ids(&Ids::Count(0), "item").is_err());
    }
}
