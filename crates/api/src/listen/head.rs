//! Checks on a request's head that hyper does not make: a head that two parties read differently would let a request be
//! smuggled past the proxy in front. Also records what the refusal of a head needs.

use memchr::memchr_iter;
use std::mem;

/// Why the head of a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// A line ends in LF without CR.
    BareLineFeed,
    /// The first line is not `METHOD target HTTP/1.1`.
    RequestLine,
    /// There is no `Host`.
    HostMissing,
    /// There are several `Host` fields.
    HostRepeated,
    /// `Host` is not a host.
    HostInvalid,
    /// There are both `Transfer-Encoding` and `Content-Length`.
    TwoLengths,
    /// There are several `Content-Length` fields, perhaps equal ones.
    LengthRepeated,
    /// `Transfer-Encoding` is not `chunked`.
    TransferEncoding,
    /// It is not valid HTTP in some other way.
    Unparsable,
    /// The request line is longer than a head may be.
    TargetTooLong,
    /// The head has too many bytes or fields.
    TooLarge,
    /// The head has not arrived in time.
    TooSlow,
    /// It is HTTP without TLS, where TLS is spoken.
    PlainText,
}

/// How far a head has got.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is incomplete.
    Partial,
    /// It ends before this byte of the checked ones.
    Complete(usize),
    /// It is refused.
    Faulty(HeadFault),
}

/// Checks the heads of one connection, one after another, as their bytes arrive.
#[derive(Default)]
pub struct HeadCheck {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    has_request_line: bool,
    is_http_10: bool,
    is_head_request: bool,
    hosts: u8,
    lengths: u8,
    encodings: u8,
    fault: Option<HeadFault>,
    origin: Vec<u8>,
    is_complete: bool,
}

impl HeadCheck {
    /// Checks the next bytes of a head.
    pub fn check(&mut self, bytes: &[u8]) -> Progress {
        if self.is_complete {
            self.reset();
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            match self.take_line(&bytes[start..end]) {
                Ok(false) => start = end + 1,
                Ok(true) => {
                    self.is_complete = true;
                    return Progress::Complete(end + 1);
                }
                Err(fault) => return Progress::Faulty(fault),
            }
        }
        self.line.extend_from_slice(&bytes[start..]);
        Progress::Partial
    }

    /// Whether anything but empty lines has arrived.
    pub const fn has_begun(&self) -> bool {
        self.has_request_line || !self.line.is_empty()
    }

    /// Whether the request line has not ended yet.
    pub const fn is_in_request_line(&self) -> bool {
        !self.has_request_line
    }

    /// Whether the method is HEAD, so that its response may have no body.
    pub const fn is_head_request(&self) -> bool {
        self.is_head_request
    }

    /// The last `Origin` field.
    pub fn origin(&self) -> Option<&[u8]> {
        (!self.origin.is_empty()).then_some(&self.origin[..])
    }

    fn reset(&mut self) {
        self.line.clear();
        self.origin.clear();
        self.has_request_line = false;
        self.is_head_request = false;
        self.is_complete = false;
        (self.hosts, self.lengths, self.encodings) = (0, 0, 0);
    }

    /// Takes the `end` of a line, without its LF. Returns whether the line is the last one of the head.
    fn take_line(&mut self, end: &[u8]) -> Result<bool, HeadFault> {
        if self.line.is_empty() {
            return self.read_line(end);
        }
        let mut line = mem::take(&mut self.line);
        line.extend_from_slice(end);
        let result = self.read_line(&line);
        line.clear();
        self.line = line;
        result
    }

    fn read_line(&mut self, line: &[u8]) -> Result<bool, HeadFault> {
        let line = line.strip_suffix(b"\r").ok_or(HeadFault::BareLineFeed)?;
        match (self.has_request_line, line.is_empty()) {
            // Some clients end a body with a line feed that its length does not count (RFC 9112, 2.2).
            (false, true) => Ok(false),
            (false, false) => self.read_request_line(line).map(|()| false),
            (true, false) => {
                self.read_field(line);
                Ok(false)
            }
            (true, true) => self.finish().map(|()| true),
        }
    }

    fn read_request_line(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        self.is_http_10 = line.ends_with(b" HTTP/1.0");
        if !self.is_http_10 && !line.ends_with(b" HTTP/1.1") {
            return Err(HeadFault::RequestLine);
        }
        self.is_head_request = line.starts_with(b"HEAD ");
        self.has_request_line = true;
        Ok(())
    }

