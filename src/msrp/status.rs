//! Three-digit status codes of responses and REPORTs (RFC 4975 10, RFC 4976 9, RFC 7701).

/// A status code, 0 to 999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Status(u16);

/// The codes with a meaning of their own.
impl Status {
    /// 200: done for this hop.
    pub const OK: Status = Status(200);
    /// 400: not understandable.
    pub const BAD_REQUEST: Status = Status(400);
    /// 401: AUTH lacks valid credentials.
    pub const UNAUTHORIZED: Status = Status(401);
    /// 403: not allowed.
    pub const FORBIDDEN: Status = Status(403);
    /// 404: recipient unknown.
    pub const NOT_FOUND: Status = Status(404);
    /// 408: no answer in time.
    pub const TIMEOUT: Status = Status(408);
    /// 413: stop sending this message.
    pub const TOO_LARGE: Status = Status(413);
    /// 415: media type not accepted.
    pub const UNSUPPORTED_MEDIA: Status = Status(415);
    /// 423: a parameter is out of bounds.
    pub const OUT_OF_BOUNDS: Status = Status(423);
    /// 424: nickname malformed.
    pub const NICKNAME_MALFORMED: Status = Status(424);
    /// 425: nickname taken or reserved.
    pub const NICKNAME_TAKEN: Status = Status(425);
    /// 428: private messages not supported.
    pub const NO_PRIVATE_MESSAGES: Status = Status(428);
    /// 481: no such session.
    pub const NO_SESSION: Status = Status(481);
    /// 501: method not known.
    pub const NOT_IMPLEMENTED: Status = Status(501);
    /// 506: session bound to another connection.
    pub const IN_USE: Status = Status(506);
}

impl Status {
    /// A code from its number; only the last three decimal digits count.
    pub const fn new(code: u16) -> Status {
        Status(code % 1000)
    }

    /// The number.
    pub fn code(self) -> u16 {
        self.0
    }

    /// Whether the code means success: any 2xx (CORE-108).
    pub fn is_success(self) -> bool {
        self.0 / 100 == 2
    }

    /// A short phrase for the comment field, never empty.
    pub fn comment(self) -> &'static str {
        match self.0 {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            408 => "Request Timeout",
            413 => "Message Too Large",
            415 => "Unsupported Media Type",
            423 => "Parameter Out Of Bounds",
            424 => "Malformed Nickname",
            425 => "Nickname Reserved Or Already In Use",
            428 => "Private Messages Not Supported",
            481 => "No Such Session",
            501 => "Not Implemented",
            506 => "Session In Use",
            201..=299 => "Success",
            _ => "Failure",
        }
    }

    /// Reads exactly three digits.
    pub(super) fn from_digits(text: &[u8]) -> Option<Status> {
        let digits: [u8; 3] = text.try_into().ok()?;
        digits.iter().try_fold(0, |code, d| d.is_ascii_digit().then(|| code * 10 + u16::from(d - b'0'))).map(Status)
    }

    /// The three digits.
    pub(super) fn digits(self) -> [u8; 3] {
        [self.0 / 100, self.0 / 10 % 10, self.0 % 10].map(|digit| b'0' + digit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CORE-108
    #[test]
    fn core_108_unknown_codes_go_by_their_class() {
        assert!(Status::new(299).is_success());
        assert!(!Status::new(699).is_success());
        assert!(!Status::new(699).comment().is_empty());
    }

    #[test]
    fn digits_are_exactly_three() {
        assert_eq!(Status::from_digits(b"007"), Some(Status::new(7)));
        assert_eq!(Status::new(7).digits(), *b"007");
        assert_eq!(Status::from_digits(b"20"), None);
        assert_eq!(Status::from_digits(b"2000"), None);
        assert_eq!(Status::from_digits(b"2O0"), None);
    }
}
