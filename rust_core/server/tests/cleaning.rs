//! The fixture of verdicts that the file import is judged by, run through RecordEvents.

mod support;

use std::collections::BTreeMap;
use std::fs;

use promosvc_server::Door;
use serde_json::Value;
use support::recording::{call, ok, recording_config, request, time};
use support::wire::promosvc::v1 as wire;
use support::{RECORD_EVENTS, parsed, published};

/// How far the wire lets an event be ahead of the clock; the import does not.
const AHEAD_US: i64 = 300_000_000;

#[test]
fn an_event_gets_the_verdict_of_the_import() {
    let text = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/cleaning.jsonl"
    ))
    .expect("the fixture");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let shared: Value = lines.next().expect("what every case shares");
    let root = published();
    let mut config = recording_config(root.path());
    let now_us = microseconds(&shared["now"]).expect("a time");
    config["clock"]["manual_now_us"] = (now_us - AHEAD_US).into();
    config["events"]["earliest_us"] = microseconds(&shared["earliest"]).into();
    config["events"]["custom_events"] = shared["custom_events"].clone();
    let door = Door::new(parsed(&config)).expect("a door");

    let mut not_said: BTreeMap<&str, usize> = BTreeMap::new();
    let mut judged = 0;
    for (number, case) in lines.enumerate() {
        let case: Value = case;
        let event = match event(number, &case, &shared) {
            Ok(event) => event,
            Err(kind) => {
                *not_said.entry(kind).or_default() += 1;
                continue;
            }
        };
        judged += 1;
        let about = &case["about"];
        let result = call(&door, RECORD_EVENTS, &request(vec![event]));
        let expected = case["verdict"].as_str().expect("a verdict");
        if expected == "ID_TOO_LONG" {
            // Online the whole request is refused, by the same name.
            let field = format!("events[0].{} ", case["field"].as_str().expect("a field"));
            assert_eq!(result.code, 3, "{about}");
            assert!(
                result.message.starts_with(&field),
                "{about}: {}",
                result.message
            );
            continue;
        }
        let response: wire::RecordEventsResponse = ok(&result);
        let [result] = response.results.as_slice() else {
            panic!("{about}: one event has one result");
        };
        if expected == "ACCEPTED" {
            assert_eq!(result.verdict, 1, "{about}: {result:?}");
            continue;
        }
        let reason = format!("REJECTION_REASON_{expected}");
        assert_eq!(result.rejection_reason().as_str_name(), reason, "{about}");
        let field = match case["field"].as_str().expect("a field") {
            "amount" => "events[0].amount_minor".to_owned(),
            field => format!("events[0].{field}"),
        };
        assert_eq!(result.field, field, "{about}");
    }
    // What a message cannot say, so that a case that is passed over is passed over on purpose.
    let expected = BTreeMap::from([
        ("a negative quantity that means a return", 1),
        ("a negative amount of a return", 1),
        ("a row that is no record", 2),
        ("a time that is none", 2),
        ("a number in words or beyond 64 bits", 4),
        ("a unit price", 4),
        ("events of an hour, counted", 6),
    ]);
    assert_eq!(not_said, expected);
    assert_eq!(
        judged + not_said.values().sum::<usize>(),
        text.lines().count() - 1
    );
}

/// The record as an event, or why a message cannot say it.
fn event(number: usize, case: &Value, shared: &Value) -> Result<wire::Event, &'static str> {
    let Some(record) = case["record"].as_object() else {
        return Err("a row that is no record");
    };
    if case["verdict"] == "BOT" {
        return Err("events of an hour, counted");
    }
    let mut event = wire::Event {
        event_id: number.to_string(),
        ..Default::default()
    };
    for (name, value) in record {
        let text = value.as_str().expect("texts");
        match name.as_str() {
            "event_name" => event.event_name = text.to_owned(),
            "user_id" => event.user_id = text.to_owned(),
            "item_id" => event.item_id = text.to_owned(),
            "currency" => event.currency = text.to_owned(),
            "event_at" => event.event_at = time(microseconds(value).ok_or("a time that is none")?),
            "quantity" => event.quantity = Some(number_of(text)?),
            "rating" => event.rating = Some(number_of(text)?),
            "amount" => {
                let digits = match record.get("currency").and_then(Value::as_str) {
                    Some("jpy") => 1.0,
                    Some("KWD") => 1_000.0,
                    _ => 100.0,
                };
                let minor = number_of(text)? * digits;
                if minor.abs() >= 9e18 {
                    return Err("a number in words or beyond 64 bits");
                }
                event.amount_minor = Some(minor.round() as i64);
            }
            "unit_price" => return Err("a unit price"),
            other => panic!("{other} is new; say how it reads as a message"),
        }
    }
    let is_return = event.event_name == "refund";
    if case["verdict"] == "ACCEPTED" && event.quantity.is_some_and(|quantity| quantity < 0.0) {
        return Err("a negative quantity that means a return");
    }
    if is_return && event.amount_minor.is_some_and(|amount| amount < 0) {
        return Err("a negative amount of a return");
    }
    if event.amount_minor.is_some() && event.currency.is_empty() {
        // The import has one for all rows.
        event.currency = shared["currency"].as_str().expect("a currency").to_owned();
    }
    Ok(event)
}

fn number_of(text: &str) -> Result<f64, &'static str> {
    let number: f64 = text
        .parse()
        .map_err(|_| "a number in words or beyond 64 bits")?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err("a number in words or beyond 64 bits")
    }
}

/// `2024-06-01T10:00:00.000001+02:00` and its like, as far as the fixture has them.
fn microseconds(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    let (date, time) = text.split_once('T')?;
    let (time, offset_hours) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = time.rsplit_once('+')?;
            (time, offset.split_once(':')?.0.parse::<i64>().ok()?)
        }
    };
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "000000"));
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + i64::from(is_leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    if !(1..=12).contains(&month) || day > lengths[month as usize - 1] {
        return None;
    }
    let years: i64 = (1970..year)
        .map(|year| 365 + i64::from(year % 4 == 0))
        .sum();
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let seconds = days * 86_400 + (hour - offset_hours) * 3_600 + minute * 60 + second;
    Some(seconds * 1_000_000 + fraction.parse::<i64>().ok()?)
}
