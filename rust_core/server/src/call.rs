//! One call, whatever door it came through.
//!
//! Both doors hand bytes to the same `Door` and get bytes back, so that code, message, details and body
//! are equal by construction. Everything here is synchronous: a call decodes, checks, decides and encodes on
//! the thread that it came in on, in some tens of microseconds, and holds no lock while it does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use promosvc_engine::engine::{Engine, EngineSettings};
use promosvc_engine::error::{Error, ErrorKind, Result};
use promosvc_engine::types::TimeUs;

use crate::admin;
use crate::admission::Admission;
use crate::clock::{Clock, machine_now};
use crate::config::{MESSAGE_BYTES_MAX, ServerConfig};
use crate::convert::{FeaturesCall, RecommendCall, encode_features, encode_recommendation};
use crate::deadline;
use crate::fork::Owner;
use crate::framing::too_large;
use crate::health::{Health, Life, decode_service, watched};
use crate::log::{self, Level};
use crate::reflection::Reflection;
use crate::snapshots::Snapshots;
use crate::status;
use crate::wire::DESCRIPTORS;

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

/// A method of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Recommend,
    GetFeatures,
    GetStatus,
    SetClock,
    HealthCheck,
    HealthList,
    HealthWatch,
    ReflectV1,
    ReflectV1Alpha,
}

impl Method {
    /// The method of a path ("/promosvc.v1.PromoService/Recommend"), with or without its first slash.
    pub(crate) fn find(path: &str) -> Option<Method> {
        Some(match path.strip_prefix('/').unwrap_or(path) {
            "promosvc.v1.PromoService/Recommend" => Method::Recommend,
            "promosvc.v1.PromoService/GetFeatures" => Method::GetFeatures,
            "promosvc.v1.AdminService/GetStatus" => Method::GetStatus,
            "promosvc.v1.AdminService/SetClock" => Method::SetClock,
            "grpc.health.v1.Health/Check" => Method::HealthCheck,
            "grpc.health.v1.Health/List" => Method::HealthList,
            "grpc.health.v1.Health/Watch" => Method::HealthWatch,
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => Method::ReflectV1,
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
                Method::ReflectV1Alpha
            }
            _ => return None,
        })
    }

    /// Whether it is answered even when too many calls are in flight.
    pub(crate) fn is_exempt(self) -> bool {
        match self {
            Method::Recommend | Method::GetFeatures => false,
            Method::GetStatus
            | Method::SetClock
            | Method::HealthCheck
            | Method::HealthList
            | Method::HealthWatch
            | Method::ReflectV1
            | Method::ReflectV1Alpha => true,
        }
    }

    /// Whether it is a stream of questions about the protocol itself.
    pub(crate) fn is_reflection(self) -> bool {
        matches!(self, Method::ReflectV1 | Method::ReflectV1Alpha)
    }
}

/// No method has this path (`METHOD_UNKNOWN`).
pub(crate) fn method_unknown(path: &str) -> Error {
    // A path may be as long as the header list: only its beginning is repeated.
    let shown: String = path.chars().take(256).collect();
    Error::new(
        ErrorKind::Unimplemented,
        "METHOD_UNKNOWN",
        format!("this server has no method {shown}; ask its reflection service for what it has"),
    )
    .with("method", shown)
}

/// Turns a panic, which is a defect of ours, into `PANIC`; the door goes on. The engine changes nothing on
/// a call, so nothing half changed can be left behind.
fn guarded(method: Method, answer: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        log::line(Level::Error, "panic", &[("method", &format!("{method:?}"))]);
        Err(Error::new(
            ErrorKind::Internal,
            "PANIC",
            "the server failed on this request; its log says where",
        ))
    })
}

/// The engine with all that a call needs: clock, snapshots, limits, health.
pub struct Door {
    owner: Owner,
    engine: Arc<Engine>,
    clock: Clock,
    admission: Arc<Admission>,
    health: Arc<Health>,
    reflection: Reflection,
    snapshots: Snapshots,
    started_at: TimeUs,
}

