//! Compresses a whole response. The levels are those where a level more costs more time than it saves bytes.

use super::negotiation::Coding;
use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Result, Write};

const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 4;
const BROTLI_QUALITY: u32 = 4;
/// The window of Brotli, as a power of two.
const BROTLI_WINDOW: u32 = 19;
const BROTLI_BUFFER_BYTES: usize = 32 << 10;

/// `bytes`, compressed.
///
/// # Errors
/// There is no memory.
pub fn encode(coding: Coding, bytes: &[u8]) -> Result<Vec<u8>> {
    let room = Vec::with_capacity(bytes.len() / 4);
    match coding {
        Coding::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(room, Compression::new(GZIP_LEVEL));
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Coding::Brotli => {
            let mut encoder = CompressorWriter::new(room, BROTLI_BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW);
            encoder.write_all(bytes)?;
            encoder.flush()?;
            Ok(encoder.into_inner())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn compressed_bytes_are_smaller_and_come_back() {
        let text: String = (0..5000).map(|number| format!("{{\"number\":{number}}}\n")).collect();
        let text = text.as_bytes();
        for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip] {
            let encoded = encode(coding, text).unwrap();
            assert!(encoded.len() < text.len() / 3, "{coding:?}: {}", encoded.len());
            let mut decoded = Vec::new();
            match coding {
                Coding::Zstd => zstd::Decoder::new(&encoded[..]).unwrap().read_to_end(&mut decoded).unwrap(),
                Coding::Gzip => flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut decoded).unwrap(),
                Coding::Brotli => {
                    brotli::Decompressor::new(&encoded[..], 4096).read_to_end(&mut decoded).unwrap()
                }
            };
            assert!(decoded == text, "{coding:?}");
        }
    }
}
