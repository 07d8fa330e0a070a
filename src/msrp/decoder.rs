//! The incremental decoder: octets in, events out, the same ones however the input is cut.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    block::Block,
    body::{Body, Step},
    fault::Fatal,
    flag::Flag,
    head::Head,
    limits::Limits,
};

/// What the decoder sees. A frame is `Head`, then any number of `Body`, then `End`.
#[derive(Clone, Debug)]
pub enum Event {
    /// The header block is complete; the body, if any, is still to come.
    Head(Head),
    /// Some octets of the body, never none.
    Body(Bytes),
    /// The end-line has been seen.
    End(Flag),
}

/// Decodes the octets of one direction of one connection. Heads and bodies are slices of the inputs wherever they lie in
/// one input. Memory is bounded by the header block limit, whatever is fed.
pub struct Decoder {
    limits: Limits,
    input: Bytes,
    state: State,
    has_body: bool,
}

// The large variants are the usual ones: a box would cost an allocation per frame.
#[allow(clippy::large_enum_variant)]
enum State {
    /// Between frames.
    Gap(Gap),
    /// In start line or headers.
    Head(Block),
    /// Behind the empty line.
    Body(Body),
    /// The end has been seen and is still to be told.
    End(Flag),
    Failed(Fatal),
}

/// Bare CRLFs between frames: how many have passed, and whether a CR waits for its LF.
#[derive(Default)]
struct Gap {
    passed: usize,
    cr: bool,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, input: Bytes::new(), state: State::Gap(Gap::default()), has_body: false }
    }

    /// Gives the next input. Should earlier input not be used up, both are joined, at the cost of a copy.
    pub fn feed(&mut self, input: Bytes) {
        if self.input.is_empty() {
            self.input = input;
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + input.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&input);
            self.input = joined.freeze();
        }
    }

    /// The next event, or `None` when the input is used up. An error stays for ever.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>, Fatal> {
        let result = self.step();
        if let Err(fatal) = result {
            self.state = State::Failed(fatal);
        }
        // Of input that is used up even an empty slice would keep the whole buffer alive, for as long as the link is silent.
        if self.input.is_empty() || result.is_err() {
            self.input = Bytes::new();
        }
        result
    }

    /// Whether a frame's `Head` has been handed out and its `End` has not.
    pub fn in_frame(&self) -> bool {
        matches!(self.state, State::Body(_) | State::End(_))
    }

    /// Whether a start line or header block has begun and is not complete.
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether the current frame has an empty line after its headers, and so a body, be it of no octets. Valid from
    /// `Head` to `End`.
    pub fn frame_has_body(&self) -> bool {
        self.has_body
    }

    /// Octets fed and not consumed, those that are held back included.
    pub fn unread(&self) -> usize {
        let held = match &self.state {
            State::Head(block) => block.held(),
            State::Body(body) => body.held(),
            _ => 0,
        };
        self.input.len() + held
    }

    fn step(&mut self) -> Result<Option<Event>, Fatal> {
        loop {
            match &mut self.state {
                State::Gap(gap) => {
                    if !gap.skip(&mut self.input, self.limits.gap_crlf)? {
                        return Ok(None);
                    }
                    self.state = State::Head(Block::new());
                }
                State::Head(block) => {
                    let Some((head, end)) = block.step(&mut self.input, &self.limits)? else { return Ok(None) };
                    self.has_body = end.is_none();
                    self.state = end.map_or_else(|| State::Body(Body::new(head.transact_id())), State::End);
                    return Ok(Some(Event::Head(head)));
                }
                State::Body(body) => match body.step(&mut self.input) {
                    Step::Octets(octets) => return Ok(Some(Event::Body(octets))),
                    Step::End(last, flag) => {
                        self.state = State::End(flag);
                        if !last.is_empty() {
                            return Ok(Some(Event::Body(last)));
                        }
                    }
                    Step::Starved => return Ok(None),
                },
                State::End(flag) => {
                    let flag = *flag;
                    self.state = State::Gap(Gap::default());
                    return Ok(Some(Event::End(flag)));
                }
                State::Failed(fatal) => return Err(*fatal),
            }
        }
    }
}

