//! An Authorization value from the network: reading it never panics, what was read can be written and read again, and
//! no value opens the door without the password.
#![no_main]

use chappe::auth::{Algorithm, Authorization, Ha1, NonceState, Nonces, Verdict, authentication_info, response, verify};
use chappe::moment::Moment;
use libfuzzer_sys::fuzz_target;

const TO: &[u8] = b"msrps://ines@gate.north.example;tcp";

fuzz_target!(|value: &[u8]| {
    let Ok(sent) = Authorization::parse(value) else { return };
    let offered = &Algorithm::STRONGEST_FIRST;
    let _ = sent.check("gate.north.example", offered);
    assert!(matches!(verify(&sent, None, TO, true, true, offered), Verdict::Wrong));
    let ha1 = Ha1::from_password(&sent.username, &sent.realm, "a password that is in no seed");
    assert!(matches!(verify(&sent, Some(&ha1), TO, true, true, offered), Verdict::Wrong));
    let mut nonces = Nonces::new([0x5a; 32], 0, 4);
    assert_eq!(nonces.accept(sent.nonce.as_bytes(), sent.nc, Moment::ZERO), NonceState::Stale);

    let secret = ha1.hex(sent.algorithm).unwrap();
    let right = response(sent.algorithm, secret, &sent.nonce, &sent.nc_text, &sent.cnonce, "AUTH", TO);
    let rewritten = format!(
        "Digest username={}, realm={}, nonce={}, cnonce={}, nc={}, qop=auth, response={right}",
        quoted(&sent.username),
        quoted(&sent.realm),
        quoted(&sent.nonce),
        quoted(&sent.cnonce),
        sent.nc_text,
    );
    // Escapes may make it longer than what is read.
    let Ok(again) = Authorization::parse(rewritten.as_bytes()) else {
        assert!(rewritten.len() > chappe::auth::MAX_VALUE);
        return;
    };
    let Verdict::Right(proof) = verify(&again, Some(&ha1), TO, true, false, offered) else { panic!("not right") };
    let info = authentication_info(&proof, None);
    assert!(!info.bytes().any(|b| b == b'\r' || b == b'\n'));
});

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
