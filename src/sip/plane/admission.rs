//! Who may begin something: those whom the operator trusts, and with digest those who show who they are (RFC 3261 section 22).

#![expect(clippy::disallowed_methods, reason = "a look-up has to be waited for")]

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::driver::{Done, Driver};
use crate::accounts::Account;
use crate::relay::{Claimant, Event, LookUpFailure};
use crate::sip::b2bua::{Admission, Refusal};
use crate::sip::digest::{Challenge, Guard, Role, Terms, Verdict};
use crate::sip::message::Request;
use crate::sip::transaction::ServerId;
use crate::sip::way::{FlowId, Protocol};

/// Who asks strangers for credentials; nobody does where they are refused.
pub(super) struct Door {
    guard: Option<Guard>,
    random: ChaCha12Rng,
}

impl Door {
    /// A door with these terms; nonces and challenges follow from the seed.
    pub(super) fn new(terms: Option<Terms>, seed: [u8; 32]) -> Door {
        let mut door = Door { guard: None, random: ChaCha12Rng::from_seed(seed) };
        door.reconfigure(terms);
        door
    }

    /// Puts other terms in force; nonces that are out stay good.
    pub(super) fn reconfigure(&mut self, terms: Option<Terms>) {
        match (terms, &mut self.guard) {
            (None, _) => self.guard = None,
            (Some(terms), Some(guard)) => guard.reconfigure(terms),
            (Some(terms), None) => {
                let (mut key, mut opaque) = ([0; 32], [0; 8]);
                self.random.fill_bytes(&mut key);
                self.random.fill_bytes(&mut opaque);
                let opaque = opaque.iter().map(|octet| format!("{octet:02x}")).collect();
                self.guard = Some(Guard::new(terms, key, LABEL, opaque));
            }
        }
    }
}

/// Of our nonces; shards have theirs.
const LABEL: u16 = u16::MAX;

/// Credentials whose account has been looked up.
pub(super) struct Claim {
    server: ServerId,
    request: Box<Request>,
    flow: FlowId,
    account: Result<Option<Account>, LookUpFailure>,
}

/// A call passes us, anything else is for us.
fn role(request: &Request) -> Role {
    if request.method == "INVITE" { Role::Proxy } else { Role::Server }
}

impl Driver {
    /// Decides at once, or when the credentials have been looked up.
    pub(super) fn admit(&mut self, server: ServerId, request: Box<Request>, flow: FlowId) {
        let now = self.now();
        let trusted = match flow.protocol {
            Protocol::Udp => self.dialer.trusted(flow.remote.ip()),
            Protocol::Tcp | Protocol::Tls => self.streams.get(&flow).and_then(|flow| flow.trust().cloned()),
        };
        if trusted.is_some() {
            return self.b2bua.admitted(server, Ok(Admission::default()), now);
        }
        let Some(guard) = &self.door.guard else {
            return self.b2bua.admitted(server, Err(refusal(403)), now);
        };
        match guard.credentials(role(&request), &request).map(|found| found.map(|c| c.user().to_owned())) {
            Err(_) => self.b2bua.admitted(server, Err(refusal(400)), now),
            Ok(None) => self.challenge(server, &request, false),
            Ok(Some(user)) => {
                let (shared, done) = (self.shared.clone(), self.done.clone());
                tokio::task::spawn_local(async move {
                    let account = shared.account(&user, Some(flow.remote.ip()), false).await;
                    let _ = done.send(Done::Claimed(Claim { server, request, flow, account })).await;
                });
            }
        }
    }

    fn challenge(&mut self, server: ServerId, request: &Request, stale: bool) {
        let now = self.now();
        let Door { guard: Some(guard), random } = &mut self.door else { return };
        let Challenge { status, headers, .. } = guard.challenge(role(request), stale, now, random);
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.b2bua.admitted(server, Err(Refusal { status, headers }), now);
    }

    /// What credentials are worth, now that their account is known. An unknown user takes the way of a wrong password.
    pub(super) fn claimed(&mut self, claim: Claim) {
        let Claim { server, request, flow, account } = claim;
        let now = self.now();
        let account = match account {
            Ok(account) => account,
            Err(LookUpFailure::RateLimited) => {
                let wait = vec![("Retry-After".to_owned(), "60".to_owned())];
                return self.b2bua.admitted(server, Err(Refusal { status: 503, headers: wait }), now);
            }
            Err(LookUpFailure::Unavailable) => return self.b2bua.admitted(server, Err(refusal(500)), now),
        };
        // The terms may have changed since.
        let Some((guard, credentials)) = self.door.guard.as_mut().and_then(|guard| {
            let credentials = guard.credentials(role(&request), &request).ok().flatten()?;
            Some((guard, credentials))
        }) else {
            return self.b2bua.admitted(server, Err(refusal(403)), now);
        };
        let user = credentials.user().to_owned();
        match guard.judge(&credentials, account.as_ref().map(|a| &a.ha1), now) {
            Verdict::Right if account.is_some_and(|account| account.relay) => {
                let realm = self.setup.digest.as_ref().map(|terms| terms.realm.as_str().into());
                let admission = Admission { user: Some(user.into()), realm };
                self.b2bua.admitted(server, Ok(admission), now);
            }
            Verdict::Right => self.b2bua.admitted(server, Err(refusal(403)), now),
            Verdict::Stale => self.challenge(server, &request, true),
            Verdict::Wrong => {
                let from = if flow.protocol == Protocol::Udp { Claimant::Datagram } else { Claimant::Client };
                self.shared.tell(Event::AuthFailed { peer: Some(flow.remote), failures: 1, from });
                self.challenge(server, &request, false);
            }
        }
    }
}

fn refusal(status: u16) -> Refusal {
    Refusal { status, headers: Vec::new() }
}