impl Door {
    /// Makes a door without a listener: takes the published snapshot, if there is one, and starts the
    /// thread that follows publications. A snapshot that does not verify is no error here: the door
    /// answers UNAVAILABLE and GetStatus says why.
    pub fn new(config: ServerConfig) -> Result<Door> {
        config.server.check()?;
        let ServerConfig {
            server,
            clock,
            snapshots,
            placements,
        } = config;
        let settings = EngineSettings { placements };
        let engine = Arc::new(Engine::new(settings.clone())?);
        let health = Arc::new(Health::starting());
        Ok(Door {
            owner: Owner::this_process(),
            reflection: Reflection::new(DESCRIPTORS)?,
            snapshots: Snapshots::follow(snapshots, settings, &engine, &health)?,
            engine,
            clock: Clock::new(clock),
            admission: Admission::new(server.in_flight_calls_max),
            health,
            started_at: machine_now(),
        })
    }

    /// Answers one call. `method` is its path ("/promosvc.v1.PromoService/Recommend"), with or without
    /// the first slash. Of the streaming methods it answers one step: one request, one response.
    /// `metadata` is what the caller sent beside the request; no method reads any yet. Never panics,
    /// never waits for anything but the processor.
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

    /// Says NOT_SERVING from now on; what is asked is still answered.
    pub fn drain(&self) {
        self.health.advance(Life::Draining);
    }

    fn try_call(&self, path: &str, request: &[u8], deadline: Option<Instant>) -> Result<Vec<u8>> {
        self.owner.check()?;
        let method = Method::find(path).ok_or_else(|| method_unknown(path))?;
        if request.len() > MESSAGE_BYTES_MAX {
            return Err(too_large(request.len()));
        }
        let _ticket = if method.is_exempt() {
            None
        } else {
            Some(self.admission.enter()?)
        };
        let mut response = Vec::with_capacity(256);
        self.answer(method, request, deadline, &mut response)?;
        Ok(response)
    }

    /// Appends the encoded answer of an admitted call.
    pub(crate) fn answer(
        &self,
        method: Method,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
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
    ) -> Result<()> {
        match method {
            Method::Recommend => self.recommend(request, deadline, out),
            Method::GetFeatures => self.get_features(request, deadline, out),
            Method::GetStatus => admin::get_status(self, request, out),
            Method::SetClock => admin::set_clock(self, request, out),
            Method::HealthCheck => self.health.check(request, out),
            Method::HealthList => self.health.list(request, out),
            Method::HealthWatch => {
                let service = decode_service(request)?;
                watched(&service, *self.health.subscribe().borrow(), out);
                Ok(())
            }
            Method::ReflectV1 | Method::ReflectV1Alpha => self.reflection.answer(request, out),
        }
    }

    fn recommend(
        &self,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let call = RecommendCall::decode(request)?;
        let (placement, request) = call.check()?;
        let answer = self
            .engine
            .recommend(placement, &request, self.clock.now())?;
        deadline::check(deadline, "the answer was encoded")?;
        encode_recommendation(placement, &answer, out);
        Ok(())
    }

    fn get_features(
        &self,
        request: &[u8],
        deadline: Option<Instant>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let call = FeaturesCall::decode(request)?;
        let answer = self.engine.get_features(&call.check()?, self.clock.now())?;
        deadline::check(deadline, "the answer was encoded")?;
        encode_features(&answer, out);
        Ok(())
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    pub(crate) fn started_at(&self) -> TimeUs {
        self.started_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        let answered = guarded(Method::Recommend, || {
            Err(std::hint::black_box(None::<Error>).expect("a defect"))
        });
        let error = answered.unwrap_err();
        assert_eq!((error.kind, error.reason), (ErrorKind::Internal, "PANIC"));
        guarded(Method::Recommend, || Ok(())).expect("the door goes on");
    }

    #[test]
    fn paths_are_found_with_and_without_their_slash() {
        for slash in ["", "/"] {
            let path = format!("{slash}promosvc.v1.PromoService/Recommend");
            assert_eq!(Method::find(&path), Some(Method::Recommend));
        }
        for path in ["", "/", "//promosvc.v1.PromoService/Recommend", "Recommend"] {
            assert_eq!(Method::find(path), None, "{path}");
        }
    }
}
