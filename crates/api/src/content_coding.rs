//! Request bodies with `Content-Encoding`: decoded while they arrive, so that every limit of a body applies to what comes out.
//!
//! # Pitfalls
//! A few bytes can decode to very many. One poll gives out one piece of bounded size, however much came in, and a body that swells
//! beyond reason is refused even where a body has no limit of its own.

mod decoder;
mod fault;

pub use fault::CodingFault;

use crate::error_codes;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use decoder::{Decoder, PIECE_BYTES};
use fault::Coding;
use hyper::body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tenantry_domain::{Error, Result};

/// Names the codings that bodies may have (RFC 7694).
pub const ACCEPT_ENCODING: HeaderName = header::ACCEPT_ENCODING;
/// The codings that bodies may have.
pub const CODINGS: HeaderValue = HeaderValue::from_static("gzip, zstd");

/// What a body may always decode to, however small it is.
const FREE_BYTES: u64 = 16 << 20;
/// How many bytes each byte of a larger body may decode to. Lines of like documents reach some 50.
const MAX_RATIO: u64 = 500;

/// Whether the head of a request names a coding that is not taken.
pub fn is_unknown(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_ENCODING) && coding(headers).is_err()
}

/// The body as it was before it was coded as `headers` say.
///
/// # Errors
/// `unsupported_media_type` for a coding that is not taken.
pub fn decoded(headers: &HeaderMap, body: Body) -> Result<Body> {
    let Some(coding) = coding(headers)? else { return Ok(body) };
    let decoder = Decoder::new(coding).map_err(Error::internal)?;
    Ok(Body::new(DecodedBody {
        body,
        decoder,
        arrived: Bytes::new(),
        has_more: false,
        taken: 0,
        given: 0,
        is_over: false,
    }))
}

/// The coding of a body; `None` if it has none.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>> {
    let mut found = None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',').map(|name| name.trim().to_ascii_lowercase()) {
            let coding = match name.as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "zstd" => Coding::Zstd,
                _ => return Err(unsupported("The body has a `Content-Encoding` that is not taken")),
            };
            if found.replace(coding).is_some() {
                return Err(unsupported("The body is coded more than once"));
            }
        }
    }
    Ok(found)
}

fn unsupported(what: &str) -> Error {
    let detail = format!("{what}: send it as gzip or zstd, or as it is, without `Content-Encoding`.");
    Error::new(error_codes::UNSUPPORTED_MEDIA_TYPE).detail(detail)
}

/// A body that is decoded as it is read.
struct DecodedBody {
    body: Body,
    decoder: Decoder,
    /// What has arrived and has not been decoded.
    arrived: Bytes,
    /// Whether more may come out without anything that arrives.
    has_more: bool,
    /// Bytes that have arrived so far, and that came out of them.
    taken: u64,
    given: u64,
    is_over: bool,
}

impl DecodedBody {
    /// The next piece; `None` if more must arrive first.
    fn decode(&mut self) -> std::result::Result<Option<Bytes>, CodingFault> {
        if self.arrived.is_empty() && !self.has_more {
            return Ok(None);
        }
        let before = self.arrived.len();
        let mut piece = Vec::new();
        let consumed = self.decoder.decode(&self.arrived, &mut piece)?;
        drop(self.arrived.split_to(consumed));
        self.taken += (before - self.arrived.len()) as u64;
        self.given += piece.len() as u64;
        self.has_more = piece.len() >= PIECE_BYTES;
        if self.given > FREE_BYTES.max(self.taken.saturating_mul(MAX_RATIO)) {
            return Err(CodingFault::Swells);
        }
        Ok((!piece.is_empty()).then(|| Bytes::from(piece)))
    }

    fn fail(&mut self, fault: CodingFault) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        self.is_over = true;
        Poll::Ready(Some(Err(axum::Error::new(fault))))
    }
}

impl HttpBody for DecodedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        while !self.is_over {
            match self.decode() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(None) if self.arrived.is_empty() => {}
                // Nothing came out of what was taken.
                Ok(None) => continue,
                Err(fault) => return self.fail(fault),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    // Trailers say nothing here.
                    if let Ok(bytes) = frame.into_data() {
                        self.arrived = bytes;
                    }
                }
                Some(Err(error)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None if self.decoder.is_between_streams() => self.is_over = true,
                None => return self.fail(CodingFault::CutOff),
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests;
