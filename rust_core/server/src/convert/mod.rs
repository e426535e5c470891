//! Between the wire and the engine: messages become validated requests, answers become bytes.
//!
//! Requests are decoded by prost and taken apart field by field, so that a new field does not compile until
//! somebody decided what it means; every limit of the protocol's comments is enforced here, by path, value and
//! limit. Answers are written straight from the engine's borrowed strings: no message is built in
//! between. The tests build the messages and compare the bytes.

pub(crate) mod check;
mod encode;
mod features_request;
mod features_response;
mod recommend_request;
mod recommend_response;
mod time;

pub(crate) use features_request::FeaturesCall;
pub(crate) use features_response::encode_features;
pub(crate) use recommend_request::RecommendCall;
pub(crate) use recommend_response::encode_recommendation;
pub(crate) use time::{time_from, time_of, timestamp};
