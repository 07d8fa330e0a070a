//! A URI that parses is equivalent to itself and known by its own host; comparison is symmetric.
#![no_main]

use chappe::msrp::Uri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |octet| *octet == b' ');
    let (Some(one), other) = (parts.next(), parts.next()) else { return };
    let Ok(one) = Uri::parse(one) else { return };
    assert!(one.equivalent(&one));
    assert!(one.host_is(&one.host_string()));
    if let Some(Ok(other)) = other.map(Uri::parse) {
        assert_eq!(one.equivalent(&other), other.equivalent(&one));
        assert_eq!(one.same_authority(&other), other.same_authority(&one));
        assert_eq!(one.same_authority(&other), one.port() == other.port() && one.host_is(&other.host_string()));
    }
});
