//! Sessions: a token, who owns it, who is on its far side (RFC 4976 sections 6.3 and 6.4).
//!
//! A token URI is a bearer secret for the far side and nothing at all for anybody else's from-owner traffic: that needs
//! the owner's own link, or for a client behind a relay any link of that relay's verified identity.

use std::fmt;
use std::sync::Arc;

use rand_chacha::rand_core::RngCore;

use super::anchor::{AnchorId, Side};
use super::flow::FlowId;
use super::link::LinkId;
use super::source::{SourceId, SourceRef};
use crate::moment::Moment;
use crate::msrp;

const LABEL: usize = 8;
const RANDOM: usize = 22;
/// Octets of the session-id of a token.
pub(super) const TOKEN: usize = LABEL + 1 + RANDOM;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The secret part of a URI that we hand out: a clear label `node, generation, home shard`, a dot, and 131 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId([u8; TOKEN]);

/// What the label of a token says about its maker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// Process of a farm.
    pub node: u16,
    /// Start of that process.
    pub generation: u32,
    /// Shard that made the token.
    pub shard: u16,
}

impl Label {
    /// Number of different generations; a process picks one at random.
    pub const GENERATIONS: u32 = 62 * 62 * 62 * 62;

    fn write(self, out: &mut [u8]) {
        digits(u32::from(self.node), &mut out[0..2]);
        digits(self.generation, &mut out[2..6]);
        digits(u32::from(self.shard), &mut out[6..8]);
    }
}

fn digits(mut n: u32, out: &mut [u8]) {
    for o in out.iter_mut().rev() {
        *o = BASE62[(n % 62) as usize];
        n /= 62;
    }
}

fn number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, c| {
        let d = match c {
            b'0'..=b'9' => c - b'0',
            b'A'..=b'Z' => c - b'A' + 10,
            b'a'..=b'z' => c - b'a' + 36,
            _ => return None,
        };
        n.checked_mul(62)?.checked_add(u32::from(d))
    })
}

impl TokenId {
    /// A fresh token of this maker.
    pub(super) fn random(label: Label, rng: &mut impl RngCore) -> TokenId {
        let mut t = [b'.'; TOKEN];
        label.write(&mut t[..LABEL]);
        msrp::random_base62(rng, &mut t[LABEL + 1..]);
        TokenId(t)
    }

    /// The token in a session-id, if it has the form of one.
    pub fn parse(session_id: &[u8]) -> Option<TokenId> {
        let t: [u8; TOKEN] = session_id.try_into().ok()?;
        (t[LABEL] == b'.').then_some(TokenId(t))
    }

    /// The token in the text of a URI that is known to be well-formed: what stands between the slash behind the authority
    /// and the semicolon.
    pub(super) fn of_uri(text: &[u8]) -> Option<TokenId> {
        let semicolon = memchr::memchr(b';', text)?;
        let before = &text[..semicolon];
        let slash = before.len().checked_sub(TOKEN + 1)?;
        (before[slash] == b'/').then(|| TokenId::parse(&before[slash + 1..]))?
    }

    /// What the label says, if it is well-formed.
    pub fn label(&self) -> Option<Label> {
        Some(Label {
            node: u16::try_from(number(&self.0[0..2])?).ok()?,
            generation: number(&self.0[2..6])?,
            shard: u16::try_from(number(&self.0[6..8])?).ok()?,
        })
    }

    /// The session-id octets. Never for logs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A short name of the session that tells nothing of the secret: for logs, records and `DELETE /sessions/{id}`.
    pub fn public(&self) -> String {
        use sha2::{Digest, Sha256};
        let hash = Sha256::digest(self.0);
        hash[..8].iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.public())
    }
}

/// Who obtained a token, and so may send outwards with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A direct client: exactly one link.
    Link(LinkId),
    /// A client behind a peer relay: any link with that relay's verified name.
    Relay(Arc<str>),
    /// Nobody: the control plane made it for a leg of an anchor, and who is there is its far side.
    Leg(AnchorId, Side),
}

/// A far side that was accepted for a token.
#[derive(Clone, Debug)]
pub(super) struct Far {
    /// The URI by which the far side is known: To-Path\[1\] of the owner, From-Path\[0\] of the far side.
    pub(super) uri: Arc<[u8]>,
    /// The link it came on or that we opened.
    pub(super) link: FarLink,
    /// The far side is a peer relay: any link of it counts.
    pub(super) relay: Option<Arc<str>>,
}

/// A link of this or another shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FarLink {
    /// Shard that has the link.
    pub shard: u16,
    /// The link there.
    pub link: LinkId,
}