impl Gap {
    /// Skips CRLFs; true when a frame begins.
    fn skip(&mut self, input: &mut Bytes, limit: usize) -> Result<bool, Fatal> {
        while let Some(&octet) = input.first() {
            match octet {
                b'\n' if self.cr => {
                    self.cr = false;
                    self.passed += 1;
                }
                _ if self.cr => return Err(Fatal::NotMsrp),
                b'\r' if self.passed >= limit => return Err(Fatal::GapTooLong),
                b'\r' => self.cr = true,
                b'M' => return Ok(true),
                _ => return Err(Fatal::NotMsrp),
            }
            input.advance(1);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::msrp::HeadFault;

    const PATHS: &str = "To-Path: msrp://r.example:1/t;tcp\r\nFrom-Path: msrp://c.example:2/f;tcp\r\n";

    /// An event in a form that does not depend on how bodies were cut.
    #[derive(Clone, PartialEq, Debug)]
    enum Seen {
        Head(Vec<u8>, Option<HeadFault>),
        Body(Vec<u8>),
        End(Flag, bool),
        Fatal(Fatal),
    }

    fn drain(decoder: &mut Decoder, seen: &mut Vec<Seen>) {
        loop {
            match decoder.next() {
                Ok(Some(Event::Head(head))) => seen.push(Seen::Head(head.bytes().to_vec(), head.fault())),
                Ok(Some(Event::Body(octets))) => {
                    assert!(!octets.is_empty() && decoder.in_frame() && decoder.frame_has_body());
                    match seen.last_mut() {
                        Some(Seen::Body(body)) => body.extend_from_slice(&octets),
                        _ => seen.push(Seen::Body(octets.to_vec())),
                    }
                }
                Ok(Some(Event::End(flag))) => seen.push(Seen::End(flag, decoder.frame_has_body())),
                Ok(None) => return,
                Err(fatal) => {
                    assert_eq!(decoder.next().unwrap_err(), fatal, "an error stays");
                    if seen.last() != Some(&Seen::Fatal(fatal)) {
                        seen.push(Seen::Fatal(fatal));
                    }
                    return;
                }
            }
        }
    }

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
        let mut decoder = Decoder::new(Limits::default());
        let mut seen = Vec::new();
        for piece in pieces {
            decoder.feed(Bytes::copy_from_slice(piece));
            drain(&mut decoder, &mut seen);
        }
        seen
    }

    /// Decodes whole, octet by octet and at all two-way splits, which must all agree.
    fn decode_every_way(input: &[u8]) -> Vec<Seen> {
        let whole = decode([input]);
        assert_eq!(decode(input.chunks(1)), whole, "octet by octet");
        for at in 1..input.len() {
            assert_eq!(decode([&input[..at], &input[at..]]), whole, "split at {at}");
        }
        whole
    }

    fn send(body: &[u8]) -> Vec<u8> {
        let head = format!("MSRP abcd1234 SEND\r\n{PATHS}Content-Type: a/b\r\n\r\n");
        [head.as_bytes(), body, b"\r\n-------abcd1234$\r\n"].concat()
    }

    fn bodies(seen: &[Seen]) -> Vec<u8> {
        seen.iter()
            .filter_map(|s| if let Seen::Body(body) = s { Some(&body[..]) } else { None })
            .collect::<Vec<_>>()
            .concat()
    }

    fn fatal(input: &[u8]) -> Option<Fatal> {
        decode_every_way(input).into_iter().find_map(|s| if let Seen::Fatal(fatal) = s { Some(fatal) } else { None })
    }

    /// CORE-23, CORE-24, CORE-25, CORE-26, CORE-27, CORE-28, CORE-29
    #[rstest]
    #[case::core_23_plain(b"hello")]
    #[case::core_24_other_transact_id(b"\r\n-------zzzz9999$\r\n")]
    #[case::core_25_transact_id_goes_on(b"\r\n-------abcd12345$\r\n")]
    #[case::core_26_no_crlf_behind_flag(b"\r\n-------abcd1234$x\r\n")]
    #[case::core_27_not_behind_crlf(b"x-------abcd1234$\r\nMORE")]
    #[case::core_28_eight_hyphens(b"\r\n--------abcd1234$\r\n")]
    #[case::core_28_eight_hyphens_at_the_start(b"--------abcd1234$\r\n")]
    #[case::core_29_body_ending_in_cr_is_kept(b"a\r")]
    #[case::core_29_body_ending_in_lf_is_kept(b"a\n")]
    #[case::core_29_body_ending_in_crlf_is_kept(b"a\r\n")]
    #[case::core_29_body_ending_in_hyphens_is_kept(b"a-------")]
    #[case::core_29_body_of_crlf_is_kept(b"\r\n")]
    #[case::body_of_cr_is_kept(b"\r")]
    #[case::body_of_cr_cr_is_kept(b"\r\r")]
    #[case::body_of_hyphens_is_kept(b"-------")]
    #[case::body_of_crlf_hyphens_is_kept(b"\r\n-------")]
    #[case::end_line_that_was_broken_off(b"\r\n-------abcd1234")]
    #[case::end_line_with_cr_that_was_broken_off(b"\r\n-------abcd1234$\r")]
    #[case::end_line_without_crlf_at_the_start(b"-------abcd1234$x")]
    #[case::lf_only_end_line(b"\n-------abcd1234$\n")]
    #[case::iop_24_mail_signature(b"text\r\n-------\r\nname")]
    fn body_is_kept(#[case] body: &[u8]) {
        let seen = decode_every_way(&send(body));
        assert_eq!(bodies(&seen).escape_ascii().to_string(), body.escape_ascii().to_string());
        assert_eq!(seen.last(), Some(&Seen::End(Flag::Complete, true)));
        assert_eq!(seen.len(), 3);
    }

    /// CORE-30
    #[rstest]
    #[case::both_crlf("\r\n\r\n-------abcd1234+\r\n")]
    #[case::core_30_one_crlf("\r\n-------abcd1234+\r\n")]
    fn amb_31_an_empty_body_needs_no_crlf_of_its_own(#[case] rest: &str) {
        let seen = decode_every_way(format!("MSRP abcd1234 SEND\r\n{PATHS}Content-Type: a/b\r\n{rest}").as_bytes());
        assert_eq!(seen[1..], [Seen::End(Flag::More, true)]);
    }

    /// CORE-11
    #[test]
    fn core_11_a_bodiless_frame_ends_right_behind_its_headers() {
        let one = format!("MSRP a SEND\r\n{PATHS}-------a$\r\n");
        let seen = decode_every_way(one.repeat(2).as_bytes());
        let head = Seen::Head(one.as_bytes()[..one.len() - 11].to_vec(), None);
        assert_eq!(seen, [head.clone(), Seen::End(Flag::Complete, false), head, Seen::End(Flag::Complete, false)]);
    }

    /// CORE-102
    #[test]
    fn amb_34_content_type_without_body_is_a_bodiless_frame() {
        let seen = decode_every_way(format!("MSRP a SEND\r\n{PATHS}Content-Type: a/b\r\n-------a#\r\n").as_bytes());
        assert!(matches!(seen[0], Seen::Head(_, None)));
        assert_eq!(seen[1], Seen::End(Flag::Abort, false));
    }

    /// CORE-101
    #[test]
    fn core_101_body_without_content_type_is_a_fault_and_the_next_frame_is_fine() {
        let bad = format!("MSRP a SEND\r\n{PATHS}\r\nbody\r\n-------a$\r\n");
        let seen = decode_every_way(&[bad.as_bytes(), &send(b"x")].concat());
        assert!(matches!(seen[0], Seen::Head(_, Some(HeadFault::ContentTypeMissing))));
        assert!(matches!(seen[3], Seen::Head(_, None)));
        assert_eq!(seen.len(), 6);
    }

    /// CORE-103
    #[test]
    fn core_103_eight_empty_lines_between_frames_are_tolerated() {
        let frame = send(b"x");
        let gap = |n| [&frame[..], "\r\n".repeat(n).as_bytes(), &frame].concat();
        assert_eq!(decode_every_way(&gap(8)).len(), 6);
        assert_eq!(fatal(&gap(9)), Some(Fatal::GapTooLong));
    }

    /// CORE-1, CORE-2, CORE-18, CORE-22, ADV-C01, ADV-C05, ADV-C13, ADV-C14, ADV-C15, ADV-C18, ADV-C24
    #[rstest]
    #[case::adv_c01_other_protocol("GET / HTTP/1.1\r\n\r\n", Fatal::NotMsrp)]
    #[case::core_1_lower_case("msrp abcd1234 SEND\r\n", Fatal::NotMsrp)]
    #[case::core_1_mixed_case("MSRp", Fatal::NotMsrp)]
    #[case::junk_between_frames("\r\n\r\nX", Fatal::NotMsrp)]
    #[case::amb_32_lf_between_frames("\nMSRP", Fatal::NotMsrp)]
    #[case::cr_without_lf_between_frames("\rMSRP", Fatal::NotMsrp)]
    #[case::adv_c13_stray_end_line("-------abcd1234$\r\n", Fatal::NotMsrp)]
    #[case::core_2_letters_in_the_code("MSRP abcd1234 2OO OK\r\n", Fatal::StatusCode)]
    #[case::code_of_four_digits("MSRP abcd1234 2000\r\n", Fatal::StatusCode)]
    #[case::lower_case_method("MSRP abcd1234 send\r\n", Fatal::Method)]
    #[case::space_behind_method("MSRP abcd1234 SEND \r\n", Fatal::Method)]
    #[case::two_spaces("MSRP abcd1234  SEND\r\n", Fatal::Method)]
    #[case::no_third_field("MSRP abcd1234\r\n", Fatal::TransactId)]
    #[case::adv_c24_flag_in_transact_id("MSRP ab$d1234 SEND\r\n", Fatal::TransactId)]
    #[case::core_18_start_line_ends_in_lf("MSRP abcd1234 SEND\n", Fatal::BareLf)]
    #[case::adv_c05_header_ends_in_lf("MSRP abcd1234 SEND\r\nTo-Path: x\nFrom-Path: y\n", Fatal::BareLf)]
    #[case::core_18_cr_in_header("MSRP abcd1234 SEND\r\nTo-Path: x\rFrom-Path: y\r\n", Fatal::BareCr)]
    #[case::adv_c18_nul_in_header("MSRP abcd1234 SEND\r\nMessage-ID: ab\0cd\r\n", Fatal::Nul)]
    #[case::adv_c14_other_end_line("MSRP abcd1234 SEND\r\n-------wrongtid$\r\n", Fatal::WrongEndLine)]
    #[case::end_line_without_flag("MSRP abcd1234 SEND\r\n-------abcd1234\r\n", Fatal::WrongEndLine)]
    #[case::end_line_with_two_flags("MSRP abcd1234 SEND\r\n-------abcd1234$$\r\n", Fatal::WrongEndLine)]
    #[case::end_line_with_eight_hyphens("MSRP abcd1234 SEND\r\n--------abcd1234$\r\n", Fatal::WrongEndLine)]
    #[case::adv_c15_response_with_body("MSRP abcd1234 200 OK\r\nContent-Type: a/b\r\n\r\n", Fatal::ResponseBody)]
    fn framing_is_lost(#[case] input: &str, #[case] expected: Fatal) {
        assert_eq!(fatal(input.as_bytes()), Some(expected));
    }

    /// CORE-1, ADV-C01
    #[test]
    fn core_1_the_first_wrong_octet_is_enough() {
        assert_eq!(decode([&b"m"[..]]), [Seen::Fatal(Fatal::NotMsrp)]);
        assert_eq!(decode([&b"MS"[..], b"r"]), [Seen::Fatal(Fatal::NotMsrp)]);
        assert_eq!(decode([&b"MSRPx"[..]]), [Seen::Fatal(Fatal::NotMsrp)]);
    }

    /// ADV-C02, ADV-C03, ADV-R24
    #[test]
    fn adv_c02_c03_a_start_line_is_refused_as_soon_as_it_is_too_long() {
        let line = [b"MSRP ", "a".repeat(600).as_bytes()].concat();
        assert_eq!(decode([&line[..511]]), []);
        assert_eq!(decode([&line[..512]]), [Seen::Fatal(Fatal::StartLineTooLong)]);
        assert_eq!(decode(line.chunks(1)), [Seen::Fatal(Fatal::StartLineTooLong)]);
        assert_eq!(decode(["M".repeat(1 << 20).as_bytes()]), [Seen::Fatal(Fatal::NotMsrp)]);
    }

    /// ADV-C04, ADV-R06
    #[test]
    fn adv_c04_header_block_is_bounded_in_lines_and_octets() {
        let head = |line: &str, n| ["MSRP abcd1234 SEND\r\n", &line.repeat(n), "-------abcd1234$\r\n"].concat();
        assert_eq!(decode([head("X-A: b\r\n", 64).as_bytes()]).len(), 2);
        assert_eq!(decode([head("X-A: b\r\n", 65).as_bytes()]), [Seen::Fatal(Fatal::TooManyHeaderLines)]);
        let long = |length: usize| format!("X-A: {}\r\n", "b".repeat(length - 7));
        assert_eq!(decode([head(&long(8192), 1).as_bytes()]).len(), 2);
        for input in [head(&long(8193), 1), head(&long(1 << 20), 1)] {
            let seen = [Seen::Fatal(Fatal::HeaderLineTooLong)];
            assert_eq!(decode([input.as_bytes()]), seen);
            assert_eq!(decode(input.as_bytes().chunks(1).take(9000)), seen);
        }
        // 20 octets of start line leave 16 364: two lines of 8 182 fill the block to its last octet.
        assert_eq!(decode([head(&long(8182), 2).as_bytes()]).len(), 2);
        let over = head(&[long(8182), long(8183)].concat(), 1);
        assert_eq!(decode([over.as_bytes()]), [Seen::Fatal(Fatal::HeaderBlockTooLong)]);
        assert_eq!(decode(over.as_bytes().chunks(1)), [Seen::Fatal(Fatal::HeaderBlockTooLong)]);
    }

    /// ADV-C23
    #[test]
    fn adv_c23_transact_ids_of_1_to_64_characters_are_taken() {
        let frame = |n| format!("MSRP {0} SEND\r\n\r\n\r\n-------{0}$\r\n", "a".repeat(n));
        assert_eq!(decode_every_way(frame(1).as_bytes()).len(), 2);
        assert_eq!(decode_every_way(frame(64).as_bytes()).len(), 2);
        assert_eq!(fatal(frame(65).as_bytes()), Some(Fatal::TransactId));
    }

    /// ADV-C12
    #[test]
    fn adv_c12_only_a_beginning_of_the_end_line_is_held_back() {
        let mut decoder = Decoder::new(Limits::default());
        decoder.feed(send(b"octets").into());
        while decoder.next().unwrap().is_some() {}
        assert_eq!(decoder.unread(), 0);
        let mut frame = send(b"octets");
        frame.truncate(frame.len() - 1);
        decoder.feed(frame.into());
        let mut seen = Vec::new();
        drain(&mut decoder, &mut seen);
        assert_eq!(bodies(&seen), b"octets");
        assert_eq!(decoder.unread(), 19);
    }

    /// ADV-C10, ADV-C11
    #[test]
    fn adv_c10_c11_hostile_bodies_pass_intact() {
        for unit in
            ["-", "\r\n-------abcd1233$", "\r\n-------abcd1234", "\r\n", "\r", "\r\n-------abcd1234$x", "------\r\n-"]
        {
            let body = unit.repeat(100_000 / unit.len());
            let frame = send(body.as_bytes());
            for size in [1, 7, 1000, 16 * 1024, 1 << 20] {
                assert!(bodies(&decode(frame.chunks(size))) == body.as_bytes(), "{unit:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn head_and_body_are_slices_of_the_input_they_lie_in() {
        let input = Bytes::from(send(b"some octets"));
        let inside = |part: &[u8]| input.as_ptr_range().contains(&part.as_ptr());
        let mut decoder = Decoder::new(Limits::default());
        decoder.feed(input.clone());
        let Ok(Some(Event::Head(head))) = decoder.next() else { panic!("no head") };
        let Ok(Some(Event::Body(body))) = decoder.next() else { panic!("no body") };
        assert!(inside(head.bytes()) && inside(&body));
        assert!(decoder.in_frame() && !decoder.in_head());
        assert!(matches!(decoder.next(), Ok(Some(Event::End(Flag::Complete)))));
        assert!(!decoder.in_frame());
    }

    #[test]
    fn input_that_is_used_up_is_let_go() {
        let response = b"MSRP abcd1234 200 OK\r\nTo-Path: msrp://a.invalid:1/a;tcp\r\n\
                         From-Path: msrp://b.invalid:1/b;tcp\r\n-------abcd1234$\r\n";
        for frame in [send(b"some octets"), response.to_vec(), b"\r\n".to_vec()] {
            let input = Bytes::from(frame);
            let mut decoder = Decoder::new(Limits::default());
            decoder.feed(input.clone());
            let mut seen = Vec::new();
            drain(&mut decoder, &mut seen);
            drop(seen);
            assert!(input.is_unique(), "a silent link keeps its last buffer");
        }
    }

    #[test]
    fn input_fed_before_the_last_was_used_up_is_appended() {
        let frame = send(b"hello");
        let mut decoder = Decoder::new(Limits::default());
        for piece in frame.chunks(10) {
            decoder.feed(Bytes::copy_from_slice(piece));
        }
        assert_eq!(decoder.unread(), frame.len());
        let mut seen = Vec::new();
        drain(&mut decoder, &mut seen);
        assert_eq!(seen, decode([&frame[..]]));
    }

    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let bit = prop_oneof![
            Just("\r"),
            Just("\n"),
            Just("\r\n"),
            Just("-"),
            Just("-------"),
            Just("abcd1234"),
            Just("$"),
            Just("+"),
            Just("x"),
            Just("MSRP abcd1234 SEND\r\n"),
            Just("\r\n-------abcd1234$\r\n"),
            Just("Content-Type: a/b\r\n\r\n"),
            Just("To-Path: msrp://a.example:1/b;tcp\r\n"),
            Just("MSRP abcd1234 200 OK\r\n"),
            Just("\0"),
            Just(" y"),
        ];
        let junk = prop::collection::vec(bit, 0..12).prop_map(|bits| bits.concat().into_bytes());
        let frame = prop_oneof![
            4 => junk.clone().prop_map(|body| send(&body)),
            2 => Just(format!("MSRP abcd1234 SEND\r\n{PATHS}-------abcd1234$\r\n").into_bytes()),
            1 => Just(b"\r\n".to_vec()),
            1 => junk,
        ];
        prop::collection::vec(frame, 1..5).prop_map(|frames| frames.concat())
    }

    proptest! {
        /// CORE-23
        #[test]
        fn any_split_gives_the_same_events(input in frames(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([input.len()]) {
                pieces.push(&input[from..cut]);
                from = cut;
            }
            prop_assert_eq!(decode(pieces), decode([&input[..]]));
            prop_assert_eq!(decode(input.chunks(1)), decode([&input[..]]));
        }
    }
}
