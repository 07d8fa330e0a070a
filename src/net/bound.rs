//! The listening sockets of the shards: inherited, or bound here.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::accept::Listener;
use super::inherited::{Inherited, Named};
use super::server::StartError;
use super::socket;
use crate::config::{Config, Transport};
use crate::control::authority;

/// All listening sockets.
pub(super) struct Bound {
    /// Of each shard, with the number of its listener.
    pub(super) of_shards: Vec<Vec<(usize, TcpListener)>>,
    pub(super) listening: Vec<SocketAddr>,
    /// A twin of each.
    pub(super) sockets: Vec<Named>,
}

/// Each shard has a socket of its own for each listener, so that the kernel spreads connections over them. Of inherited sockets it
/// may have several: none may be closed, since connections wait in each.
pub(super) fn bind(config: &Config, shards: usize, inherited: &mut Inherited) -> Result<Bound, StartError> {
    let mut bound =
        Bound { of_shards: (0..shards).map(|_| Vec::new()).collect(), listening: Vec::new(), sockets: Vec::new() };
    for (number, listen) in config.listen.iter().enumerate() {
        let key = format!("listen[{number}]");
        let mut address = listen.address;
        let failed = |address, error| StartError::Bind { key: key.clone(), address, error };
        let mut sockets = inherited.streams(&key, address);
        let found = sockets.len();
        if found == 0 {
            sockets.push(socket::listen(address, shards > 1).map_err(|e| failed(address, e))?);
        }
        if let Some(first) = sockets.first() {
            address = first.local_addr().map_err(|e| failed(address, e))?;
        }
        for more in sockets.len()..shards {
            let socket =
                if found == 0 { socket::listen(address, true) } else { socket::join(&sockets[..found], more, address) };
            sockets.push(socket.map_err(|e| failed(address, e))?);
        }
        for (at, socket) in sockets.into_iter().enumerate() {
            let twin = socket.try_clone().map_err(|e| failed(address, e))?;
            bound.sockets.push((key.clone(), OwnedFd::from(twin)));
            bound.of_shards[at % shards].push((number, socket));
        }
        bound.listening.push(address);
    }
    Ok(bound)
}

/// What a shard accepts connections on.
pub(super) fn listeners(
    config: &Config,
    sockets: Vec<(usize, TcpListener)>,
    listening: &[SocketAddr],
) -> Vec<Listener> {
    let listener = |(number, socket): (usize, TcpListener)| {
        let (listen, bound) = (config.listen.get(number)?, listening.get(number)?);
        Some(Listener {
            socket,
            secure: listen.transport == Transport::Tls,
            auth: listen.auth,
            local: Arc::new(authority(config, listen, *bound)),
        })
    };
    sockets.into_iter().filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many sockets each of so many shards has, if it inherits so many.
    fn spread(inherits: usize, shards: usize) -> Vec<usize> {
        let text = "[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n";
        let config = Config::from_str(text, std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        let mut before = Vec::new();
        for _ in 0..inherits {
            let address = before.first().map_or(([127, 0, 0, 1], 0).into(), |l: &TcpListener| l.local_addr().unwrap());
            before.push(socket::listen(address, inherits > 1).expect("a socket"));
        }
        let mut inherited = Inherited::default();
        for socket in &before {
            let twin = socket.try_clone().expect("a twin");
            inherited.add(("listen[0]".to_owned(), twin.into())).expect("a listener");
        }
        let bound = bind(&config, shards, &mut inherited).expect("sockets");
        assert_eq!(inherited.unclaimed(), []);
        let addresses: Vec<_> = before.iter().filter_map(|l| l.local_addr().ok()).collect();
        for (_, socket) in bound.of_shards.iter().flatten() {
            let address = socket.local_addr().expect("an address");
            assert!(addresses.is_empty() || addresses.contains(&address));
            assert_eq!(address, bound.listening[0]);
        }
        bound.of_shards.iter().map(Vec::len).collect()
    }

    #[test]
    fn every_shard_has_a_socket_and_every_inherited_socket_a_shard() {
        assert_eq!(spread(0, 2), [1, 1]);
        assert_eq!(spread(2, 2), [1, 1]);
        assert_eq!(spread(3, 2), [2, 1]);
        assert_eq!(spread(4, 1), [4]);
        assert_eq!(spread(1, 3), [1, 1, 1]);
        assert_eq!(spread(2, 3), [1, 1, 1]);
    }
}
