//! Decodes gzip and zstd piece by piece.

use super::fault::{Coding, CodingFault};
use flate2::{Decompress, FlushDecompress, Status};
use std::io;
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// The most bytes that come out at once.
pub const PIECE_BYTES: usize = 32 << 10;
/// The largest window of zstd, as a power of two: what every decoder must have (RFC 9659). It is memory.
const ZSTD_WINDOW_LOG: u32 = 23;
/// The largest window of gzip, as a power of two: it has no larger one.
const GZIP_WINDOW_BITS: u8 = 15;

/// The decoder of one body, which may consist of several coded streams, one after another.
pub struct Decoder {
    format: Format,
    /// Whether a stream has begun and not ended.
    is_within_stream: bool,
}

enum Format {
    Gzip(Decompress),
    Zstd(ZstdDecoder<'static>),
}

impl Decoder {
    /// For a body that has not begun.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(coding: Coding) -> io::Result<Self> {
        let format = match coding {
            Coding::Gzip => Format::Gzip(Decompress::new_gzip(GZIP_WINDOW_BITS)),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Format::Zstd(decoder)
            }
        };
        Ok(Self { format, is_within_stream: false })
    }

    /// Whether the body may end here. One without any byte is not coded, and is empty.
    pub const fn is_between_streams(&self) -> bool {
        !self.is_within_stream
    }

    /// Decodes some of `input` into `out`, which is empty; returns how many bytes of it were used. Nothing comes out only if
    /// all of it was used, or a stream has ended.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, CodingFault> {
        if input.is_empty() && !self.is_within_stream {
            return Ok(0);
        }
        self.is_within_stream = true;
        out.reserve_exact(PIECE_BYTES);
        let (used, has_ended) = match &mut self.format {
            Format::Gzip(decoder) => gunzip(decoder, input, out)?,
            Format::Zstd(decoder) => unzstd(decoder, input, out)?,
        };
        if used == 0 && out.is_empty() && !input.is_empty() && !has_ended {
            return Err(CodingFault::Damaged);
        }
        if has_ended {
            self.is_within_stream = false;
            if let Format::Gzip(decoder) = &mut self.format {
                *decoder = Decompress::new_gzip(GZIP_WINDOW_BITS);
            }
        }
        Ok(used)
    }
}

fn gunzip(decoder: &mut Decompress, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), CodingFault> {
    let before = decoder.total_in();
    let status =
        decoder.decompress_vec(input, out, FlushDecompress::None).map_err(|_| CodingFault::Damaged)?;
    let used = usize::try_from(decoder.total_in() - before).unwrap_or(usize::MAX);
    Ok((used, status == Status::StreamEnd))
}

fn unzstd(
    decoder: &mut ZstdDecoder<'static>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(usize, bool), CodingFault> {
    let mut source = InBuffer::around(input);
    let mut target = OutBuffer::around(out);
    let hint = decoder.run(&mut source, &mut target).map_err(|_| CodingFault::Damaged)?;
    Ok((source.pos(), hint == 0))
}
