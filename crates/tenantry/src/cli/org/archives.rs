//! `tenantry org export` and `import`: archives of organizations, as streams to and from files.
//!
//! # Pitfalls
//! An export that breaks off looks like a shorter one. So the archive is verified while it is written, and
//! the file gets its name only once the archive's own end line has been read and matches.

use super::session::Session;
use super::view::Organization;
use crate::cli::arguments::organization;
use crate::cli::client::{Client, ClientError, ClientResponse};
use crate::cli::print::say;
use crate::cli::terminal::Progress;
use clap::ArgMatches;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method, Response};
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tenantry_domain::archive::{ArchiveEnd, ArchiveLines, Verifier, line_max_bytes};

/// The name for standard output and standard input.
const STANDARD: &str = "-";
/// Timeout for a whole export or import; the server has limits of its own for a side that stops.
const STREAM_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Timeout for the next piece of an archive.
const PIECE_TIMEOUT: Duration = Duration::from_secs(120);
/// The shortest pause of this side that is reported when the connection breaks.
const PAUSE_TOLD: Duration = Duration::from_secs(1);
/// The largest document of any server, as BSON.
const DOCUMENT_MAX_BYTES: usize = 16 << 20;
/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 64 << 10;
/// How often progress is shown.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

/// Writes an archive of an organization.
pub async fn export(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let which = organization(arguments);
    let output = arguments.get_one::<String>("output").cloned().unwrap_or_else(|| format!("{which}.ndjson"));
    let query: &[_] = if arguments.get_flag("no-audit") { &[("audit", "false")] } else { &[] };
    let path = ["v1", "organizations", &which, "export"];
    let request = session.client.request(Method::GET, &path, query).timeout(STREAM_TIMEOUT);
    if output == STANDARD {
        let archive = session.client.open(request).await?;
        copy(archive, &mut io::stdout().lock()).await.map_err(|failure| cut_off(&failure))?;
        return Ok(());
    }
    let target = Target::new(PathBuf::from(&output))?;
    let archive = session.client.open(request).await?;
    let end = target.fill(archive).await?;
    if session.json {
        let ArchiveEnd { collections, documents, bytes, sha256, left_out, .. } = &end;
        let told = json!({
            "file": output, "collections": collections, "documents": documents, "bytes": bytes, "sha256": sha256,
            "left_out": left_out, "roles": end.roles, "members": members(&end), "api_keys": end.api_keys,
            "audit_entries": end.audit_entries,
        });
        say(&told.to_string());
    } else {
        let ArchiveEnd { collections, documents, roles, api_keys, audit_entries, left_out, .. } = &end;
        say(&format!(
            "Exported to {output}: collections {collections}, documents {documents}, members {}, roles {roles}, API keys \
             {api_keys}, audit entries {audit_entries}.",
            members(&end)
        ));
        if !left_out.is_empty() {
            say(&format!("Left out, because an archive cannot contain them: {}.", left_out.join(", ")));
        }
    }
    Ok(())
}

/// The members in an archive, with the owner.
const fn members(end: &ArchiveEnd) -> u64 {
    end.members + 1
}

/// Data on standard output cannot be taken back.
fn cut_off(failure: &ClientError) -> ClientError {
    ClientError::Other(format!("{failure}\nWhat was written is not a complete archive: delete it."))
}

/// A file that appears only when it is complete.
struct Target {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
}