    fn read_field(&mut self, line: &[u8]) {
        match line[0].to_ascii_lowercase() {
            b'h' => {
                if let Some(host) = field(line, b"host") {
                    self.hosts = self.hosts.saturating_add(1);
                    self.expect(
                        host.iter().all(|byte| HOST_BYTES[usize::from(*byte)]),
                        HeadFault::HostInvalid,
                    );
                }
            }
            b'c' if field(line, b"content-length").is_some() => {
                self.lengths = self.lengths.saturating_add(1);
            }
            b't' => {
                if let Some(encoding) = field(line, b"transfer-encoding") {
                    let is_chunked = encoding.eq_ignore_ascii_case(b"chunked");
                    // Only one field is allowed, and HTTP/1.0 does not have it.
                    let is_known = is_chunked && self.encodings == 0 && !self.is_http_10;
                    self.encodings = 1;
                    self.expect(is_known, HeadFault::TransferEncoding);
                }
            }
            b'o' => {
                if let Some(origin) = field(line, b"origin") {
                    self.origin.clear();
                    self.origin.extend_from_slice(origin);
                }
            }
            _ => {}
        }
    }

    /// Records a fault. The head is refused once it is complete, when its `Origin` is known.
    fn expect(&mut self, is_right: bool, fault: HeadFault) {
        if !is_right {
            self.fault.get_or_insert(fault);
        }
    }

    fn finish(&self) -> Result<(), HeadFault> {
        match self.hosts {
            0 if !self.is_http_10 => return Err(HeadFault::HostMissing),
            0 | 1 => {}
            _ => return Err(HeadFault::HostRepeated),
        }
        if self.encodings > 0 && self.lengths > 0 {
            return Err(HeadFault::TwoLengths);
        }
        if self.lengths > 1 {
            return Err(HeadFault::LengthRepeated);
        }
        self.fault.map_or(Ok(()), Err)
    }
}

/// The value of the field in `line`, if it is called `name`.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.get(name.len()..)?.strip_prefix(b":")?;
    line[..name.len()].eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The bytes that a host with its port may have (RFC 3986, 3.2), as a table because every request is checked.
const HOST_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"-._~%!$&'()*+,;=:[]";
    let mut at = 0;
    while at < table.len() {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a head in one piece and byte by byte, and returns the common result.
    #[track_caller]
    fn check(head: &str) -> Progress {
        let whole = HeadCheck::default().check(head.as_bytes());
        let mut check = HeadCheck::default();
        let mut progress = Progress::Partial;
        for (at, byte) in head.as_bytes().iter().enumerate() {
            progress = check.check(&[*byte]);
            match progress {
                Progress::Partial => {}
                Progress::Complete(1) => {
                    progress = Progress::Complete(at + 1);
                    break;
                }
                Progress::Complete(_) => panic!("one byte has no more"),
                Progress::Faulty(_) => break,
            }
        }
        assert_eq!(whole, progress, "{head:?}");
        whole
    }

    #[test]
    fn request_head_ends_where_its_body_begins() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nhost:a.example:8000\r\n\r\n",
            "HEAD * HTTP/1.1\r\nHOST:\t[::1]:80 \r\nX: y\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: \r\nTransfer-Encoding: Chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHosts: b\r\nTransfer-Encodings: x\r\nTE: trailers\r\n\r\n",
        ] {
            assert_eq!(check(head), Progress::Complete(head.len()));
            let more = format!("{head}abc\nGET");
            assert_eq!(HeadCheck::default().check(more.as_bytes()), Progress::Complete(head.len()));
        }
        assert_eq!(check("GET / HTTP/1.1\r\nHost: a\r\n"), Progress::Partial);
    }

    /// A head that two parsers could read differently is rejected, as it could smuggle a request.
    #[test]
    fn request_head_with_two_readings_is_rejected() {
        use HeadFault::*;
        for (head, fault) in [
            ("GET / HTTP/1.1\nHost: a\n\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLineFeed),
            ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineFeed),
            ("GET /\r\n\r\n", RequestLine),
            ("PRI * HTTP/2.0\r\n\r\n", RequestLine),
            ("GET / HTTP/1.1\r\n\r\n", HostMissing),
            ("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", HostMissing),
            ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", HostRepeated),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", HostRepeated),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HostInvalid),
            ("GET / HTTP/1.1\r\nHost: u@a/\r\n\r\n", HostInvalid),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                TwoLengths,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                TwoLengths,
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n", LengthRepeated),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", LengthRepeated),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", TransferEncoding),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", TransferEncoding),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", TransferEncoding),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                TransferEncoding,
            ),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", TransferEncoding),
        ] {
            assert_eq!(check(head), Progress::Faulty(fault), "{head:?}");
        }
    }

    #[test]
    fn request_heads_of_one_connection_are_checked_separately() {
        let mut check = HeadCheck::default();
        let first = "HEAD / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n";
        assert_eq!(check.check(first.as_bytes()), Progress::Complete(first.len()));
        assert_eq!(check.origin(), Some(&b"https://a.example"[..]));
        assert!(check.is_head_request() && !check.is_in_request_line());
        assert_eq!(check.check(b"GET / HT"), Progress::Partial);
        assert_eq!(check.origin(), None);
        assert!(!check.is_head_request() && check.is_in_request_line());
        assert_eq!(check.check(b"TP/1.1\r\n\r\n"), Progress::Faulty(HeadFault::HostMissing));
    }
}
