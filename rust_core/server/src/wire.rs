//! The messages of the protocol, generated from `proto/`.
//!
//! Nothing outside this crate sees them: the engine has its own words.
#![allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    dead_code,
    reason = "generated code, of which the messages that are written by hand are built in tests only"
)]

pub mod promosvc {
    pub mod log {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/promosvc.log.v1.rs"));
        }
    }
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/promosvc.v1.rs"));
    }
}

pub mod grpc {
    pub mod health {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
        }
    }
    pub mod reflection {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
        }
    }
}

pub mod google {
    pub mod rpc {
        include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
    }
}

/// The file descriptor set of everything that is served, imports first.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
