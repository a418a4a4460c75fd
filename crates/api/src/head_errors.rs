//! The errors for heads that are refused before any route sees them.

use crate::error_codes;
use crate::listen::HeadFault;
use tenantry_domain::Error;

/// The error for a fault, with its detail.
pub fn error(fault: HeadFault) -> Error {
    let detail = match fault {
        HeadFault::BareLineFeed => "A line of the request's head ends in LF alone: end each line in CR LF.",
        HeadFault::RequestLine => {
            "The first line must be a method, a path and `HTTP/1.1`, with one space between each."
        }
        HeadFault::HostMissing => "There is no `Host` header: send one with the name of the server.",
        HeadFault::HostRepeated => "There is more than one `Host` header: send one.",
        HeadFault::HostInvalid => "`Host` is not the name of a host, with or without a port.",
        HeadFault::TwoLengths => "`Transfer-Encoding` stands beside `Content-Length`: send one of them.",
        HeadFault::LengthRepeated => "There is more than one `Content-Length` header: send one.",
        HeadFault::TransferEncoding => {
            "`Transfer-Encoding` must be `chunked`, once, in HTTP/1.1: no other encoding is taken."
        }
        HeadFault::Unparsable => "The request's head is not HTTP/1.1: check its first line and its headers.",
        HeadFault::PlainText => "This port speaks TLS: send the request to `https://`.",
        HeadFault::TargetTooLong => return error_codes::URI_TOO_LONG.into(),
        HeadFault::TooLarge => return error_codes::HEADERS_TOO_LARGE.into(),
        HeadFault::TooSlow => {
            let detail =
                "The head of the request did not arrive in time. Send it again over a faster connection.";
            return Error::new(error_codes::REQUEST_TIMEOUT).detail(detail);
        }
    };
    Error::new(error_codes::MALFORMED_REQUEST).detail(detail)
}
