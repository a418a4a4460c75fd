//! Where the body of a response ends.

use anyhow::{Context, Result};

/// How the body of a response comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(usize),
    /// In chunks, each with its length before it.
    Chunks,
}

/// How the body comes of a response with that head.
pub fn body_of(head: &[u8]) -> Result<Body> {
    for line in head.split(|byte| *byte == b'\n') {
        if let Some(length) = value_of(line, b"content-length: ") {
            return Ok(Body::Length(str::from_utf8(length)?.trim_end().parse()?));
        }
        if value_of(line, b"transfer-encoding: chunked").is_some() {
            return Ok(Body::Chunks);
        }
    }
    let is_empty = head.get(9..12) == Some(b"204");
    is_empty.then_some(Body::Length(0)).context("a response without content-length")
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// How many bytes a body in chunks has with its framing, once all of it has arrived.
pub fn chunks_end(bytes: &[u8]) -> Result<Option<usize>> {
    let mut start = 0;
    while let Some((data, length)) = chunk(&bytes[start..])? {
        start += data + length + 2;
        if start > bytes.len() {
            break;
        }
        if length == 0 {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// Moves the data of the chunks together, which are all there; how many bytes they are.
pub fn remove_framing(bytes: &mut [u8]) -> Result<usize> {
    let (mut start, mut end) = (0, 0);
    while let Some((data, length)) = chunk(&bytes[start..])?.filter(|(_, length)| *length > 0) {
        bytes.copy_within(start + data..start + data + length, end);
        end += length;
        start += data + length + 2;
    }
    Ok(end)
}

/// Where the data of the first chunk begins, and its length, once its line has arrived.
fn chunk(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(line) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let length = str::from_utf8(&bytes[..line])?;
    let length = usize::from_str_radix(length, 16).with_context(|| format!("`{length}` begins no chunk"))?;
    Ok(Some((line + 2, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_framed_as_its_head_says() {
        assert_eq!(body_of(b"HTTP/1.1 200 OK\r\nContent-Length: 12").unwrap(), Body::Length(12));
        assert_eq!(body_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").unwrap(), Body::Chunks);
        assert_eq!(body_of(b"HTTP/1.1 204 No Content\r\ndate: today").unwrap(), Body::Length(0));
        assert!(body_of(b"HTTP/1.1 200 OK\r\nconnection: close").is_err());
    }

    #[test]
    fn chunks_become_one_body_once_all_are_there() {
        let whole = *b"4\r\nabcd\r\nb\r\nefghijklmno\r\n0\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(chunks_end(&whole[..cut]).unwrap(), None, "{cut} bytes");
        }
        assert_eq!(chunks_end(&whole).unwrap(), Some(whole.len()));
        let mut body = whole;
        let length = remove_framing(&mut body).unwrap();
        assert_eq!(&body[..length], b"abcdefghijklmno");
        assert!(chunks_end(b"four\r\nabcd\r\n").is_err());
    }
}
