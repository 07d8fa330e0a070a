//! Any offer is refused, or its rewrite is a description with the same m-lines in which each anchored section is sound.
#![no_main]

use chappe::sdp::{
    Address, Content, Description, Draft, Fingerprint, Hash, Limits, MessageSection, Mode, Offer, Offered, Origin,
    OurUri, Ownership, Rules, Slot, Toward, Tunnel, Tunnels, assess_answer, rewrite_answer, rewrite_offer, update,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let rules = Rules { tunnels: Tunnels::Tls, ..Rules::default() };
    let Ok(received) = Description::parse(data, &rules.limits) else { return };
    let offer = Offer::assess(&received, &rules, |_| Ownership::Foreign);
    let _ = offer.refusal(&received);
    let address = Address::V4([203, 0, 113, 20].into());
    let our = |line: &Offered<'_>| match line {
        Offered::Ours(Mode::Anchored, section) => {
            Some(OurUri::new(address.clone(), section.protocol, 2855, "token").expect("a sound URI"))
        }
        _ => None,
    };
    let ours: Vec<Option<OurUri>> = offer.lines.iter().map(our).collect();
    let slot = |(mode, our)| match (mode, our) {
        (Mode::Anchored, Some(our)) => Slot::Anchor(our),
        (Mode::Tunnelled, _) => Slot::Tunnel(Some(30412)),
        (Mode::Refused, _) => Slot::Refuse,
        _ => Slot::Keep,
    };
    let slots: Vec<Slot<'_>> = offer.modes().into_iter().zip(ours.iter().map(Option::as_ref)).map(slot).collect();
    let fingerprints = [Fingerprint::new(Hash::Sha256, &[0xAB; 32]).expect("32 octets")];
    let content = Content::default();
    let toward = Toward { address: &address, fingerprints: &fingerprints, content: &content, interworking: false };
    let issue = |draft: Draft| Origin::new(1, address.clone()).issue(draft);

    let sent = issue(rewrite_offer(&received, &slots, &toward).expect("the slots fit"));
    let wide = Limits { octets: 1 << 24, lines: 1 << 20, ..rules.limits };
    let after = Description::parse(&sent, &wide).expect("what is written parses");
    assert_eq!(after.media_lines().len(), received.media_lines().len());
    for (index, line) in offer.lines.iter().enumerate() {
        match line.mode() {
            Mode::Anchored => {
                let section = MessageSection::parse(&after, index, &wide).expect("an anchored section is sound");
                assert!(!section.cema && !section.is_behind_relays() && section.first.text().ends_with(b"/token;tcp"));
            }
            Mode::Refused => assert!(after.media_lines()[index].is_zero()),
            _ => assert_eq!(after.media_lines()[index].protocol, received.media_lines()[index].protocol),
        }
        if let Offered::Ours(_, section) = line {
            let _ = (Tunnel::of(section, section), section.target_path());
        }
    }
    // The same text as an answer to itself, and as a later offer.
    let _ = assess_answer(&received, &offer.modes(), &received, &rules, |_| Ownership::Foreign);
    let _ = rewrite_answer(&received, &received, &slots, &toward).map(issue);
    let _ = update(&received, &after);
});
