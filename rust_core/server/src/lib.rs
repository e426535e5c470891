//! The native gRPC door.
