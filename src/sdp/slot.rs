//! What takes the place of one m=message section, line by line.

use super::{
    address::{Address, OurUri},
    attribute::Attribute,
    description::{Line, values},
    direction::Direction,
    fingerprint::{Fingerprint, Hash},
    media_line::{MediaLine, Protocol},
    rewrite::Toward,
    roles::Setup,
    writer::Writer,
};

/// What takes the place of one m-line.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    /// The section as it is: other media, relayed, passed through, or removed already.
    Keep,
    /// An anchored section that names this URI of ours.
    Anchor(&'a OurUri),
    /// A tunnelled section: this port of ours, or the peer's own where nobody will connect to it.
    Tunnel(Option<u16>),
    /// Port 0.
    Refuse,
}

/// An anchored section: what takes the place of the leg's own lines.
pub(super) struct Anchored<'a> {
    pub(super) our: &'a OurUri,
    pub(super) setup: Setup,
    /// The direction, where it must differ from the one received.
    pub(super) direction: Option<Direction>,
    pub(super) toward: &'a Toward<'a>,
}

/// Which of our lines have been written.
#[derive(Default)]
struct Written {
    address: bool,
    path: bool,
    setup: bool,
    fingerprints: bool,
    direction: bool,
}

impl Anchored<'_> {
    /// Writes the section. A line of ours stands where the peer's did; what had no place comes before the path.
    pub(super) fn write(&self, out: &mut Writer, lines: &[Line<'_>]) {
        let has_address = lines.iter().any(|line| line.kind() == b'c');
        let at_path = self.owed(lines);
        let mut written = Written::default();
        for line in lines {
            if !written.address && comes_after_address(line, has_address) {
                written.address = true;
                out.write(line, &[b"c=", self.our.address().to_string().as_bytes()]);
            }
            match (line.kind(), line.attribute()) {
                (b'm', _) => {
                    let port = self.our.port().to_string();
                    let protocol = self.our.protocol().as_str();
                    out.write(line, &[b"m=message ", port.as_bytes(), b" ", protocol.as_bytes(), b" *"]);
                }
                (b'c', _) => {}
                (_, Some((name, value))) => self.attribute(out, line, name, value, &mut written, &at_path),
                _ => out.copy(line),
            }
        }
    }

    fn attribute(
        &self,
        out: &mut Writer,
        line: &Line<'_>,
        name: Attribute,
        value: &[u8],
        written: &mut Written,
        at_path: &[String],
    ) {
        let content = self.toward.content;
        match name {
            Attribute::Path if !std::mem::replace(&mut written.path, true) => {
                at_path.iter().for_each(|text| out.write(line, &[text.as_bytes()]));
                out.write(line, &[b"a=path:", self.our.text().as_bytes()]);
            }
            Attribute::Setup if !std::mem::replace(&mut written.setup, true) => {
                out.write(line, &[self.setup_line().as_bytes()]);
            }
            Attribute::Fingerprint if !std::mem::replace(&mut written.fingerprints, true) => {
                self.fingerprint_lines().iter().for_each(|text| out.write(line, &[text.as_bytes()]));
            }
            Attribute::Direction(_) if self.direction.is_some() => {
                if !std::mem::replace(&mut written.direction, true) {
                    self.direction_line().iter().for_each(|text| out.write(line, &[text.as_bytes()]));
                }
            }
            name if name.is_of_the_leg() => {}
            Attribute::AcceptTypes | Attribute::AcceptWrappedTypes => match content.permitted(value) {
                Some(permitted) if permitted == value => out.copy(line),
                Some(permitted) => {
                    let wrapped = name == Attribute::AcceptWrappedTypes;
                    let label = if wrapped { &b"a=accept-wrapped-types:"[..] } else { b"a=accept-types:" };
                    out.write(line, &[label, &permitted]);
                }
                None => {}
            },
            Attribute::MaxSize => {
                let limit = content
                    .max_size
                    .filter(|limit| super::file::number(value.trim_ascii()).is_none_or(|received| received > *limit));
                match limit {
                    Some(limit) => out.write(line, &[b"a=max-size:", limit.to_string().as_bytes()]),
                    None => out.copy(line),
                }
            }
            _ => out.copy(line),
        }
    }

    /// Our lines for which the section has no place.
    fn owed(&self, lines: &[Line<'_>]) -> Vec<String> {
        let lacks = |name| values(lines, name).next().is_none();
        let mut owed = Vec::new();
        if !lines.iter().any(is_direction) {
            owed.extend(self.direction_line());
        }
        if lacks(Attribute::Setup) {
            owed.push(self.setup_line());
        }
        if lacks(Attribute::Fingerprint) {
            owed.extend(self.fingerprint_lines());
        }
        if lacks(Attribute::MaxSize) {
            owed.extend(self.toward.content.max_size.map(|limit| format!("a=max-size:{limit}")));
        }
        owed
    }

    fn setup_line(&self) -> String {
        format!("a=setup:{}", self.setup)
    }

    fn direction_line(&self) -> Option<String> {
        self.direction.map(|direction| format!("a={}", direction.as_str()))
    }

    /// Our certificate's fingerprints, SHA-256 first (SDP-55); none for plain TCP.
    fn fingerprint_lines(&self) -> Vec<String> {
        if self.our.protocol() == Protocol::Tcp {
            return Vec::new();
        }
        let line = |fingerprint: &Fingerprint| format!("a=fingerprint:{fingerprint}");
        let (first, others): (Vec<_>, Vec<_>) =
            self.toward.fingerprints.iter().partition(|fingerprint| fingerprint.hash() == Hash::Sha256);
        first.into_iter().chain(others).map(line).collect()
    }
}

/// A tunnelled section: c= and the port, nothing else (SDP-33). Without a port the m-line stays as well.
pub(super) fn tunnel(
    out: &mut Writer,
    lines: &[Line<'_>],
    media: &MediaLine<'_>,
    port: Option<u16>,
    address: &Address,
) {
    let has_address = lines.iter().any(|line| line.kind() == b'c');
    let mut written = false;
    for line in lines {
        if !written && comes_after_address(line, has_address) {
            written = true;
            out.write(line, &[b"c=", address.to_string().as_bytes()]);
        }
        match (line.kind(), port) {
            (b'm', Some(port)) => write_media(out, line, media, port),
            (b'c', _) => {}
            _ => out.copy(line),
        }
    }
}

/// A section with port 0. What says how to connect is dropped; in an answer the file's identity is the offer's, which
/// must be there also when we refuse by ourselves (RFC 5547 section 8.1, SDP-66).
pub(super) fn refuse(
    out: &mut Writer,
    lines: &[Line<'_>],
    media: &MediaLine<'_>,
    address: Option<&Address>,
    offered: &[Line<'_>],
) {
    let is_message = media.message_protocol().is_some();
    let mut address = address.filter(|_| is_message);
    let end = lines.iter().rposition(|line| !line.text.is_empty()).map_or(0, |last| last + 1);
    let (lines, blank) = lines.split_at_checked(end).unwrap_or_default();
    for line in lines {
        if !matches!(line.kind(), b'm' | b'i')
            && let Some(address) = address.take()
        {
            out.write(line, &[b"c=", address.to_string().as_bytes()]);
        }
        match (line.kind(), line.attribute()) {
            (b'm', _) => write_media(out, line, media, 0),
            (b'c', _) if is_message => {}
            (_, Some((name, _))) if is_message && name.is_of_the_leg() => {}
            _ => out.copy(line),
        }
    }
    if let (Some(address), Some(line)) = (address, lines.first()) {
        out.write(line, &[b"c=", address.to_string().as_bytes()]);
    }
    for name in [Attribute::FileSelector, Attribute::FileTransferId] {
        if values(lines, name).next().is_none() {
            let is_it = |line: &&Line<'_>| line.attribute().is_some_and(|(other, _)| other == name);
            offered.iter().filter(is_it).for_each(|line| out.write(line, &[line.text]));
        }
    }
    blank.iter().for_each(|line| out.copy(line));
}

/// An m-line with another port; the format of MSRP is always `*` (SDP-1).
fn write_media(out: &mut Writer, pattern: &Line<'_>, media: &MediaLine<'_>, port: u16) {
    let port = port.to_string();
    match media.message_protocol() {
        // In the peer's own spelling.
        Some(_) => out.write(pattern, &[b"m=message ", port.as_bytes(), b" ", media.protocol, b" *"]),
        None => {
            out.write(pattern, &[b"m=", media.media, b" ", port.as_bytes(), b" ", media.protocol, b" ", media.formats]);
        }
    }
}

/// Whether our c= line is due: where the peer's stands, else behind the m-line and its title (RFC 8866 section 5).
fn comes_after_address(line: &Line<'_>, has_address: bool) -> bool {
    if has_address { line.kind() == b'c' } else { !matches!(line.kind(), b'm' | b'i') }
}

fn is_direction(line: &Line<'_>) -> bool {
    matches!(line.attribute(), Some((Attribute::Direction(_), _)))
}
