//! When a certificate is good, in words for operators: the others notice a day too late.

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::observe::rfc3339::rfc3339;

/// So long before its end a certificate is worth a word.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// What is to be said of a certificate's dates at this time, as the rest of a sentence; nothing while it is good for two weeks.
pub fn untimely(leaf: &CertificateDer<'_>, now: SystemTime) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    let time = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let validity = parsed.validity();
    let (begin, end) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
    if now < begin {
        return Some(format!("is not good before {}: until then clients and peers will refuse it", rfc3339(begin)));
    }
    match end.duration_since(now) {
        Err(_) => {
            Some(format!("has expired ({}): clients and peers will refuse it; renew it and reload", rfc3339(end)))
        }
        Ok(left) if left < SOON => {
            let days = left.as_secs() / 86_400;
            Some(format!("expires in {days} days ({}): renew it and reload", rfc3339(end)))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(now: u64) -> Option<String> {
        let mut params = rcgen::CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 12, 31);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        untimely(certificate.der(), SystemTime::UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn dates_are_told_while_there_is_time() {
        let day = 86_400;
        let (begin, end) = (18_262 * day, 18_627 * day);
        assert_eq!(said(begin + day), None);
        assert_eq!(said(end - 15 * day), None);
        assert!(said(end - 3 * day).unwrap().starts_with("expires in 3 days (2020-12-31"));
        assert!(said(end + 1).unwrap().starts_with("has expired (2020-12-31"));
        assert!(said(begin - 1).unwrap().starts_with("is not good before 2020-01-01"));
    }
}
