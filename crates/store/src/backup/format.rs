//! The manifest of a backup: lines of JSON. The first says what the backup is, one follows for each file, and the last has
//! their number and a hash of all lines before it, so that a manifest is whole or none.

use super::content::Hasher;
use super::error::BackupError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use tenantry_domain::ids::OrganizationId;
use tenantry_store_sqlite::backup::{FileState, container_name};

/// The format that this version writes.
pub(super) const FORMAT: u32 = 1;
/// The name of the control database.
pub(super) const CONTROL: &str = "control.db";
/// The longest line of a manifest that is read.
const LINE_MAX_BYTES: u64 = 1 << 20;

/// A file of the data directory with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFile {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
}

/// The files of a data directory with secrets.
pub const KEY_FILES: [KeyFile; 3] = [
    KeyFile { name: "jwt-secret", what: "the secret that signs tokens" },
    KeyFile { name: "jwt-ed25519.pk8", what: "the key that signs tokens" },
    KeyFile { name: "operator.key", what: "the operator key" },
];

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// The version of the format.
    pub format: u32,
    /// Its name among others: when it began.
    pub id: String,
    /// The version of the program that made it.
    pub tenantry: String,
    /// The engine that it was made from.
    pub engine: String,
    /// When it began: every write that was acknowledged before is in it.
    pub began: Timestamp,
    /// When it ended: no write that was sent later is in it.
    pub ended: Timestamp,
    /// The moment of the records: accounts, members, keys, the audit trail.
    pub records: Timestamp,
    /// The key files that are in it.
    pub keys: Vec<String>,
    /// Whom its objects are encrypted to (age); empty without encryption.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// How many organizations are in it.
    pub organizations: u64,
    /// The bytes of all its files.
    pub bytes: u64,
    /// The bytes that this backup has added to those before.
    pub added: u64,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its path in a data directory.
    pub path: String,
    /// Whose container it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Every write that was acknowledged before is in it.
    pub moment: Timestamp,
    /// No write that was sent later is in it, where that is another moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of what is kept of it.
    pub object: String,
    /// The size of what is kept of it.
    pub kept: u64,
    /// By which a later backup sees that nothing was written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// Set if the container was damaged when the backup was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

/// What a check of a container has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// What is wrong with it.
    pub fault: String,
    /// Whether the backup has an earlier copy instead, which is good; if not, it has the damaged file.
    pub is_earlier: bool,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    end: u64,
    sha256: String,
}

/// A whole manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupManifest {
    /// What the backup is.
    pub summary: BackupSummary,
    /// Its files.
    pub files: Vec<BackupFile>,
}

