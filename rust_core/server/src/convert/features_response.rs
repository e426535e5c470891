//! `GetFeaturesResponse`, written straight from the engine's answer.

use promosvc_engine::decision::{FeatureAnswer, FeatureColumn, FeatureFrame};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::encode::{message, text, text_always};
use super::recommend_response::encode_time;

/// Appends the encoded response.
pub(crate) fn encode_features(answer: &FeatureAnswer, out: &mut Vec<u8>) {
    let FeatureAnswer {
        snapshot,
        read_at,
        frames,
    } = answer;
    for frame in frames {
        message(1, out, |out| encode_frame(answer, frame, out));
    }
    text(2, &snapshot.id, out);
    encode_time(3, *read_at, out);
}

fn encode_frame(answer: &FeatureAnswer, frame: &FeatureFrame, out: &mut Vec<u8>) {
    let FeatureFrame {
        view,
        columns,
        event_times,
    } = frame;
    let spec = &answer.snapshot.features.views[*view].spec;
    text(1, &spec.name, out);
    for column in columns {
        let feature = &spec.features[column.feature];
        message(2, out, |out| {
            encode_column(&feature.name, &feature.dictionary, column, out);
        });
    }
    if !event_times.is_empty() {
        let bytes = |time: i64| encoded_len_varint(time as u64) as u64;
        encode_key(3, WireType::LengthDelimited, out);
        encode_varint(event_times.iter().map(|time| bytes(time.0)).sum(), out);
        for time in event_times {
            encode_varint(time.0 as u64, out);
        }
    }
}

fn encode_column(name: &str, dictionary: &[String], column: &FeatureColumn, out: &mut Vec<u8>) {
    let FeatureColumn {
        feature: _,
        values,
        statuses,
    } = column;
    text(1, name, out);
    if !values.is_empty() {
        encode_key(2, WireType::LengthDelimited, out);
        encode_varint(4 * values.len() as u64, out);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    if !statuses.is_empty() {
        // Statuses are 1 to 4, on the wire as in the engine: one byte each.
        encode_key(3, WireType::LengthDelimited, out);
        encode_varint(statuses.len() as u64, out);
        out.extend(statuses.iter().map(|&status| status as u8));
    }
    for category in dictionary {
        text_always(4, category, out);
    }
}
