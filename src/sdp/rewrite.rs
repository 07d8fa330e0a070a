//! The anchor rewrite of a whole description: which lines change, and what of the session level others still need.
//!
//! Everything that need not change is copied octet for octet with its own line end; a line of ours ends like the line
//! whose place it takes.

use thiserror::Error;

use super::{
    address::{Address, OurUri},
    attribute::Attribute,
    description::{Description, Line, values},
    fingerprint::Fingerprint,
    formats::Content,
    media_line::Protocol,
    origin::Draft,
    roles::Setup,
    section,
    slot::{self, Anchored, Slot},
    writer::Writer,
};

/// What we are toward the side that a description goes to.
#[derive(Clone, Copy, Debug)]
pub struct Toward<'a> {
    /// Our address in the network of that side, for c= lines that belong to no session of ours.
    pub address: &'a Address,
    /// The fingerprints of the certificate that we present there.
    pub fingerprints: &'a [Fingerprint],
    /// What is taken out of lists and off sizes.
    pub content: &'a Content,
    /// Whether the configuration lets this leg have another protocol than the other one (SDP-63).
    pub interworking: bool,
}

/// A plan that does not fit the description: a mistake of the caller, never of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RewriteError {
    /// Another number of slots, or of m-lines in the offer, than the description has m-lines.
    #[error("slots do not fit the m-lines")]
    Slots,
    /// The section to be anchored or tunnelled is not an MSRP section with a port.
    #[error("m-line {0} cannot be anchored")]
    NotMessage(usize),
    /// Our URI would change the protocol, and the configuration does not say so; or the answer's is not the offer's.
    #[error("protocol of our URI does not fit m-line {0}")]
    Protocol(usize),
}

