//! The messages, generated once more for the tests: the crate keeps its own to itself.
#![allow(clippy::all, dead_code, unreachable_pub, unused_imports)] // generated code, used in part by each test

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

pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

pub mod reflection {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
}

pub mod rpc {
    include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
}
