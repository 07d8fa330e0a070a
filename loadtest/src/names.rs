//! Identifiers that tell where they belong, so that each frame finds its session without a search.

/// The name of a run: four letters that keep its identifiers apart from those of other generators at the same relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run([u8; 4]);

/// A transaction identifier of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// What was asked.
    pub role: Role,
    /// The session that asked.
    pub session: u32,
    /// Which of its requests it is.
    pub number: u32,
}

/// The requests we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// SEND.
    Send,
    /// REPORT.
    Report,
    /// AUTH of a caller.
    CallerAuth,
    /// AUTH of a callee.
    CalleeAuth,
}

impl Role {
    const ALL: [(Role, u8); 4] =
        [(Role::Send, b's'), (Role::Report, b'r'), (Role::CallerAuth, b'a'), (Role::CalleeAuth, b'b')];

    fn letter(self) -> u8 {
        Role::ALL.iter().find(|(role, _)| *role == self).map_or(b's', |(_, letter)| *letter)
    }
}

/// Octets of a transaction identifier.
pub const TRANSACTION: usize = 21;
/// Octets of a Message-ID.
pub const MESSAGE: usize = 21;

impl Run {
    /// A name by chance.
    pub fn random(random: &mut fastrand::Rng) -> Run {
        Run(std::array::from_fn(|_| random.alphanumeric() as u8))
    }

    /// Writes a transaction identifier.
    pub fn transaction(self, transaction: Transaction) -> [u8; TRANSACTION] {
        let mut text = [0; TRANSACTION];
        text[0] = transaction.role.letter();
        text[1..5].copy_from_slice(&self.0);
        hex(&mut text[5..13], transaction.session);
        hex(&mut text[13..21], transaction.number);
        text
    }

    /// Reads one; nothing if it is not of this run.
    pub fn read_transaction(self, text: &[u8]) -> Option<Transaction> {
        if text.len() != TRANSACTION || text[1..5] != self.0 {
            return None;
        }
        let role = Role::ALL.iter().find(|(_, letter)| *letter == text[0]).map(|(role, _)| *role)?;
        Some(Transaction { role, session: number(&text[5..13])?, number: number(&text[13..21])? })
    }

    /// Writes the Message-ID of a session's message.
    pub fn message(self, session: u32, message: u32) -> [u8; MESSAGE] {
        let mut text = [b'.'; MESSAGE];
        text[..4].copy_from_slice(&self.0);
        hex(&mut text[4..12], session);
        hex(&mut text[13..21], message);
        text
    }

    /// Reads the number of a message out of its Message-ID; nothing if it is not of this session.
    pub fn read_message(self, text: &[u8], session: u32) -> Option<u32> {
        let ours = text.len() == MESSAGE && text[..4] == self.0 && number(&text[4..12]) == Some(session);
        if ours { number(&text[13..21]) } else { None }
    }

    /// The part of a URI that names a session: it cannot be guessed, and tells us whose it is.
    pub fn session(self, session: u32, random: &mut fastrand::Rng) -> String {
        let run: String = self.0.iter().map(|&octet| char::from(octet)).collect();
        format!("{run}{session:08x}{:016x}", random.u64(..))
    }

    /// The session that a URI of ours names.
    pub fn read_session(self, uri: &[u8]) -> Option<u32> {
        let slash = memchr::memrchr(b'/', uri)?;
        let text = uri[slash + 1..].strip_prefix(&self.0)?;
        number(text.get(..8)?)
    }
}

fn hex(place: &mut [u8], number: u32) {
    for (at, octet) in place.iter_mut().enumerate() {
        *octet = b"0123456789abcdef"[(number >> (28 - 4 * at)) as usize & 15];
    }
}

fn number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |sum: u32, &octet| Some(sum << 4 | char::from(octet).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_back_and_foreign_ones_are_not() {
        let mut random = fastrand::Rng::with_seed(3);
        let (run, other) = (Run::random(&mut random), Run::random(&mut random));
        let transaction = Transaction { role: Role::Report, session: 0xdead_beef, number: 17 };
        let text = run.transaction(transaction);
        assert_eq!(run.read_transaction(&text), Some(transaction));
        assert_eq!(other.read_transaction(&text), None);
        let text = run.message(4, u32::MAX);
        assert_eq!((run.read_message(&text, 4), run.read_message(&text, 5)), (Some(u32::MAX), None));
        let uri = format!("msrps://[::1]:2855/{};tcp", run.session(99, &mut random));
        assert_eq!((run.read_session(uri.as_bytes()), other.read_session(uri.as_bytes())), (Some(99), None));
    }
}