impl Target {
    fn new(path: PathBuf) -> Result<Self, ClientError> {
        if path.exists() {
            return Err(ClientError::Other(format!(
                "{} is there already: name another file.",
                path.display()
            )));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let unfinished = path.with_file_name(name);
        // Hashes of passwords are in it.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = file.map_err(|error| not_written(&path, &error))?;
        Ok(Self { path, unfinished, file })
    }

    async fn fill(mut self, archive: Response) -> Result<ArchiveEnd, ClientError> {
        let end = copy(archive, &mut self.file).await?;
        let kept = self.file.sync_all().and_then(|()| fs::rename(&self.unfinished, &self.path));
        kept.map_err(|error| not_written(&self.path, &error))?;
        Ok(end)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // A complete file has been renamed; an incomplete one is useless.
        let _ = fs::remove_file(&self.unfinished);
    }
}

fn not_written(path: &Path, error: &io::Error) -> ClientError {
    ClientError::Other(format!("{} cannot be written: {error}.", path.display()))
}

/// Writes the archive and verifies it on its way; returns its counts.
async fn copy(mut archive: Response, to: &mut impl Write) -> Result<ArchiveEnd, ClientError> {
    let progress = Progress::new();
    let (mut lines, mut verifier) =
        (ArchiveLines::new(line_max_bytes(DOCUMENT_MAX_BYTES)), Verifier::default());
    let (mut bytes, mut shown) = (0_u64, Instant::now());
    let damaged = |error: tenantry_domain::Error| {
        ClientError::Other(format!("{} The server broke off, or something on the way.", error.sentence()))
    };
    let mut longest_pause = Duration::ZERO;
    loop {
        let piece = tokio::time::timeout(PIECE_TIMEOUT, archive.chunk()).await.map_err(|_| silent())?;
        let Some(piece) = piece.map_err(|_| broken(longest_pause))? else { break };
        let began = Instant::now();
        to.write_all(&piece)
            .map_err(|error| ClientError::Other(format!("The archive cannot be written: {error}.")))?;
        longest_pause = longest_pause.max(began.elapsed());
        lines.push(&piece);
        while let Some(line) = lines.take().map_err(damaged)? {
            verifier.line(line).map_err(damaged)?;
        }
        bytes += piece.len() as u64;
        if shown.elapsed() >= PROGRESS_PAUSE {
            shown = Instant::now();
            progress.show(&format!("export: {} documents, {}", verifier.documents(), mebibytes(bytes)));
        }
    }
    if let Some(line) = lines.rest() {
        verifier.line(line).map_err(damaged)?;
    }
    let end = verifier.finish().map_err(damaged)?;
    to.flush().map_err(|error| ClientError::Other(format!("The archive cannot be written: {error}.")))?;
    Ok(end)
}

fn silent() -> ClientError {
    let seconds = PIECE_TIMEOUT.as_secs();
    ClientError::Other(format!(
        "The server has sent nothing for {seconds} s. Its log may say why; try again."
    ))
}

/// Why the connection broke, as far as this side can know: `pause` is the longest time in which it read
/// nothing.
fn broken(pause: Duration) -> ClientError {
    let broken = "The connection broke before the end of the archive.";
    if pause < PAUSE_TOLD {
        return ClientError::Other(format!("{broken} The server's log says why."));
    }
    let seconds = pause.as_secs();
    ClientError::Other(format!(
        "{broken} Before that, what it is written to took nothing for {seconds} s: the server cuts a reader off that \
         takes nothing for EXPORT_PAUSE_TIMEOUT (300 s, unless it is set). Write to a file, or set it higher."
    ))
}

/// Creates an organization from an archive.
pub async fn import(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let path = arguments.get_one::<String>("file").map_or("", String::as_str);
    let pieces =
        Pieces::open(path).map_err(|error| ClientError::Other(format!("{path} cannot be read: {error}.")))?;
    let mut query: Vec<(&str, &str)> = Vec::new();
    for (argument, name) in
        [("name", "organization_name"), ("placement", "placement"), ("owner-email", "owner_email")]
    {
        query.extend(arguments.get_one::<String>(argument).map(|text| (name, text.as_str())));
    }
    if arguments.get_flag("new-id") {
        query.push(("id", "new"));
    }
    let answer = send(session, pieces, &query).await?;
    if session.json {
        say(&answer.body);
        return Ok(());
    }
    let organization: Organization = answer.read()?;
    let counts = imported(session, &organization.id).await?;
    let told = counts.map_or_else(String::new, |counts| counts.sentence());
    session.tell(&answer, |imported: &Organization| format!("Imported {}.{told}", imported.organization_name))
}

/// Sends an archive to be imported; the organization afterwards.
async fn send(
    session: &Session,
    pieces: Pieces,
    query: &[(&str, &str)],
) -> Result<ClientResponse, ClientError> {
    let request = session
        .client
        .request(Method::POST, &["v1", "organizations", "import"], query)
        .timeout(STREAM_TIMEOUT)
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(Body::wrap(StreamBody::new(futures_util::stream::iter(pieces))));
    session.change(request).await
}

/// Creates an organization from the archive in that file; its name.
pub async fn import_file(client: Client, file: &Path, query: &[(&str, &str)]) -> Result<String, ClientError> {
    let path = file.display().to_string();
    let pieces = Pieces::open(&path)
        .map_err(|error| ClientError::Other(format!("{path} cannot be read: {error}.")))?;
    let answer = send(&Session { client, json: false }, pieces, query).await?;
    Ok(answer.read::<Organization>()?.organization_name)
}

/// What an import has brought along beside documents, as the server shows it.
#[derive(Deserialize)]
struct ImportedCounts {
    roles: u64,
    members: u64,
    invitations: u64,
    members_left_out: u64,
    api_keys: u64,
    audit_entries: u64,
}

impl ImportedCounts {
    fn sentence(&self) -> String {
        let Self { roles, members, invitations, members_left_out, api_keys, audit_entries } = self;
        let mut told = format!(
            "\nMembers {members}, invitations {invitations}, roles {roles}, API keys {api_keys}, audit entries \
             {audit_entries}."
        );
        if *invitations > 0 {
            told += "\nWho was invited has an account here: renew each invitation, which makes its link.";
        }
        if *members_left_out > 0 {
            told += &format!(
                "\n{members_left_out} members were left out: their address has another member, or there are too many \
                 invitations."
            );
        }
        if *api_keys > 0 {
            told += "\nThe API keys open nothing before an admin of the organization has confirmed each.";
        }
        told
    }
}

/// The counts of the import that made the organization; none from a server that does not count.
async fn imported(session: &Session, id: &str) -> Result<Option<ImportedCounts>, ClientError> {
    #[derive(Deserialize)]
    struct Log {
        items: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        kind: String,
        imported: Option<ImportedCounts>,
    }
    let request = session.about(Method::GET, id, &["operations"]);
    let log: Log = session.client.send(request).await?.read()?;
    let import = log.items.into_iter().find(|entry| entry.kind == "import");
    Ok(import.and_then(|import| import.imported))
}

/// A file that is sent piece by piece in a request.
struct Pieces {
    file: Box<dyn Read + Send + Sync>,
    /// How many bytes there are, if that is known.
    size: Option<u64>,
    sent: u64,
    progress: Progress,
    shown: Instant,
}

impl Pieces {
    fn open(path: &str) -> io::Result<Self> {
        let (file, size): (Box<dyn Read + Send + Sync>, _) = if path == STANDARD {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            (Box::new(file), Some(size))
        };
        Ok(Self { file, size, sent: 0, progress: Progress::new(), shown: Instant::now() })
    }

    fn show(&self) {
        let sent = mebibytes(self.sent);
        self.progress.show(&match self.size {
            Some(size) if self.sent < size => {
                format!("import: {} % of {}", self.sent * 100 / size, mebibytes(size))
            }
            Some(_) => "import: all is sent, the server is at work".to_owned(),
            None => format!("import: {sent}"),
        });
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Frame<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = vec![0; PIECE_BYTES];
        let length = match self.file.read(&mut piece) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) => return Some(Err(error)),
        };
        piece.truncate(length);
        self.sent += length as u64;
        if self.shown.elapsed() >= PROGRESS_PAUSE || self.size.is_some_and(|size| self.sent >= size) {
            self.shown = Instant::now();
            self.show();
        }
        Some(Ok(Frame::data(Bytes::from(piece))))
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_mebibytes() {
        for (bytes, shown) in
            [(0, "0.0 MiB"), (1 << 20, "1.0 MiB"), ((1 << 20) - 1, "0.9 MiB"), (3 << 19, "1.5 MiB")]
        {
            assert_eq!(mebibytes(bytes), shown);
        }
    }
}
