//! The methods of the protocol, and their paths.

use promosvc_engine::error::{Error, ErrorKind};

/// A method of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Recommend,
    GetFeatures,
    RecordEvents,
    UpsertItems,
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
            "promosvc.v1.PromoService/RecordEvents" => Method::RecordEvents,
            "promosvc.v1.PromoService/UpsertItems" => Method::UpsertItems,
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
            Method::Recommend
            | Method::GetFeatures
            | Method::RecordEvents
            | Method::UpsertItems => false,
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

#[cfg(test)]
mod tests {
    use super::*;

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