/// A way that was looked up once and is used by all chunks of a sender.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) from: FarLink,
    /// To-Path behind the token, as the sender writes it.
    pub(super) next: Arc<[u8]>,
    /// The second token of an internal hop must still be alive.
    pub(super) inner: Option<TokenId>,
    pub(super) source: SourceId,
}

/// A sender on another shard whose chunks this session has admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    pub(super) back: SourceRef,
    /// The flow that it feeds, if that is on this shard.
    pub(super) flow: Option<FlowId>,
}

/// One token and what is bound to it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) uri: Arc<[u8]>,
    pub(super) secure: bool,
    pub(super) owner: Owner,
    /// The link of the owner's relay that the owner was last heard on: some relays answer nowhere else (IOP-35).
    pub(super) owner_link: LinkId,
    pub(super) user: Arc<str>,
    pub(super) created: Moment,
    pub(super) expires: Moment,
    /// The client said how long; such a token dies on time, come what may.
    pub(super) expires_named: bool,
    pub(super) last_used: Moment,
    pub(super) far: Vec<Far>,
    /// Host of the first far side, for the record: the far side may leave first.
    pub(super) far_host: Option<Box<str>>,
    pub(super) ways: Vec<Way>,
    pub(super) guests: Vec<Guest>,
    /// How often it went to another shard.
    pub(super) moves: u32,
    pub(super) tally: Tally,
}

impl Session {
    /// A token of nobody yet known.
    pub(super) fn new(uri: Arc<[u8]>, secure: bool, owner: Owner, user: Arc<str>, now: Moment) -> Session {
        Session {
            uri,
            secure,
            owner,
            owner_link: LinkId::NONE,
            user,
            created: now,
            expires: Moment::FAR,
            expires_named: false,
            last_used: now,
            far: Vec::new(),
            far_host: None,
            ways: Vec::new(),
            guests: Vec::new(),
            moves: 0,
            tally: Tally::default(),
        }
    }
}

/// Messages and octets of a session, each way.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Body octets from the owner.
    pub octets_from_owner: u64,
    /// Body octets to the owner.
    pub octets_to_owner: u64,
    /// Completed messages from the owner.
    pub messages_from_owner: u64,
    /// Completed messages to the owner.
    pub messages_to_owner: u64,
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum SessionEnd {
    /// Its token's time was over.
    Expired,
    /// The owner's link is gone.
    OwnerGone,
    /// An operator ended it.
    Operator,
    /// The relay is shutting down.
    Drained,
    /// The dialog of its anchor ended with BYE.
    Bye,
    /// The dialog of its anchor never came to be, or was given up.
    Cancelled,
}

impl SessionEnd {
    /// Word for records and metric labels.
    pub fn word(self) -> &'static str {
        match self {
            SessionEnd::Expired => "expired",
            SessionEnd::OwnerGone => "owner_gone",
            SessionEnd::Operator => "operator",
            SessionEnd::Drained => "drained",
            SessionEnd::Bye => "bye",
            SessionEnd::Cancelled => "cancelled",
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, from_owner: bool, octets: u64, complete: bool) {
        let (o, m) = if from_owner {
            (&mut self.octets_from_owner, &mut self.messages_from_owner)
        } else {
            (&mut self.octets_to_owner, &mut self.messages_to_owner)
        };
        *o += octets;
        *m += u64::from(complete);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn a_token_tells_its_maker_and_nothing_else() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        let label = Label { node: 61, generation: Label::GENERATIONS - 1, shard: 130 };
        let t = TokenId::random(label, &mut rng);
        assert_eq!(t.label(), Some(label));
        assert_eq!(TokenId::parse(t.as_bytes()), Some(t));
        assert_eq!(TokenId::parse(&t.as_bytes()[1..]), None);
        assert!(!format!("{t:?}").contains(std::str::from_utf8(&t.as_bytes()[9..]).expect("ascii")));
        assert_ne!(t, TokenId::random(label, &mut rng));
    }

    #[test]
    fn a_token_is_found_in_its_uri() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        let t = TokenId::random(Label { node: 0, generation: 0, shard: 0 }, &mut rng);
        let id = std::str::from_utf8(t.as_bytes()).expect("ascii");
        for (uri, found) in [
            (format!("msrps://r.example:1/{id};tcp"), Some(t)),
            (format!("msrps://r.example:1/{id};tcp;x=/{id}"), Some(t)),
            (format!("msrps://r.example:1/x{id};tcp"), None),
            (format!("{id};tcp"), None),
            (format!("msrps://r.example:1/{id}"), None),
        ] {
            assert_eq!(TokenId::of_uri(uri.as_bytes()), found, "{uri}");
        }
    }
}
