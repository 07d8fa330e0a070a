//! What holds for every description.

use proptest::prelude::*;

use super::*;

/// Lines of a section, the usual ones and odd ones.
const LINES: [&str; 30] = [
    "a=setup:active",
    "a=setup:holdconn",
    "a=connection:new",
    "a=msrp-cema",
    "a=accept-types:text/plain image/*",
    "a=accept-types:",
    "a=accept-wrapped-types: *;q=\"a b",
    "a=max-size:99999",
    "a=max-size:x",
    "a=path:msrp://192.0.2.4:9/x;tcp",
    "a=path:msrps://r.example:2855/r;tcp msrps://[2001:db8::1]:9/y;tcp",
    "a=fingerprint:SHA-256 00",
    "a=tls-id:x",
    "a=ice-ufrag:y",
    "a=candidate:1",
    "a=sendonly",
    "a=inactive",
    "a=file-selector:name:\"a size:7",
    "a=file-selector",
    "a=file-transfer-id:t",
    "a=x-unknown:  z ",
    "a=",
    "a=:",
    "i=title",
    "c=IN IP4 192.0.2.4",
    "c=nonsense",
    "b=AS:1",
    "k=clear:x",
    "t=0 0",
    "z=0 0",
];

fn lines(most: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let known = prop::sample::select(&LINES[..]).prop_map(|line| line.as_bytes().to_vec());
    let octet = any::<u8>().prop_filter("not of a line", |octet| !b"\0\r\n".contains(octet));
    let unknown = prop::collection::vec(octet, 0..12).prop_map(|value| [b"a=x-", &value[..]].concat());
    prop::collection::vec(prop_oneof![4 => known, 1 => unknown], 0..most)
}

fn media() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "m=message 9 TCP/MSRP *",
            "m=message 2855 TCP/TLS/MSRP *",
            "m=message 0 TCP/MSRP *",
            "m=message 70000 TCP/MSRP *",
            "m=audio 40000 RTP/AVP 0",
            "m=message 9 UDP/DTLS/SCTP webrtc-datachannel",
        ][..],
    )
}

/// A section that can be anchored among its odd lines.
fn fit(tls: bool) -> String {
    let (protocol, scheme) = if tls { ("TCP/TLS/MSRP", "msrps") } else { ("TCP/MSRP", "msrp") };
    format!("m=message 2855 {protocol} *\na=accept-types:*\na=path:{scheme}://192.0.2.4:9/x;tcp")
}

/// Whole descriptions, with CRLF or LF, and with or without a last line end.
fn descriptions() -> impl Strategy<Value = Vec<u8>> {
    let clean = |lines: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        let is_own = |line: &Vec<u8>| {
            ["a=path", "a=accept-types", "a=fingerprint", "a=file"].iter().any(|own| line.starts_with(own.as_bytes()))
        };
        lines.into_iter().filter(|line| !is_own(line)).collect()
    };
    let odd = (media(), lines(8)).prop_map(|(media, lines)| [vec![media.as_bytes().to_vec()], lines].concat());
    let sound =
        (any::<bool>(), lines(8)).prop_map(move |(tls, lines)| [vec![fit(tls).into_bytes()], clean(lines)].concat());
    let sections = prop::collection::vec(prop_oneof![odd, sound], 0..5);
    (lines(6), sections, any::<bool>(), any::<bool>()).prop_map(|(session, sections, crlf, ended)| {
        let mut lines = vec![b"v=0".to_vec(), b"o=- 1 1 IN IP4 192.0.2.4".to_vec(), b"s=-".to_vec()];
        lines.extend(session);
        lines.extend(sections.concat());
        let text = lines.join(&b'\n');
        let mut octets = Vec::new();
        for octet in text {
            octets.extend_from_slice(if octet == b'\n' && crlf { b"\r\n" } else { std::slice::from_ref(&octet) });
        }
        if ended {
            octets.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        octets
    })
}

/// The offer that a far side is sent, with the modes and the slots by which it was made.
fn rewritten(octets: &[u8], rules: &Rules) -> Option<(Vec<u8>, Vec<Mode>)> {
    let anchor = Anchor { rules: rules.clone(), ..Anchor::default() };
    let description = Description::parse(octets, &rules.limits).ok()?;
    let offer = Offer::assess(&description, rules, foreign);
    let ours: Vec<Option<OurUri>> =
        offer.lines.iter().enumerate().map(|(index, line)| anchor.uri(index, line)).collect();
    let slots = offer.modes().into_iter().zip(&ours).map(|(mode, our)| match (mode, our) {
        (Mode::Anchored, Some(our)) => Slot::Anchor(our),
        (Mode::Tunnelled, _) => Slot::Tunnel(Some(4711)),
        (Mode::Refused, _) => Slot::Refuse,
        _ => Slot::Keep,
    });
    let slots: Vec<Slot<'_>> = slots.collect();
    let draft = rewrite_offer(&description, &slots, &anchor.toward()).expect("the plan fits");
    // Whatever an answer with the same text would be, it is judged and rewritten without a panic.
    let _ = assess_answer(&description, &offer.modes(), &description, rules, foreign);
    let _ = rewrite_answer(&description, &description, &slots, &anchor.toward());
    let _ = update(&description, &description);
    Some((Origin::new(1, anchor.address.clone()).issue(draft), offer.modes()))
}

