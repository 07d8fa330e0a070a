//! How much of a frame's head is accepted before the decoder gives up on it.

/// The largest body of a request other than SEND, in octets (RFC 4975 7.1).
pub const MAX_NON_SEND_BODY: u64 = 10_240;

/// Upper bounds for one frame's head. All lengths are octets and include the CRLF of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest start line.
    pub start_line: usize,
    /// Longest header line.
    pub header_line: usize,
    /// Longest start line and header lines together; values above 65 535 count as 65 535.
    pub header_block: usize,
    /// Most header lines.
    pub header_lines: usize,
    /// Most URIs in one path.
    pub path_uris: usize,
    /// Longest URI in a path.
    pub uri: usize,
    /// Most bare CRLFs between two frames.
    pub gap_crlf: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            start_line: 512,
            header_line: 8192,
            header_block: 16_384,
            header_lines: 64,
            path_uris: 16,
            uri: 1024,
            gap_crlf: 8,
        }
    }
}
