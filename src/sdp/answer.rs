//! An answer, compared with the offer that we sent to that side.

use super::{
    description::Description,
    fault::{AnswerFault, SectionFault},
    mode::Mode,
    roles::Connects,
    rules::{Ownership, Rules},
    section::MessageSection,
};
use crate::msrp::Uri;

/// What one m-line of an answer is to us.
#[derive(Clone, Debug)]
pub enum Answered<'a> {
    /// Accepted, and ours to connect.
    Accepted(Box<MessageSection<'a>>),
    /// Port 0: both tokens are free.
    Declined,
    /// Not ours to look at.
    Left,
}

/// Judges an answer to `sent`, whose m-lines have these modes (RFC 3264 section 6, SDP-43). `ownership` is as for
/// [`Offer::assess`](super::Offer::assess): a living session of ours may stand first, since the answerer may have us as
/// its relay.
pub fn assess_answer<'a>(
    sent: &Description<'_>,
    modes: &[Mode],
    answer: &Description<'a>,
    rules: &Rules,
    mut ownership: impl FnMut(&Uri<'_>) -> Ownership,
) -> Result<Vec<Answered<'a>>, AnswerFault> {
    let (offered, answered) = (sent.media_lines(), answer.media_lines());
    if offered.len() != answered.len() || offered.len() != modes.len() {
        return Err(AnswerFault::Count);
    }
    let mut lines = Vec::with_capacity(answered.len());
    for (index, ((ours, theirs), mode)) in offered.iter().zip(answered).zip(modes).enumerate() {
        if !ours.media.eq_ignore_ascii_case(theirs.media) {
            return Err(AnswerFault::Media(index));
        }
        if !ours.protocol.eq_ignore_ascii_case(theirs.protocol) {
            return Err(AnswerFault::Protocol(index));
        }
        if ours.is_zero() && !theirs.is_zero() {
            return Err(AnswerFault::Revived(index));
        }
        lines.push(match mode {
            Mode::Anchored | Mode::Tunnelled if theirs.is_zero() => Answered::Declined,
            Mode::Anchored | Mode::Tunnelled => {
                let of_section = |fault| AnswerFault::Section { index, fault };
                let section = MessageSection::parse(answer, index, &rules.limits).map_err(of_section)?;
                check(&section, rules, ownership(&section.first)).map_err(of_section)?;
                Answered::Accepted(Box::new(section))
            }
            Mode::Relayed | Mode::PassedThrough | Mode::Removed | Mode::Foreign | Mode::Refused => Answered::Left,
        });
    }
    Ok(lines)
}

fn check(section: &MessageSection<'_>, rules: &Rules, ownership: Ownership) -> Result<(), SectionFault> {
    match ownership {
        Ownership::OursUnknown => Err(SectionFault::SessionUnknown),
        // Our own address may be a private or loopback one; nobody is dialled to reach it (SDP-95).
        Ownership::Ours => Ok(()),
        Ownership::Foreign => rules.check(section, Connects::on_answer(section.setup)),
    }
}
