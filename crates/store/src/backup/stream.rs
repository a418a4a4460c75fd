//! A backup as one stream: a tar archive, which is encrypted as a whole (age) or not. Its last entry is the manifest, so
//! a stream without one was cut off.
//!
//! A file that changed while it was read comes again, and the last one counts: what was sent cannot be taken back.

use super::content::HashingReader;
use super::encryption::{Identities, Protection, encrypt_with_passphrase, is_encrypted};
use super::error::BackupError;
use super::format::{BackupFile, BackupManifest};
use super::restore::{BackupReader, PathFilter, Visit};
use super::sink::{PutError, Sink, StartedBackup, StoredObject};
use jiff::Timestamp;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

const MANIFEST: &str = "manifest.jsonl";
/// The longest manifest that is read.
const MANIFEST_MAX_BYTES: u64 = 4 << 30;

/// What a stream is written to.
enum Out {
    Plain(Box<dyn Write>),
    Encrypted(age::stream::StreamWriter<Box<dyn Write>>),
}

impl Write for Out {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(buffer),
            Self::Encrypted(out) => out.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Encrypted(out) => out.flush(),
        }
    }
}

/// A backup that is being written to a stream.
pub struct StreamSink {
    tar: Option<tar::Builder<Out>>,
    started: StartedBackup,
    added: u64,
}

impl StreamSink {
    /// Begins a backup at `now`.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn start(out: Box<dyn Write>, protection: &Protection, now: Timestamp) -> Result<Self, BackupError> {
        let (out, recipients, is_encrypted) = match protection {
            Protection::Inherited | Protection::Unencrypted => (Out::Plain(out), Vec::new(), false),
            Protection::Recipients(recipients) => {
                let encrypted = recipients.encrypt(out).map_err(failed)?;
                (Out::Encrypted(encrypted), recipients.texts(), true)
            }
            Protection::Passphrase(passphrase) => {
                let encrypted = encrypt_with_passphrase(passphrase, out).map_err(failed)?;
                (Out::Encrypted(encrypted), Vec::new(), true)
            }
        };
        let id = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let started = StartedBackup { id, began: now, recipients, is_encrypted };
        Ok(Self { tar: Some(tar::Builder::new(out)), started, added: 0 })
    }

    fn tar(&mut self) -> Result<&mut tar::Builder<Out>, BackupError> {
        self.tar.as_mut().ok_or_else(|| failed(io::Error::other("it is finished")))
    }

    fn append(&mut self, path: &str, bytes: u64, content: &mut dyn Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.started.began.as_second()).unwrap_or_default());
        self.tar()?.append_data(&mut header, path, content).map_err(failed)
    }
}

/// Exactly so many bytes: what cannot be read is zeros, and the error is kept.
struct Padded<'a> {
    content: &'a mut dyn Read,
    left: u64,
    error: Option<io::Error>,
}

impl Read for Padded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..wanted];
        let read = if self.error.is_none() && wanted > 0 { self.content.read(buffer) } else { Ok(0) };
        let read = read.unwrap_or_else(|error| {
            self.error = Some(error);
            0
        });
        let read = if read == 0 && wanted > 0 {
            self.error.get_or_insert_with(|| io::ErrorKind::UnexpectedEof.into());
            buffer.fill(0);
            wanted
        } else {
            read
        };
        self.left -= read as u64;
        Ok(read)
    }
}

impl Sink for StreamSink {
    fn started(&self) -> &StartedBackup {
        &self.started
    }

    fn known(&self, _path: &str) -> Option<&BackupFile> {
        None
    }

    fn put(&mut self, path: &str, bytes: u64, content: &mut dyn Read) -> Result<StoredObject, PutError> {
        let mut padded = Padded { content, left: bytes, error: None };
        let mut hashing = HashingReader::new(&mut padded);
        self.append(path, bytes, &mut hashing).map_err(PutError::Write)?;
        let (object, kept) = hashing.finish().map_err(PutError::Read)?;
        self.added += kept;
        match padded.error {
            Some(error) => Err(PutError::Read(error)),
            None => Ok(StoredObject { object, kept }),
        }
    }

