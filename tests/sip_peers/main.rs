//! SIPp, Kamailio and baresip among themselves: what the tests of the control plane rest upon is shown to work without it.
//! Debian's packages: `tests/sip/install.sh`.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod between;
mod calls;
mod offers;
mod others;
mod proxy;
#[path = "../sip/mod.rs"]
mod sip;

const A: &str = "msrp://127.0.0.1:7001/alice1;tcp";
const A2: &str = "msrp://127.0.0.1:7003/alice2;tcp";
const B: &str = "msrp://127.0.0.1:7002/bob1;tcp";
const B2: &str = "msrp://127.0.0.1:7004/bob2;tcp";
