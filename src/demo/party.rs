//! One of the two clients.

use std::time::Duration;

use tokio::time::timeout;

use super::{RelayAccess, error::DemoError};
use crate::client::{Endpoint, EndpointOptions, Event, Grant, Progress, Sending};

/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Messages up to this length are kept whole.
const COLLECT: usize = 64 * 1024;

/// A client with a session at the relay.
pub(super) struct Party {
    pub(super) endpoint: Endpoint,
    pub(super) grant: Grant,
}

impl Party {
    /// Connects through TLS and obtains a URI by AUTH.
    pub(super) async fn join(relay: &RelayAccess, (user, password): &(String, String)) -> Result<Party, DemoError> {
        let options = EndpointOptions { collect: COLLECT, ..EndpointOptions::default() };
        let (address, name) = (relay.address, &relay.server_name);
        let endpoint = Endpoint::connect_tls_with(address, name, &relay.ca_pem, None, options).await?;
        let grant = endpoint.authenticate(&relay.uri, user, password, None).await?;
        Ok(Party { endpoint, grant })
    }

    /// The To-Path from here to `other`: our relay, its relay, itself.
    pub(super) fn to_path(&self, other: &Party) -> String {
        self.grant.to_path(&other.grant.own_path(other.endpoint.uri()))
    }

    /// The next thing that comes in.
    pub(super) async fn event(&self) -> Result<Event, DemoError> {
        match timeout(PATIENCE, self.endpoint.event()).await {
            Err(_) => Err(DemoError::Stalled(PATIENCE)),
            Ok(None) => Err(self.endpoint.closed().await.into()),
            Ok(Some(event)) => Ok(event),
        }
    }

    pub(super) async fn leave(self) {
        self.endpoint.close().await;
    }
}

/// Waits until a message is accepted and reported as a whole, as long as something happens to it.
pub(super) async fn outcome(mut sending: Sending) -> Result<Progress, DemoError> {
    let mut now = sending.progress();
    loop {
        if now.reported() && now.accepted {
            return Ok(now);
        }
        if let Some(failure) = now.failure {
            return Err(failure.into());
        }
        let before = now;
        let step = sending.until(|progress| *progress != before);
        now = timeout(PATIENCE, step).await.map_err(|_| DemoError::Stalled(PATIENCE))??;
    }
}
