//! AUTH for this relay: the checks in their order, the look-up outside, the token (RFC 4976 sections 5.1, 6.3 and 9.1;
//! AMB-48 to 56).

use std::sync::Arc;
use std::time::Duration;

use super::event::{AuthOutcome, Claimant};
use super::link::{CloseReason, Frame, Link, LinkId, Waiting};
use super::refusal::Refusal;
use super::{Event, Output, Relay};
use crate::auth::{self, Authorization, AuthorizationError, Ha1, NonceState, Verdict};
use crate::moment::Moment;
use crate::msrp::{Head, Path, Status, Uri};

/// Failed AUTHs that close a client's link.
const FAILURES: u32 = 3;
/// Challenges that a link may ask for without ever answering one.
const CHALLENGES: u32 = 1000;

/// What a credential store knows of a user.
#[derive(Clone, Debug)]
pub struct Account {
    /// Digest secrets.
    pub ha1: Ha1,
    /// May use the relay.
    pub relay: bool,
    /// A lease for one more token of this user was granted; without it the quota is used up.
    pub lease: bool,
}

/// Why a look-up gave nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookUpFailure {
    /// The store is out of order.
    Unavailable,
    /// Too many AUTHs from this address, or it is banned.
    RateLimited,
}

/// An AUTH whose account is being looked up.
pub(super) struct AuthAttempt {
    head: Head,
    user: Arc<str>,
}

/// A wish for a token life (RFC 4976 section 4.6).
enum Expires {
    Default,
    Granted(u64),
    TooSmall,
    TooLarge,
    Malformed,
}

impl Relay {
    /// The AUTH names this relay and nothing behind it.
    pub(super) fn is_for_us(&self, head: &Head) -> bool {
        let Some(to) = head.to_path().filter(|p| p.len() == 1) else { return false };
        to.first().and_then(|u| Uri::parse(u).ok()).is_some_and(|u| self.settings.is_auth_target(&u))
    }

    /// An AUTH that is addressed to us.
    pub(super) fn authorize(&mut self, id: LinkId, head: Head, now: Moment) {
        let Some(link) = self.links.get(id) else { return };
        // A connection that we have made to a peer relay is as good as one from there: its users come by either (RLY-67).
        let relay = link.meta.relay.is_some();
        let serves = link.meta.auth || (relay && link.dialled && link.meta.secure);
        if !serves {
            self.count_auth(AuthOutcome::Forbidden);
            self.respond(id, &head, Status::FORBIDDEN, &[], now);
            // Others' sessions are on a relay's link: it is never closed for an AUTH (RLY-24).
            if !relay {
                self.close_flushing(id, CloseReason::AuthNotServed, now);
            }
            return;
        }
        let from = head.from_path().map(|p| (p.len(), p.first().unwrap_or_default().to_vec()));
        let Some((hops, from_first)) = from else { return };
        if relay && self.check_identity(id, &from_first).is_err() {
            return self.refuse(id, &head, Refusal::Impostor, now);
        }
        if !relay && hops > 1 {
            // A client speaks for itself; only a relay brings others (RLY-5).
            self.count_auth(AuthOutcome::Forbidden);
            return self.respond(id, &head, Status::FORBIDDEN, &[], now);
        }
        if self.draining {
            self.count_auth(AuthOutcome::Forbidden);
            return self.refuse(id, &head, Refusal::Draining, now);
        }
        let Some(value) = head.header("Authorization") else {
            let Some(link) = self.links.get_mut(id) else { return };
            link.challenges += 1;
            let many = link.challenges > CHALLENGES && link.meta.relay.is_none();
            self.challenge(id, &head, false, now);
            if many {
                self.close_flushing(id, CloseReason::AuthFailures, now);
            }
            return;
        };
        let rules = &self.settings.auth;
        let checked =
            Authorization::parse(value).and_then(|a| a.check(&self.settings.realm, &rules.algorithms).map(|()| a));
        let authorization = match checked {
            Ok(a) => a,
            Err(AuthorizationError::NotDigest) => return self.challenge(id, &head, false, now),
            Err(_) => return self.malformed(id, &head, now),
        };
        let equivalent = authorization.uri.as_deref().is_none_or(|uri| self.same_target(&head, uri.as_bytes()));
        if !equivalent {
            return self.malformed(id, &head, now);
        }
        let user = authorization.username.as_ref().to_owned();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let until = now + rules.lookup_timeout;
        let Some(link) = self.links.get_mut(id) else { return };
        // A relay brings many users from one address: the limits of addresses are not for it.
        let peer = link.meta.peer.filter(|_| link.meta.relay.is_none());
        let in_session = !link.owned.is_empty();
        let attempt = AuthAttempt { head: head.clone(), user: user.as_str().into() };
        link.waiting = Some(Waiting::Account { ticket, attempt: Box::new(attempt), until });
        self.outputs.push_back(Output::LookUp { link: id, ticket, user, peer, in_session });
        self.arm(id, until);
    }

