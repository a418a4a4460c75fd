//! Coded bodies: whole, damaged, swelling, and in any pieces.

use super::*;
use axum::body::to_bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{FutureExt, stream};
use std::convert::Infallible;
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

fn headers(coding: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap())])
}

/// What comes out of a body that arrives in pieces of so many bytes.
async fn decode(coding: &str, bytes: &[u8], piece: usize) -> std::result::Result<Vec<u8>, CodingFault> {
    let pieces: Vec<_> =
        bytes.chunks(piece).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let body = decoded(&headers(coding), Body::from_stream(stream::iter(pieces))).unwrap();
    to_bytes(body, usize::MAX).await.map(Vec::from).map_err(|error| CodingFault::behind(&error).unwrap())
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{{\"number\":{number}}}\n").into_bytes()).collect()
}

#[tokio::test]
async fn coded_body_is_decoded_in_any_pieces() {
    let text = lines(20_000);
    for (coding, coded) in [("gzip", gzip(&text)), ("x-gzip", gzip(&text)), ("ZSTD", zstd(&text))] {
        for piece in [1, 7, 1000, usize::MAX] {
            assert!(decode(coding, &coded, piece).await == Ok(text.clone()), "{coding} {piece}");
        }
    }
    assert_eq!(decode("identity", b"as it is", 3).await, Ok(b"as it is".to_vec()));
    assert_eq!(decode("gzip", b"", 3).await, Ok(Vec::new()));
}

#[tokio::test]
async fn coded_body_of_several_streams_is_decoded_whole() {
    let (first, second) = (lines(10), lines(3000));
    for (coding, parts) in [
        ("gzip", [gzip(&first), gzip(b""), gzip(&second)]),
        ("zstd", [zstd(&first), zstd(b""), zstd(&second)]),
    ] {
        for piece in [1, usize::MAX] {
            let whole = decode(coding, &parts.concat(), piece).await;
            assert!(whole == Ok([first.clone(), second.clone()].concat()), "{coding}");
        }
    }
}

#[tokio::test]
async fn damaged_or_cut_off_body_is_told_apart() {
    let text = lines(1000);
    for (coding, coded) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
        for length in [1, 3, 12, coded.len() / 2, coded.len() - 1] {
            assert_eq!(
                decode(coding, &coded[..length], 5).await,
                Err(CodingFault::CutOff),
                "{coding} {length}"
            );
        }
        let followed = [coded.clone(), b"{}".repeat(9)].concat();
        for damaged in [followed, b"{\"not\":\"coded\"}".to_vec(), vec![0; 100]] {
            assert_eq!(decode(coding, &damaged, 5).await, Err(CodingFault::Damaged), "{coding}");
        }
    }
}

/// Each poll gives a bounded piece, and the whole is refused long before it would be large.
#[tokio::test]
async fn body_that_swells_is_given_in_pieces_and_refused() {
    let zeros = vec![0; 64 << 20];
    for (coding, coded) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        let mut body = decoded(&headers(coding), Body::from(coded)).unwrap().into_data_stream();
        let mut given = 0;
        let fault = loop {
            match futures_util::StreamExt::next(&mut body).await.unwrap() {
                Ok(piece) => {
                    assert!(piece.len() <= PIECE_BYTES, "{}", piece.len());
                    given += piece.len();
                }
                Err(error) => break CodingFault::behind(&error),
            }
        };
        assert_eq!(fault, Some(CodingFault::Swells), "{coding}");
        assert!((FREE_BYTES as usize - PIECE_BYTES..zeros.len()).contains(&given), "{coding} {given}");
    }
}

#[tokio::test]
async fn zstd_window_beyond_its_limit_is_refused() {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&lines(100)).unwrap();
    encoder.flush().unwrap();
    encoder.write_all(&lines(100)).unwrap();
    let coded = encoder.finish().unwrap();
    assert_eq!(decode("zstd", &coded, usize::MAX).await, Err(CodingFault::Damaged));
}

#[test]
fn unknown_coding_is_refused_and_known_ones_are_named() {
    for coding in ["br", "deflate", "gzip, zstd", "gzip, gzip", "compress", "gzip;q=1"] {
        assert!(is_unknown(&headers(coding)), "{coding}");
        let refused = decoded(&headers(coding), Body::empty()).unwrap_err();
        assert_eq!(refused.code(), error_codes::UNSUPPORTED_MEDIA_TYPE);
    }
    for coding in ["gzip", "identity, GZIP", "", "zstd"] {
        assert!(!is_unknown(&headers(coding)), "{coding}");
    }
    assert!(!is_unknown(&HeaderMap::new()));
}

/// Any bytes, in pieces of any size, decode to the same within the bounds, or are refused.
#[test]
fn fuzz_coded_body() {
    let text = lines(200);
    let seeds = [gzip(&text), zstd(&text), gzip(b""), zstd(b"{}"), [gzip(b"{}"), gzip(&text)].concat()];
    tenantry_test_fuzz::fuzz(&seeds, |input| {
        for coding in ["gzip", "zstd"] {
            let [whole, piecewise] =
                [usize::MAX, 7].map(|piece| decode(coding, input, piece).now_or_never().unwrap());
            let limit = FREE_BYTES.max(input.len() as u64 * MAX_RATIO);
            assert!(whole.as_ref().is_ok_and(|decoded| decoded.len() as u64 <= limit) || whole.is_err());
            // A fault is noticed sooner or later, by how much has arrived.
            assert_eq!(whole.is_ok(), piecewise.is_ok(), "{coding}");
            assert!(whole.is_err() || whole == piecewise, "{coding}");
        }
    });
}
