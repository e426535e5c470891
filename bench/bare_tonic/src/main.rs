//! The peer of the serving bench: a bare tonic server.
//!
//! tonic with its `transport` feature, generated code, one current-thread runtime, and a handler that
//! answers a constant: what tonic costs by itself. The call is the health check, so that both servers read
//! and write the same bytes. Prints its bound address, and serves until it is ended.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

#[allow(clippy::all, unreachable_pub, reason = "generated code")]
mod health {
    tonic::include_proto!("grpc.health.v1");
}

use health::health_check_response::ServingStatus;
use health::health_server::{Health, HealthServer};
use health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};

struct Constant;

#[tonic::async_trait]
impl Health for Constant {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving as i32,
        }))
    }

    async fn list(
        &self,
        _request: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only Check is measured"))
    }

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only Check is measured"))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = ([127, 0, 0, 1], 0).into();
    let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
    println!("{}", incoming.local_addr()?);
    Server::builder()
        .add_service(HealthServer::new(Constant))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