    fn malformed(&mut self, id: LinkId, head: &Head, now: Moment) {
        self.count_auth(AuthOutcome::Malformed);
        self.refuse(id, head, Refusal::Bad, now);
    }

    /// AMB-48: a `uri` parameter spelled otherwise still means the same target.
    fn same_target(&self, head: &Head, uri: &[u8]) -> bool {
        let target = head.to_path().and_then(LastText::last_text).unwrap_or_default();
        if uri == target {
            return true;
        }
        match (Uri::parse(uri), Uri::parse(target)) {
            (Ok(a), Ok(b)) => a.equivalent(&b),
            _ => false,
        }
    }

    /// 401 with a fresh challenge for each algorithm, the strongest first (AMB-50).
    fn challenge(&mut self, id: LinkId, head: &Head, stale: bool, now: Moment) {
        self.count_auth(if stale { AuthOutcome::Stale } else { AuthOutcome::Challenged });
        let nonce = self.nonces.issue_until(now + self.settings.auth.nonce_lifetime, &mut self.rng);
        let s = &self.settings;
        let values: Vec<String> = auth::challenges(&s.realm, &nonce, &self.opaque, &s.auth.algorithms, stale).collect();
        let extra: Vec<(&str, &[u8])> = values.iter().map(|v| ("WWW-Authenticate", v.as_bytes())).collect();
        self.respond(id, head, Status::UNAUTHORIZED, &extra, now);
    }

    /// The answer to an [`Output::LookUp`]. `Ok(None)` is an unknown user.
    pub fn handle_account(
        &mut self,
        id: LinkId,
        ticket: u64,
        answer: Result<Option<Account>, LookUpFailure>,
        now: Moment,
    ) {
        let lease = matches!(&answer, Ok(Some(a)) if a.lease);
        let expected =
            |l: &mut Link| l.waiting.take_if(|w| matches!(w, Waiting::Account { ticket: t, .. } if *t == ticket));
        let Some(Waiting::Account { attempt, .. }) = self.links.get_mut(id).and_then(expected) else {
            // Nobody waits for it any more, but its lease must not be lost.
            let user = self.abandoned.remove(&ticket).filter(|_| lease);
            self.outputs.extend(user.map(|user| Output::Release { user }));
            return;
        };
        let granted = self.conclude(id, &attempt, answer, now);
        if lease && !granted {
            self.outputs.push_back(Output::Release { user: attempt.user });
        }
        self.pump(id, now);
    }

    /// The link does not wait for this any more; a look-up may still be answered.
    pub(super) fn abandon(&mut self, waiting: Option<Waiting>) {
        if let Some(Waiting::Account { ticket, attempt, .. }) = waiting {
            self.abandoned.insert(ticket, attempt.user);
        }
    }

    /// A look-up that took too long: 401, and the link goes on.
    pub(super) fn lookup_timeout(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        let due = link.waiting.take_if(|w| matches!(w, Waiting::Account { until, .. } if *until <= now));
        let Some(Waiting::Account { ref attempt, .. }) = due else { return };
        let head = attempt.head.clone();
        self.abandon(due);
        self.count_auth(AuthOutcome::StoreFailed);
        self.challenge(id, &head, false, now);
        self.pump(id, now);
    }

