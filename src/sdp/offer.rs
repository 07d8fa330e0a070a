//! An offer, judged m-line by m-line.

use super::{
    description::Description,
    fault::SectionFault,
    mode::{self, Mode},
    refusal::Refusal,
    rules::{Ownership, Rules},
    section::MessageSection,
};
use crate::msrp::Uri;

/// What one m-line of an offer is to us.
#[derive(Clone, Debug)]
pub enum Offered<'a> {
    /// To be anchored or tunnelled, as the mode says.
    Ours(Mode, Box<MessageSection<'a>>),
    /// To be left alone.
    Left(Mode),
    /// Not acceptable.
    Refused(SectionFault),
}

impl Offered<'_> {
    /// The mode of the m-line.
    pub fn mode(&self) -> Mode {
        match self {
            Offered::Ours(mode, _) | Offered::Left(mode) => *mode,
            Offered::Refused(_) => Mode::Refused,
        }
    }
}

/// An offer after validation (RFC 3264 section 5).
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// The m-lines in order.
    pub lines: Vec<Offered<'a>>,
}

impl<'a> Offer<'a> {
    /// Judges each m-line. `ownership` says whose the first URI of a path is.
    pub fn assess(
        description: &Description<'a>,
        rules: &Rules,
        mut ownership: impl FnMut(&Uri<'_>) -> Ownership,
    ) -> Offer<'a> {
        let assess = |(index, media): (usize, &super::MediaLine<'a>)| {
            if media.message_protocol().is_none() {
                return Offered::Left(Mode::Foreign);
            }
            if media.is_zero() {
                return Offered::Left(Mode::Removed);
            }
            if !rules.anchoring {
                return Offered::Left(Mode::PassedThrough);
            }
            let section = match MessageSection::parse(description, index, &rules.limits) {
                Ok(section) => section,
                Err(fault) => return Offered::Refused(fault),
            };
            match mode::choose(&section, rules, ownership(&section.first)) {
                Ok(mode @ (Mode::Anchored | Mode::Tunnelled)) => Offered::Ours(mode, Box::new(section)),
                Ok(mode) => Offered::Left(mode),
                Err(fault) => Offered::Refused(fault),
            }
        };
        Offer { lines: description.media_lines().iter().enumerate().map(assess).collect() }
    }

    /// The modes in order, for the answer.
    pub fn modes(&self) -> Vec<Mode> {
        self.lines.iter().map(Offered::mode).collect()
    }

    /// The response to an offer of which nothing remains; while another m-line remains, the refused ones get port 0
    /// (RFC 4975 section 8.1, SDP-3).
    pub fn refusal(&self, description: &Description<'_>) -> Option<Refusal> {
        let fault = self.lines.iter().find_map(|line| match line {
            Offered::Refused(fault) => Some(*fault),
            _ => None,
        })?;
        let mut lines = self.lines.iter().zip(description.media_lines());
        let remains = lines.any(|(line, media)| !matches!(line, Offered::Refused(_)) && !media.is_zero());
        (!remains).then(|| fault.into())
    }
}