/// What an offer becomes for the other side. Everything anchored offers `actpass`.
pub fn rewrite_offer(
    received: &Description<'_>,
    slots: &[Slot<'_>],
    toward: &Toward<'_>,
) -> Result<Draft, RewriteError> {
    rewrite(received, None, slots, toward)
}

/// What an answer becomes for the side that sent `offer` (as it was received): roles, protocols, the time lines and the
/// identity of files follow that offer.
pub fn rewrite_answer(
    received: &Description<'_>,
    offer: &Description<'_>,
    slots: &[Slot<'_>],
    toward: &Toward<'_>,
) -> Result<Draft, RewriteError> {
    if offer.media_lines().len() != received.media_lines().len() {
        return Err(RewriteError::Slots);
    }
    rewrite(received, Some(offer), slots, toward)
}

fn rewrite(
    received: &Description<'_>,
    offer: Option<&Description<'_>>,
    slots: &[Slot<'_>],
    toward: &Toward<'_>,
) -> Result<Draft, RewriteError> {
    if slots.len() != received.media_lines().len() {
        return Err(RewriteError::Slots);
    }
    let mut out = Writer::new(received.ending());
    let origin = session(&mut out, received, offer, slots, toward);
    for (index, slot) in slots.iter().enumerate() {
        let lines = received.section(index);
        match slot {
            Slot::Keep => lines.iter().for_each(|line| out.copy(line)),
            Slot::Anchor(our) => {
                check_protocol(received, offer, index, our, toward)?;
                if values(lines, Attribute::Path).next().is_none() {
                    return Err(RewriteError::NotMessage(index));
                }
                if lists_nothing(lines, toward.content) {
                    refuse(&mut out, received, offer, index, toward);
                } else {
                    let offered = |offer| section::setup(offer, index);
                    let setup = offer.map_or(Setup::IN_OFFERS, |offer| Setup::in_answer_to(offered(offer)));
                    let direction = narrowed(received, offer, index);
                    Anchored { our, setup, direction, toward }.write(&mut out, lines);
                }
            }
            Slot::Tunnel(port) => {
                let media = received.media_lines().get(index).filter(|media| media.message_protocol().is_some());
                let media = media.ok_or(RewriteError::NotMessage(index))?;
                slot::tunnel(&mut out, lines, media, *port, toward.address);
            }
            Slot::Refuse => refuse(&mut out, received, offer, index, toward),
        }
    }
    Ok(out.into_draft(origin))
}

/// The session level; returns where the origin belongs.
fn session(
    out: &mut Writer,
    received: &Description<'_>,
    offer: Option<&Description<'_>>,
    slots: &[Slot<'_>],
    toward: &Toward<'_>,
) -> usize {
    let needed = Needed::of(received, slots);
    let mut times = offer.into_iter().flat_map(Description::session).filter(|line| line.kind() == b't');
    let mut origin = 0;
    for line in received.session() {
        match line.kind() {
            b'o' => origin = out.position(),
            b'c' if !needed.address => out.write(line, &[b"c=", toward.address.to_string().as_bytes()]),
            b't' => match times.next() {
                Some(offered) if offered.text != line.text => out.write(line, &[offered.text]),
                _ => out.copy(line),
            },
            b'a' if line.attribute().is_some_and(|(name, _)| !needed.keeps(name)) => {}
            _ => out.copy(line),
        }
    }
    origin
}

/// What sections that stay as they are take from the session level (SDP-54, AMB-71).
struct Needed {
    /// The c= line.
    address: bool,
    /// The leg's attributes of which some section has none of its own.
    attributes: Vec<Attribute>,
    /// Whether any section is anchored or refused, so that what belongs to the leg is not simply passed on.
    ours: bool,
}

impl Needed {
    const INHERITED: [Attribute; 5] =
        [Attribute::Setup, Attribute::Connection, Attribute::Fingerprint, Attribute::TlsId, Attribute::Ice];

    fn of(received: &Description<'_>, slots: &[Slot<'_>]) -> Needed {
        let ours = slots.iter().any(|slot| matches!(slot, Slot::Anchor(_) | Slot::Refuse));
        let changed = ours || slots.iter().any(|slot| matches!(slot, Slot::Tunnel(_)));
        let mut needed = Needed { address: !changed, attributes: Vec::new(), ours };
        for (index, (slot, media)) in slots.iter().zip(received.media_lines()).enumerate() {
            if matches!(slot, Slot::Anchor(_) | Slot::Refuse) || media.is_zero() {
                continue;
            }
            let lines = received.section(index);
            needed.address |= matches!(slot, Slot::Keep) && !lines.iter().any(|line| line.kind() == b'c');
            for name in Needed::INHERITED {
                if !needed.attributes.contains(&name) && values(lines, name).next().is_none() {
                    needed.attributes.push(name);
                }
            }
        }
        needed
    }

    fn keeps(&self, name: Attribute) -> bool {
        !self.ours || !name.is_of_the_leg() || self.attributes.contains(&name)
    }
}

fn check_protocol(
    received: &Description<'_>,
    offer: Option<&Description<'_>>,
    index: usize,
    our: &OurUri,
    toward: &Toward<'_>,
) -> Result<(), RewriteError> {
    let protocol = |description: &Description<'_>| -> Option<Protocol> {
        description.media_lines().get(index).filter(|media| !media.is_zero())?.message_protocol()
    };
    let received = protocol(received).ok_or(RewriteError::NotMessage(index))?;
    let fits = match offer {
        None => our.protocol() == received || toward.interworking,
        Some(offer) => protocol(offer) == Some(our.protocol()),
    };
    if fits { Ok(()) } else { Err(RewriteError::Protocol(index)) }
}

fn lists_nothing(lines: &[Line<'_>], content: &Content) -> bool {
    values(lines, Attribute::AcceptTypes).all(|value| content.permitted(value).is_none())
}

/// The direction of an answer where it is not one that the offer allows.
fn narrowed(received: &Description<'_>, offer: Option<&Description<'_>>, index: usize) -> Option<super::Direction> {
    let answered = section::direction(received, index);
    let allowed = section::direction(offer?, index).narrow(answered);
    (allowed != answered).then_some(allowed)
}

fn refuse(
    out: &mut Writer,
    received: &Description<'_>,
    offer: Option<&Description<'_>>,
    index: usize,
    toward: &Toward<'_>,
) {
    let (lines, media) = (received.section(index), received.media_lines());
    // An answer has the protocol of the offer also where it refuses.
    let Some(media) = offer.map_or(media, Description::media_lines).get(index) else { return };
    let has_address = received.session().iter().any(|line| line.kind() == b'c');
    let address = (!has_address).then_some(toward.address);
    let offered = offer.map_or(&[][..], |offer| offer.section(index));
    slot::refuse(out, lines, media, address, offered);
}
