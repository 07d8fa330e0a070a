//! Which way ordinary messages may go (RFC 4975 section 8.9, RFC 3264 section 6.1).

/// The direction of a section, as seen by the side that describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// Both ways; also where nothing is said.
    #[default]
    SendRecv,
    /// Its author only sends.
    SendOnly,
    /// Its author only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction that an attribute of this name means.
    pub(super) fn of(name: &[u8]) -> Option<Direction> {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        let is = |direction: &Direction| name.eq_ignore_ascii_case(direction.as_str().as_bytes());
        [SendRecv, SendOnly, RecvOnly, Inactive].into_iter().find(is)
    }

    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// What is left of an answer's direction where this was offered: who was offered nothing sends nothing (SDP-45).
    pub fn narrow(self, answer: Direction) -> Direction {
        let sends = answer.sends() && self.receives();
        let receives = answer.receives() && self.sends();
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}