    /// Digest, then permission, then Expires, then the quota (RLY-93). Whether a token was given.
    fn conclude(
        &mut self,
        id: LinkId,
        attempt: &AuthAttempt,
        answer: Result<Option<Account>, LookUpFailure>,
        now: Moment,
    ) -> bool {
        let AuthAttempt { head, user } = attempt;
        let value = head.header("Authorization").unwrap_or_default();
        let Ok(authorization) = Authorization::parse(value) else { return false };
        let account = match answer {
            Ok(account) => account,
            Err(LookUpFailure::Unavailable) => {
                self.count_auth(AuthOutcome::StoreFailed);
                self.challenge(id, head, false, now);
                return false;
            }
            Err(LookUpFailure::RateLimited) => {
                self.count_auth(AuthOutcome::Forbidden);
                self.refuse(id, head, Refusal::Quota, now);
                return false;
            }
        };
        let target = head.to_path().and_then(LastText::last_text).unwrap_or_default();
        let rules = &self.settings.auth;
        let ha1 = account.as_ref().map(|a| &a.ha1);
        let verdict = auth::verify(&authorization, ha1, target, true, rules.msrp_method, &rules.algorithms);
        let proof = match verdict {
            Verdict::Right(proof) => proof,
            Verdict::Wrong => {
                self.count_auth(AuthOutcome::Failed);
                self.challenge(id, head, false, now);
                self.auth_failed(id, now);
                return false;
            }
            Verdict::Malformed(_) => {
                self.malformed(id, head, now);
                return false;
            }
        };
        let nonce = authorization.nonce.as_bytes();
        if self.nonces.accept(nonce, authorization.nc, now) != NonceState::Good {
            self.challenge(id, head, true, now);
            return false;
        }
        let allowed = account.as_ref().is_some_and(|a| a.relay);
        if !allowed {
            self.count_auth(AuthOutcome::Forbidden);
            self.respond(id, head, Status::FORBIDDEN, &[], now);
            self.auth_failed(id, now);
            return false;
        }
        let (min, max) = (rules.min_expires.to_string(), rules.max_expires.to_string());
        let (life, named) = match expires(head, rules) {
            Expires::Default => (rules.default_expires, false),
            Expires::Granted(life) => (life, true),
            Expires::TooSmall => {
                self.count_auth(AuthOutcome::OutOfBounds);
                self.respond(id, head, Status::OUT_OF_BOUNDS, &[("Min-Expires", min.as_bytes())], now);
                return false;
            }
            Expires::TooLarge => {
                self.count_auth(AuthOutcome::OutOfBounds);
                self.respond(id, head, Status::OUT_OF_BOUNDS, &[("Max-Expires", max.as_bytes())], now);
                return false;
            }
            Expires::Malformed => {
                self.malformed(id, head, now);
                return false;
            }
        };
        let Some(link) = self.links.get(id) else { return false };
        let relay = link.relay_name().cloned();
        let full = relay.is_none() && link.owned.len() >= self.settings.limits.tokens_per_connection;
        let short = self.short_of_memory(80);
        if full || short || !account.as_ref().is_some_and(|a| a.lease) {
            self.count_auth(AuthOutcome::Forbidden);
            self.refuse(id, head, if short { Refusal::Shortage } else { Refusal::Quota }, now);
            return false;
        }
        let next = self.nonces.issue_until(now + self.settings.auth.nonce_lifetime, &mut self.rng);
        let info = auth::authentication_info(&proof, Some(&next));
        let minted = self.mint(id, user.clone(), now + Duration::from_secs(life), named, relay, now);
        let Some((_, uri)) = minted else { return false };
        let use_path = use_path(head, &uri);
        let life = life.to_string();
        let extra: [(&str, &[u8]); 3] =
            [("Use-Path", &use_path), ("Expires", life.as_bytes()), ("Authentication-Info", info.as_bytes())];
        self.count_auth(AuthOutcome::Granted);
        self.respond(id, head, Status::OK, &extra, now);
        self.end_probation(id);
        true
    }

    /// One more wrong password; on a client's link the third closes it (RLY-23), on a relay's none does (RLY-24).
    fn auth_failed(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.auth_failures += 1;
        let (failures, peer) = (link.auth_failures, link.meta.peer);
        let from = link.relay_name().map_or(Claimant::Client, |name| Claimant::Relay(name.clone()));
        let client = from == Claimant::Client;
        self.outputs.push_back(Output::Event(Event::AuthFailed { peer, failures, from }));
        if failures >= FAILURES && client {
            self.set_frame(id, Frame::Skip);
            self.close_flushing(id, CloseReason::AuthFailures, now);
        }
    }

    fn count_auth(&mut self, outcome: AuthOutcome) {
        self.counts.auth[outcome as usize] += 1;
    }

    /// Whether buffers hold more than this share of the ceiling.
    pub(super) fn short_of_memory(&self, percent: usize) -> bool {
        let ceiling = self.settings.limits.memory_ceiling;
        ceiling > 0 && self.buffered() > ceiling / 100 * percent
    }
}

fn expires(head: &Head, rules: &super::AuthRules) -> Expires {
    let Some(value) = head.header("Expires") else { return Expires::Default };
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Expires::Malformed;
    }
    // More digits than fit are certainly above the maximum.
    let seconds = std::str::from_utf8(value).ok().and_then(|v| v.parse::<u64>().ok()).unwrap_or(u64::MAX);
    if seconds < rules.min_expires {
        Expires::TooSmall
    } else if seconds > rules.max_expires {
        Expires::TooLarge
    } else {
        // Longer than the default is never needed: a new AUTH gives a new token (RFC 4976 section 4.6).
        Expires::Granted(seconds.min(rules.default_expires.max(rules.min_expires)))
    }
}

/// Innermost relay first: the From-Path of the AUTH without the client, reversed, then our own token (RFC 4976 section
/// 5.1).
fn use_path(head: &Head, own: &[u8]) -> Vec<u8> {
    let mut relays: Vec<&[u8]> = head.from_path().map(|p| p.texts().collect()).unwrap_or_default();
    relays.pop();
    relays.reverse();
    relays.push(own);
    relays.join(&b' ')
}

trait LastText<'a> {
    fn last_text(self) -> Option<&'a [u8]>;
}

impl<'a> LastText<'a> for Path<'a> {
    fn last_text(self) -> Option<&'a [u8]> {
        self.last()
    }
}