/// The raw lines of which no rule speaks, section by section; those of untouched sections in full.
fn untouched(octets: &[u8], modes: &[Mode]) -> Vec<Vec<Vec<u8>>> {
    let ours = [
        "a=setup",
        "a=connection",
        "a=msrp-cema",
        "a=accept-",
        "a=max-size",
        "a=path",
        "a=fingerprint",
        "a=tls-id",
        "a=ice-",
        "a=candidate",
    ];
    let mut sections: Vec<Vec<Vec<u8>>> = vec![vec![]];
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b"m=") {
            sections.push(vec![]);
        }
        let mode = sections.len().checked_sub(2).map(|index| modes[index]);
        let changes = match mode {
            None => line.starts_with(b"o=") || line.starts_with(b"c="),
            Some(Mode::Anchored | Mode::Refused) => line.starts_with(b"m=") || line.starts_with(b"c="),
            Some(Mode::Tunnelled) => line.starts_with(b"m=") || line.starts_with(b"c="),
            Some(_) => false,
        };
        let of_the_leg = !matches!(
            mode,
            Some(Mode::Tunnelled | Mode::Foreign | Mode::Removed | Mode::Relayed | Mode::PassedThrough)
        ) && ours.iter().any(|own| line.starts_with(own.as_bytes()));
        if !changes && !of_the_leg {
            // The last line of the text may have gained an end.
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            sections.last_mut().unwrap().push(text.strip_suffix(b"\r").unwrap_or(text).to_vec());
        }
    }
    sections
}

fn rules() -> impl Strategy<Value = Rules> {
    let tunnels = prop::sample::select(&[Tunnels::Never, Tunnels::Tls, Tunnels::All][..]);
    (tunnels, any::<Option<u16>>(), any::<bool>()).prop_map(|(tunnels, max_size, anchoring)| Rules {
        tunnels,
        anchoring,
        content: Content { blocked: vec![], max_size: max_size.map(u64::from) },
        ..Rules::default()
    })
}

proptest! {
    /// SDP-53
    #[test]
    fn sdp_53_what_must_not_change_does_not(octets in descriptions(), rules in rules()) {
        let Some((sent, modes)) = rewritten(&octets, &rules) else { return Ok(()) };
        prop_assert_eq!(untouched(&octets, &modes), untouched(&sent, &modes), "{}", String::from_utf8_lossy(&sent));
        // Line ends are all of one kind, as before.
        let ends = |octets: &[u8]| octets.windows(2).filter(|pair| pair[1] == b'\n').any(|pair| pair[0] != b'\r');
        prop_assert_eq!(ends(&octets), ends(&sent));
    }

    /// SDP-1, SDP-2, SDP-22
    #[test]
    fn sdp_43_slots_are_kept_and_the_text_is_sound(octets in descriptions(), rules in rules()) {
        let Some((sent, modes)) = rewritten(&octets, &rules) else { return Ok(()) };
        let limits = Limits { octets: 1 << 20, lines: 1 << 16, ..Limits::default() };
        let (before, after) = (Description::parse(&octets, &limits).unwrap(), Description::parse(&sent, &limits).unwrap());
        prop_assert_eq!(before.media_lines().len(), after.media_lines().len());
        for (index, mode) in modes.iter().enumerate() {
            let media = after.media_lines()[index];
            match mode {
                Mode::Anchored => {
                    let section = MessageSection::parse(&after, index, &limits);
                    prop_assert!(section.is_ok(), "{:?}", section);
                    let section = section.unwrap();
                    prop_assert!(address_matches_path(&section, &[], &[]) && !section.cema && !section.is_behind_relays());
                    prop_assert_eq!(section.setup, Some(Setup::Actpass));
                }
                Mode::Refused => prop_assert!(media.is_zero() && media.formats == b"*"),
                _ => prop_assert_eq!(media.protocol, before.media_lines()[index].protocol),
            }
        }
    }

    #[test]
    fn sdp_12_the_same_input_gives_the_same_octets(octets in descriptions(), rules in rules()) {
        prop_assert_eq!(rewritten(&octets, &rules), rewritten(&octets, &rules));
    }

    #[test]
    fn two_anchors_in_a_row(octets in descriptions(), rules in rules()) {
        let Some((first, modes)) = rewritten(&octets, &rules) else { return Ok(()) };
        let (second, again) = rewritten(&first, &rules).unwrap();
        for (before, after) in modes.iter().zip(&again) {
            // What one refused the next one sees as removed; a tunnel stays one.
            let expected = if *before == Mode::Refused { Mode::Removed } else { *before };
            prop_assert_eq!(expected, *after);
        }
        prop_assert!(rewritten(&second, &rules).is_some());
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let head = b"v=0\no=- 1 1 IN IP4 192.0.2.4\ns=-\nm=message 9 TCP/TLS/MSRP *\na=";
        for octets in [octets.clone(), [&head[..], &octets].concat()] {
            let _ = rewritten(&octets, &Rules::default());
        }
        for value in [b"a=fingerprint:".as_slice(), b"c=", b"a=path:", b"a=file-selector:", b"a=accept-types:", b"m="] {
            let _ = rewritten(&[&head[..head.len() - 2], value, &octets].concat(), &Rules::default());
        }
        let _ = Fingerprint::parse(&octets);
    }
}
