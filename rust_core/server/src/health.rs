//! Whether services are served: Check, List and Watch of health v1.
//!
//! The promotion service answers from a snapshot, so it does not serve before the first one; the admin
//! service does, because it tells why there is none. A drain ends both. gRPC's own health crate lacks
//! List (gRFC A90) and wants a status set by hand for each service; here the status follows from one
//! state.

use promosvc_engine::error::{Error, ErrorKind, Result};
use prost::Message;
use tokio::sync::watch;

use crate::wire::grpc::health::v1 as wire;
use crate::wire::grpc::health::v1::health_check_response::ServingStatus;

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// No snapshot yet.
    Starting,
    /// It answers.
    Serving,
    /// It finishes what it began.
    Draining,
}

/// The services whose health is known, sorted. The empty name is the server as a whole.
pub(crate) const SERVICES: [&str; 3] = ["", "promosvc.v1.AdminService", "promosvc.v1.PromoService"];

/// The state that health follows from; many may wait for it to change.
#[derive(Debug)]
pub(crate) struct Health {
    life: watch::Sender<Life>,
}

impl Health {
    /// Before the first snapshot.
    pub(crate) fn starting() -> Self {
        Self {
            life: watch::Sender::new(Life::Starting),
        }
    }

    /// Moves on; life never goes back.
    pub(crate) fn advance(&self, to: Life) {
        self.life.send_if_modified(|life| {
            let moves = to > *life;
            if moves {
                *life = to;
            }
            moves
        });
    }

    /// Follows the state.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Answers Check: appends the encoded response. `SERVICE_UNKNOWN` for a service nobody knows.
    pub(crate) fn check(&self, request: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let service = decode_service(request)?;
        let life = *self.life.borrow();
        let status = status_of(&service, life).ok_or_else(|| unknown(&service))?;
        encode(status, out);
        Ok(())
    }

    /// Answers List: appends the encoded response.
    pub(crate) fn list(&self, request: &[u8], out: &mut Vec<u8>) -> Result<()> {
        wire::HealthListRequest::decode(request)
            .map_err(|error| undecodable("grpc.health.v1.HealthListRequest", &error))?;
        let life = *self.life.borrow();
        let response = wire::HealthListResponse {
            statuses: SERVICES
                .iter()
                .filter_map(|service| {
                    let status = status_of(service, life)? as i32;
                    Some(((*service).to_owned(), wire::HealthCheckResponse { status }))
                })
                .collect(),
        };
        out.extend_from_slice(&response.encode_to_vec());
        Ok(())
    }
}

/// The service that a Check or Watch asks about.
pub(crate) fn decode_service(request: &[u8]) -> Result<String> {
    wire::HealthCheckRequest::decode(request)
        .map(|request| request.service)
        .map_err(|error| undecodable("grpc.health.v1.HealthCheckRequest", &error))
}

/// Appends the response of one Watch step.
pub(crate) fn watched(service: &str, life: Life, out: &mut Vec<u8>) {
    encode(
        status_of(service, life).unwrap_or(ServingStatus::ServiceUnknown),
        out,
    );
}

fn status_of(service: &str, life: Life) -> Option<ServingStatus> {
    let serves = match service {
        "" | "promosvc.v1.PromoService" => life == Life::Serving,
        "promosvc.v1.AdminService" => life != Life::Draining,
        _ => return None,
    };
    Some(if serves {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    })
}

/// A `HealthCheckResponse`: field 1, an enum that fits one byte and is never 0.
fn encode(status: ServingStatus, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x08, status as i32 as u8]);
}

fn unknown(service: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "SERVICE_UNKNOWN",
        format!(
            "service is {service:?}; known are {}",
            SERVICES.map(|name| format!("{name:?}")).join(", ")
        ),
    )
    .with("value", service)
}

/// Bytes that are not the message that the method takes.
pub(crate) fn undecodable(message: &'static str, error: &prost::DecodeError) -> Error {
    Error::invalid(
        "",
        "UNDECODABLE_REQUEST",
        format!("the request bytes are not a {message}: {error}"),
    )
    .with("message_type", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(health: &Health, service: &str) -> Result<ServingStatus> {
        let request = wire::HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut out = Vec::new();
        health.check(&request.encode_to_vec(), &mut out)?;
        Ok(wire::HealthCheckResponse::decode(out.as_slice())
            .expect("the answer decodes")
            .status())
    }

    #[test]
    fn health_follows_the_life_of_the_server() {
        let health = Health::starting();
        let promo = "promosvc.v1.PromoService";
        let admin = "promosvc.v1.AdminService";
        let mut seen = Vec::new();
        for life in [Life::Starting, Life::Serving, Life::Draining] {
            health.advance(life);
            seen.push(["", promo, admin].map(|service| check(&health, service).expect("known")));
        }
        use ServingStatus::{NotServing as No, Serving as Yes};
        assert_eq!(seen, [[No, No, Yes], [Yes, Yes, Yes], [No, No, No]]);
        health.advance(Life::Serving);
        assert_eq!(
            check(&health, "").expect("known"),
            No,
            "a drain is not taken back"
        );
    }

    #[test]
    fn an_unknown_service_is_not_found() {
        let error = check(&Health::starting(), "far.Service").unwrap_err();
        assert_eq!(
            (error.kind, error.reason),
            (ErrorKind::NotFound, "SERVICE_UNKNOWN")
        );
        let mut out = Vec::new();
        watched("far.Service", Life::Serving, &mut out);
        let answer = wire::HealthCheckResponse::decode(out.as_slice()).expect("decodes");
        assert_eq!(answer.status(), ServingStatus::ServiceUnknown);
    }

    #[test]
    fn list_names_every_service() {
        let health = Health::starting();
        let mut out = Vec::new();
        health.list(&[], &mut out).expect("lists");
        let answer = wire::HealthListResponse::decode(out.as_slice()).expect("decodes");
        assert_eq!(
            answer
                .statuses
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>(),
            SERVICES
        );
    }
}