impl BackupFile {
    /// Whether its path is one that a backup may have, and fits what the file is.
    fn is_valid(&self) -> bool {
        let is_known = match self.organization {
            Some(id) => self.path == container_name(id),
            None => self.path == CONTROL || KEY_FILES.iter().any(|key| key.name == self.path),
        };
        is_known && self.object.len() == 64 && self.object.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl BackupManifest {
    /// Writes it.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut hasher = Hasher::default();
        let mut line = |out: &mut dyn Write, json: serde_json::Result<Vec<u8>>| {
            let mut line = json?;
            line.push(b'\n');
            hasher.add(&line);
            out.write_all(&line)
        };
        line(out, serde_json::to_vec(&self.summary))?;
        for file in &self.files {
            line(out, serde_json::to_vec(file))?;
        }
        let end = End { end: self.files.len() as u64, sha256: hasher.finish() };
        serde_json::to_writer(&mut *out, &end)?;
        out.write_all(b"\n")
    }

    /// Reads the head of one, which may be damaged after it.
    ///
    /// # Errors
    /// `Damaged`, with `name` in it; `NewerFormat`.
    pub(super) fn read_summary(name: &str, mut input: impl BufRead) -> Result<BackupSummary, BackupError> {
        summary(name, &next_line(name, &mut input)?.ok_or_else(|| damaged(name, "is empty"))?)
    }

    /// The organizations whose containers were damaged when the backup was made.
    pub fn damaged(&self) -> impl Iterator<Item = (OrganizationId, &BackupFile, &Damage)> {
        self.files.iter().filter_map(|file| Some((file.organization?, file, file.damage.as_ref()?)))
    }

    /// Reads one.
    ///
    /// # Errors
    /// `Damaged`, with `name` in it; `NewerFormat`.
    pub(super) fn read(name: &str, mut input: impl BufRead) -> Result<Self, BackupError> {
        let mut hasher = Hasher::default();
        let first = next_line(name, &mut input)?.ok_or_else(|| damaged(name, "is empty"))?;
        let summary = summary(name, &first)?;
        hasher.add(&first);
        let mut files: Vec<BackupFile> = Vec::new();
        loop {
            let line = next_line(name, &mut input)?.ok_or_else(|| damaged(name, "has no end"))?;
            if let Ok(end) = serde_json::from_slice::<End>(&line) {
                let is_whole = end.end == files.len() as u64 && end.sha256 == hasher.finish();
                let has_control = files.iter().any(|file| file.path == CONTROL);
                return match is_whole && has_control && next_line(name, &mut input)?.is_none() {
                    true => Ok(Self { summary, files }),
                    false => Err(damaged(name, "is not what was written")),
                };
            }
            hasher.add(&line);
            let file = serde_json::from_slice::<BackupFile>(&line).ok().filter(BackupFile::is_valid);
            files.push(file.ok_or_else(|| damaged(name, "has an unreadable line"))?);
        }
    }
}

/// The first line of a manifest.
fn summary(name: &str, line: &[u8]) -> Result<BackupSummary, BackupError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let format: Format = serde_json::from_slice(line).map_err(|_| damaged(name, "has an unreadable head"))?;
    if format.format > FORMAT {
        return Err(BackupError::NewerFormat { found: format.format, known: FORMAT });
    }
    serde_json::from_slice(line).map_err(|_| damaged(name, "has an unreadable head"))
}

fn damaged(name: &str, what: &str) -> BackupError {
    BackupError::damaged(format!("its manifest `{name}` {what}"))
}

/// The next line with its end; `None` at the end.
fn next_line(name: &str, input: &mut impl BufRead) -> Result<Option<Vec<u8>>, BackupError> {
    use std::io::Read;
    let mut line = Vec::new();
    let read = input.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
    match read {
        Ok(0) => Ok(None),
        Ok(_) if line.ends_with(b"\n") => Ok(Some(line)),
        Ok(_) => Err(damaged(name, "has no end")),
        Err(error) => Err(damaged(name, &format!("cannot be read ({error})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> BackupManifest {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let id = OrganizationId::from_bytes([7; 12]);
        let file = |path: &str, organization| BackupFile {
            path: path.to_owned(),
            organization,
            moment: now,
            until: None,
            bytes: 4096,
            object: "ab".repeat(32),
            kept: 4300,
            state: None,
            damage: None,
        };
        let summary = BackupSummary {
            format: FORMAT,
            id: "20270115T080000Z".into(),
            tenantry: "0.1.0".into(),
            engine: "embedded".into(),
            began: now,
            ended: now,
            records: now,
            keys: vec!["jwt-secret".into()],
            recipients: vec![],
            organizations: 1,
            bytes: 8192,
            added: 8192,
        };
        BackupManifest { summary, files: vec![file(&container_name(id), Some(id)), file(CONTROL, None)] }
    }

    fn written(manifest: &BackupManifest) -> Vec<u8> {
        let mut bytes = Vec::new();
        manifest.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn manifest_is_read_as_written_and_refused_if_changed() {
        let manifest = manifest();
        let bytes = written(&manifest);
        assert_eq!(BackupManifest::read("m", &bytes[..]).unwrap(), manifest);
        for length in 0..bytes.len() {
            assert!(BackupManifest::read("m", &bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() - 1 {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(BackupManifest::read("m", &changed[..]).is_err(), "{at}");
        }
    }

    #[test]
    fn manifest_with_foreign_path_or_newer_format_is_refused() {
        let mut foreign = manifest();
        foreign.files[0].path = "../../etc/passwd".into();
        assert!(BackupManifest::read("m", &written(&foreign)[..]).is_err());
        let mut newer = manifest();
        newer.summary.format = FORMAT + 1;
        let refused = BackupManifest::read("m", &written(&newer)[..]);
        assert!(matches!(refused, Err(BackupError::NewerFormat { found, .. }) if found == FORMAT + 1));
    }
}