    fn note(&mut self, _file: &BackupFile) -> Result<(), BackupError> {
        Ok(())
    }

    fn added(&self) -> u64 {
        self.added
    }

    fn complete(&mut self, manifest: &BackupManifest) -> Result<(), BackupError> {
        let mut bytes = Vec::new();
        manifest.write(&mut bytes).map_err(failed)?;
        self.append(MANIFEST, bytes.len() as u64, &mut &bytes[..])?;
        let tar = self.tar.take().ok_or_else(|| failed(io::Error::other("it is finished")))?;
        match tar.into_inner().map_err(failed)? {
            Out::Plain(mut out) => out.flush().map_err(failed),
            Out::Encrypted(out) => out.finish().and_then(|mut out| out.flush()).map_err(failed),
        }
    }
}

fn failed(error: io::Error) -> BackupError {
    BackupError::not_writable(Path::new("the output"))(error)
}

/// A stream that is being read.
pub struct StreamReader {
    input: Option<Box<dyn BufRead>>,
    identities: Identities,
}

impl StreamReader {
    /// Reads from `input`.
    #[must_use]
    pub fn new(input: Box<dyn Read>, identities: Identities) -> Self {
        Self { input: Some(Box::new(BufReader::with_capacity(1 << 16, input))), identities }
    }
}

impl BackupReader for StreamReader {
    fn organizations(&self) -> Option<u64> {
        None
    }

    fn each(&mut self, wanted: PathFilter<'_>, visit: Visit<'_>) -> Result<BackupManifest, BackupError> {
        let mut input =
            self.input.take().ok_or_else(|| BackupError::damaged("the stream was read already"))?;
        let is_encrypted =
            is_encrypted(&mut input).map_err(BackupError::not_readable(Path::new("the input")))?;
        if is_encrypted {
            read(self.identities.decrypt(input)?, wanted, visit)
        } else {
            read(input, wanted, visit)
        }
    }
}

fn read(input: impl Read, wanted: PathFilter<'_>, visit: Visit<'_>) -> Result<BackupManifest, BackupError> {
    let cut_off =
        |error: io::Error| BackupError::damaged(format!("the stream cannot be read to its end ({error})"));
    let mut archive = tar::Archive::new(input);
    let mut hashes: HashMap<String, (String, u64)> = HashMap::new();
    for entry in archive.entries().map_err(cut_off)? {
        let mut entry = entry.map_err(cut_off)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if path == MANIFEST {
            let manifest =
                BackupManifest::read(&path, BufReader::new(entry.by_ref().take(MANIFEST_MAX_BYTES)))?;
            check(&manifest, &hashes)?;
            return Ok(manifest);
        }
        let mut hashing = HashingReader::new(&mut entry);
        if wanted(&path) {
            visit(&path, &mut hashing)?;
        }
        let hash = hashing.finish().map_err(cut_off)?;
        hashes.insert(path, hash);
    }
    Err(BackupError::damaged("the stream has no manifest at its end: it was cut off, or is no backup"))
}

/// Compares what came with what the manifest says.
fn check(manifest: &BackupManifest, hashes: &HashMap<String, (String, u64)>) -> Result<(), BackupError> {
    for file in &manifest.files {
        let is_good =
            hashes.get(&file.path).is_some_and(|(hash, bytes)| *hash == file.object && *bytes == file.kept);
        if !is_good {
            return Err(BackupError::damaged(format!("{} is not what was written", file.path)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_content_has_its_length_and_tells_the_error() {
        let mut content = &b"half"[..];
        let mut padded = Padded { content: &mut content, left: 8, error: None };
        let mut all = Vec::new();
        padded.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"half\0\0\0\0");
        assert!(padded.error.is_some());
    }
}
