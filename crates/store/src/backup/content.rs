//! Bytes on their way into or out of a backup: hashed and counted.

use aws_lc_rs::digest::{Context, SHA256};
use std::io::{self, Read, Write};

/// A SHA-256.
pub(super) struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In hexadecimal digits.
    pub(super) fn finish(self) -> String {
        hex::encode(self.0.finish())
    }
}

/// Writes, hashes and counts.
pub(super) struct HashingWriter<W> {
    pub(super) inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::default(), bytes: 0 }
    }

    /// What it has written to, the hash, and the number of bytes.
    pub(super) fn finish(self) -> (W, String, u64) {
        (self.inner, self.hasher.finish(), self.bytes)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.add(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads, hashes and counts.
pub(super) struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::default(), bytes: 0 }
    }

    /// Reads the rest; returns the hash and the number of bytes.
    pub(super) fn finish(mut self) -> io::Result<(String, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.hasher.finish(), self.bytes))
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.add(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
