//! The bench of the SIP control plane: real peers as processes, and a user agent that a test drives by hand.
//!
//! * [`sipp`] runs the scenarios beside this file, as caller or callee; [`storm`] runs many calls of them at once.
//! * [`kamailio`] runs `config/kamailio/kamailio.cfg`, [`baresip`] a softphone without a display.
//! * [`ua`] is a user agent in the test itself. It has a reader of its own, so that it can judge ours.
//! * [`ports`] hands out ports to programs that cannot take port 0, [`process`] ends what was started.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part of this")]

pub mod baresip;
pub mod kamailio;
pub mod ports;
pub mod process;
pub mod sipp;
pub mod storm;
pub mod ua;

use std::time::Duration;

/// How long anything may take that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// What carries SIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl Transport {
    /// As a URI parameter has it.
    pub fn param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }

    /// As a Via has it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}
