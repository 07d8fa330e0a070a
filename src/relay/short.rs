//! Short octet strings that seldom need the heap: transact-ids and Message-IDs of others.

/// Octets, inline up to 38 of them.
#[derive(Clone)]
pub(super) enum Short {
    Inline { len: u8, octets: [u8; 38] },
    Long(Box<[u8]>),
}

impl Short {
    pub(super) fn new(text: &[u8]) -> Short {
        if text.len() <= 38 {
            let mut octets = [0; 38];
            octets[..text.len()].copy_from_slice(text);
            Short::Inline { len: text.len() as u8, octets }
        } else {
            Short::Long(text.into())
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Short::Inline { len, octets } => &octets[..usize::from(*len)],
            Short::Long(octets) => octets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_any_length() {
        for n in [0, 1, 38, 39, 128] {
            let text = vec![b'x'; n];
            assert_eq!(Short::new(&text).as_bytes(), &text[..]);
        }
    }
}
