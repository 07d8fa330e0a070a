//! The continuation flag at the end of a frame (RFC 4975 7.1).

/// What the end-line says about the rest of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Flag {
    /// `$`: this chunk holds the last octet.
    Complete,
    /// `+`: more chunks follow.
    More,
    /// `#`: the sender has given the message up.
    Abort,
}

impl Flag {
    /// The octet that stands for this flag on the wire.
    pub fn octet(self) -> u8 {
        match self {
            Flag::Complete => b'$',
            Flag::More => b'+',
            Flag::Abort => b'#',
        }
    }

    /// The flag an octet stands for, if it is one.
    pub fn from_octet(octet: u8) -> Option<Flag> {
        match octet {
            b'$' => Some(Flag::Complete),
            b'+' => Some(Flag::More),
            b'#' => Some(Flag::Abort),
            _ => None,
        }
    }
}
