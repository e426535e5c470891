//! One call, whatever door it came through.
//!
//! Both doors hand bytes to the same `Door` and get bytes back, so that code, message, details and body
//! are equal by construction. A call decodes, checks, decides and encodes on the thread that it came in on, in some
//! tens of microseconds, and holds no lock while it does. A durable write ends in a ticket instead, which the native
//! door awaits and the grpcio door blocks on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use promosvc_engine::decision::{RecommendRequest, Recommendation};
use promosvc_engine::error::{Error, ErrorKind, Result};

use crate::admin;
use crate::attribution::Issuer;
use crate::config::MESSAGE_BYTES_MAX;
use crate::convert::{FeaturesCall, RecommendCall, encode_features, encode_recommendation};
use crate::deadline;
use crate::door::Door;
use crate::framing::too_large;
use crate::health::{decode_service, watched};
use crate::log::{self, Level};
use crate::method::{Method, method_unknown};
use crate::recording::Ticket;
use crate::status;

/// How far an admitted call came on its own thread.
#[derive(Debug)]
pub(crate) enum Answered {
    /// Its answer is encoded.
    Ready,
    /// Its answer waits for the disk.
    Pending(Ticket),
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// gRPC status code; 0 is OK.
    pub code: i32,
    /// For people; empty when OK.
    pub message: String,
    /// Trailing metadata. Keys that end in `-bin` hold raw bytes.
    pub trailing_metadata: Vec<(String, Vec<u8>)>,
    /// The encoded answer; empty unless OK.
    pub response: Vec<u8>,
}

/// Turns a panic, which is a defect of ours, into `PANIC`; the door goes on. The engine changes nothing on
/// a call, so nothing half changed can be left behind.
fn guarded<Answer>(method: Method, answer: impl FnOnce() -> Result<Answer>) -> Result<Answer> {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        log::line(Level::Error, "panic", &[("method", &format!("{method:?}"))]);
        Err(Error::new(
            ErrorKind::Internal,
            "PANIC",
            "the server failed on this request; its log says where",
        ))
    })
}

impl Door {
    /// Answers one call. `method` is its path ("/promosvc.v1.PromoService/Recommend"), with or without
    /// the first slash. Of the streaming methods it answers one step: one request, one response.
    /// `metadata` is what the caller sent beside the request; no method reads any yet. Never panics.
    /// RecordEvents and UpsertItems block until what they wrote is durable; the others wait for nothing but
    /// the processor.
    pub fn call(
        &self,
        method: &str,
        request: &[u8],
        metadata: &[(String, Vec<u8>)],
        deadline: Option<Instant>,
    ) -> CallResult {
        let _ = metadata;
        match self.try_call(method, request, deadline) {
            Ok(response) => CallResult {
                code: 0,
                message: String::new(),
                trailing_metadata: Vec::new(),
                response,
            },
            Err(error) => CallResult {
                code: status::code(error.kind) as i32,
                trailing_metadata: status::trailing_metadata(&error),
                message: error.message,
                response: Vec::new(),
            },
        }
    }

    fn try_call(&self, path: &str, request: &[u8], deadline: Option<Instant>) -> Result<Vec<u8>> {
        self.check_owner()?;
        let method = Method::find(path).ok_or_else(|| method_unknown(path))?;
        if request.len() > MESSAGE_BYTES_MAX {
            return Err(too_large(request.len()));
        }
        let _in_flight = if method.is_exempt() {
            None
        } else {
            Some(self.admission().enter()?)
        };
        let mut response = Vec::with_capacity(256);
        match self.answer(method, request, deadline, &mut response)? {
            Answered::Ready => {}
            Answered::Pending(ticket) => ticket.redeem_blocking(&mut response)?,
        }
        Ok(response)
    }

    /// Appends the encoded answer of an admitted call, or says what it waits for.
    pub(crate) fn answer(
        &self,
        method: Method,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<Answered> {
        deadline::check(deadline, "work began")?;
        guarded(method, || {
            self.answer_unguarded(method, request, deadline, out)
        })
    }

    fn answer_unguarded(
        &self,
        method: Method,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<Answered> {
        match method {
            Method::Recommend => self.recommend(request, deadline, out),
            Method::GetFeatures => self.get_features(request, deadline, out),
            Method::RecordEvents => return self.record_events(request, deadline),
            Method::UpsertItems => return self.upsert_items(request, deadline),
            Method::GetStatus => admin::get_status(self, request, out),
            Method::SetClock => admin::set_clock(self, request, out),
            Method::HealthCheck => self.health().check(request, out),
            Method::HealthList => self.health().list(request, out),
            Method::HealthWatch => {
                let service = decode_service(request)?;
                watched(&service, *self.health().subscribe().borrow(), out);
                Ok(())
            }
            Method::ReflectV1 | Method::ReflectV1Alpha => self.reflection().answer(request, out),
        }?;
        Ok(Answered::Ready)
    }

    fn recommend(
        &self,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let call = RecommendCall::decode(request)?;
        let (placement, asked) = call.check()?;
        let now = self.clock().now();
        let kept_by = self.decisions().filter(|decisions| decisions.samples());
        let (answer, trace) = match kept_by {
            None => (self.engine().recommend(placement, &asked, now)?, None),
            Some(_) => {
                let (answer, trace) = self.engine().recommend_traced(placement, &asked, now)?;
                (answer, Some(trace))
            }
        };
        deadline::check(deadline, "the answer was encoded")?;
        let issuer = self.issuer(&asked, &answer);
        encode_recommendation(placement, &answer, issuer.as_ref(), out);
        if let (Some(decisions), Some(trace)) = (kept_by, trace) {
            decisions.keep(request, placement, answer, trace);
        }
        Ok(())
    }

    /// What issues the tokens of this answer: to a named user whose answer may be held to them.
    fn issuer<'a>(
        &'a self,
        request: &RecommendRequest<'a>,
        answer: &Recommendation,
    ) -> Option<Issuer<'a>> {
        if request.personalization_off {
            return None;
        }
        self.attribution()?
            .issuer(&answer.snapshot.id, answer.decided_at, request.user_id)
    }

    fn get_features(
        &self,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let call = FeaturesCall::decode(request)?;
        let answer = self
            .engine()
            .get_features(&call.check()?, self.clock().now())?;
        deadline::check(deadline, "the answer was encoded")?;
        encode_features(&answer, out);
        Ok(())
    }
}

impl Door {
    fn record_events(&self, request: &[u8], deadline: Option<Instant>) -> Result<Answered> {
        let (now, keys) = (self.clock().now(), self.attribution());
        self.recording()?
            .record_events(request, now, keys, deadline)
            .map(Answered::Pending)
    }

    fn upsert_items(&self, request: &[u8], deadline: Option<Instant>) -> Result<Answered> {
        self.recording()?
            .upsert_items(request, deadline)
            .map(Answered::Pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        let answered: Result<()> = guarded(Method::Recommend, || {
            Err(std::hint::black_box(None::<Error>).expect("a defect"))
        });
        let error = answered.unwrap_err();
        assert_eq!((error.kind, error.reason), (ErrorKind::Internal, "PANIC"));
        guarded(Method::Recommend, || Ok(())).expect("the door goes on");
    }
}
