//! Ports for programs that cannot take port 0 and tell which one they got.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the system deals out ports by itself, so that nobody gets one of these by chance.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Where claims are made: a loopback address that nothing else uses.
const CLAIMS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// A port of 127.0.0.1, UDP and TCP, that no other test takes while this value lives.
///
/// The claim is a socket on another loopback address: it keeps the tests of all processes apart and leaves the port itself
/// free for the program that is to have it, as long as that binds to 127.0.0.1 and not to all addresses.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: TcpListener,
}

impl Port {
    /// Claims one that is free.
    pub fn claim() -> Port {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let start = std::process::id() % u32::from(COUNT);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = FIRST + ((start * 37 + u32::from(step)) % u32::from(COUNT)) as u16;
            let Ok(claim) = TcpListener::bind((CLAIMS, number)) else { continue };
            let here = (Ipv4Addr::LOCALHOST, number);
            if TcpListener::bind(here).is_ok() && UdpSocket::bind(here).is_ok() {
                return Port { number, _claim: claim };
            }
        }
        panic!("no port is free");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on loopback.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}
