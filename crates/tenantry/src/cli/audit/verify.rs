//! `tenantry audit verify`: checks a chain entry by entry, from a server or a file, in constant memory.

use super::trail::{Trail, cut_off};
use crate::cli::client::ClientError;
use crate::cli::print::say;
use clap::ArgMatches;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use tenantry_documents::document::{diagnosis, json_diagnosis};
use tenantry_domain::audit::carried::{CarriedTrailMark, detail_name};
use tenantry_domain::audit::chain::{AuditHash, ChainVerifier};
use tenantry_domain::audit::checkpoint::{Checkpoint, verify_checkpoint};
use tenantry_domain::audit::{AuditAction, AuditChain, AuditEntry};

/// The longest line that is read, in bytes; an entry has about 1,000.
const LINE_MAX_BYTES: usize = 1 << 20;

/// A checkpoint as it is kept.
#[derive(Deserialize)]
struct KeptCheckpoint {
    checkpoint: String,
    key: PublicKey,
}

#[derive(Deserialize)]
struct PublicKey {
    x: String,
}

/// Checks the chain that a server has, and the trails that imports have brought along, as its events name them.
pub async fn verify_served(trail: &Trail, arguments: &ArgMatches) -> Result<(), ClientError> {
    let mut check = ChainCheck::new(arguments)?;
    read_served(trail, arguments, None, &mut check).await?;
    let carried = std::mem::take(&mut check.carried);
    let mut trails = Vec::new();
    for mark in &carried {
        let name = mark.kept_as.to_string();
        let mut check = ChainCheck::of_trail();
        read_served(trail, arguments, Some(&name), &mut check).await?;
        trails.push(check.finish_trail(mark)?);
    }
    check.finish(trail.is_json(), &trails)
}

async fn read_served(
    trail: &Trail,
    arguments: &ArgMatches,
    name: Option<&str>,
    check: &mut ChainCheck,
) -> Result<(), ClientError> {
    let mut chain = trail.open_chain(arguments, name).await?;
    let mut rest = Vec::new();
    while let Some(piece) = chain.chunk().await.map_err(|error| cut_off(&error))? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            check.add(&line)?;
        }
        if rest.len() > LINE_MAX_BYTES {
            return Err(check.broken("is longer than an entry can be"));
        }
    }
    check.add(&rest)
}

/// Checks an exported chain.
pub fn verify_file(file: &str, arguments: &ArgMatches) -> Result<(), ClientError> {
    let mut check = ChainCheck::new(arguments)?;
    let mut input: Box<dyn BufRead> = if file == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(|error| unreadable(file, &error))?))
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = io::Read::take(&mut input, LINE_MAX_BYTES as u64 + 1);
        let read = bounded.read_until(b'\n', &mut line).map_err(|error| unreadable(file, &error))?;
        if read == 0 {
            break;
        }
        if line.len() > LINE_MAX_BYTES {
            return Err(check.too_long(&line));
        }
        check.add(&line)?;
    }
    check.finish(arguments.get_flag("json"), &[])
}

/// A trail that an import has brought along, and that is whole.
struct CheckedTrail {
    name: AuditChain,
    chain: AuditChain,
    entries: u64,
    last: u64,
}

impl CheckedTrail {
    fn to_json(&self) -> Value {
        let (name, chain) = (self.name.to_string(), self.chain.to_string());
        json!({ "trail": name, "chain": chain, "entries": self.entries, "last": self.last })
    }
}

/// A chain that is being checked.
struct ChainCheck {
    verifier: Option<(AuditChain, ChainVerifier)>,
    checkpoints: Vec<(String, Checkpoint)>,
    /// The hashes of the entries that checkpoints name.
    seen: HashMap<u64, AuditHash>,
    /// The trails that imports have brought along.
    carried: Vec<CarriedTrailMark>,
    lines: u64,
}

impl ChainCheck {
    fn new(arguments: &ArgMatches) -> Result<Self, ClientError> {
        let files = arguments.get_many::<String>("checkpoint").into_iter().flatten();
        let checkpoints = files.map(|file| Ok((file.clone(), read_checkpoint(file)?)));
        let checkpoints = checkpoints.collect::<Result<_, ClientError>>()?;
        Ok(Self { checkpoints, ..Self::of_trail() })
    }

    /// Of a trail that an import has brought along: checkpoints are of the organization's own.
    fn of_trail() -> Self {
        let (checkpoints, carried) = (Vec::new(), Vec::new());
        Self { verifier: None, checkpoints, seen: HashMap::new(), carried, lines: 0 }
    }

    fn add(&mut self, line: &[u8]) -> Result<(), ClientError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.lines += 1;
        let line = if self.lines == 1 { diagnosis::without_mark(line) } else { line };
        let Ok(entry) = serde_json::from_slice::<AuditEntry>(line) else {
            return Err(self.no_entry(line));
        };
        let (_, verifier) =
            self.verifier.get_or_insert_with(|| (entry.chain, ChainVerifier::new(entry.chain)));
        if let Err(fault) = verifier.check(&entry) {
            return Err(ClientError::Other(format!(
                "The chain is broken at entry {} ({}, {}): {fault}.",
                entry.sequence,
                entry.action.as_str(),
                entry.at
            )));
        }
        if self.checkpoints.iter().any(|(_, checkpoint)| checkpoint.sequence == entry.sequence) {
            self.seen.insert(entry.sequence, entry.hash);
        }
        self.note_trails(&entry);
        Ok(())
    }

    /// Notes the trails that an import has brought along. A purge has removed them with the organization.
    fn note_trails(&mut self, entry: &AuditEntry) {
        if entry.action == AuditAction::OrganizationPurged {
            self.carried.clear();
        }
        if entry.action != AuditAction::OrganizationImported {
            return;
        }
        let details = entry.event().ok().flatten().map(|event| event.details).unwrap_or_default();
        let mark = |index| details.get(&detail_name(index))?.parse::<CarriedTrailMark>().ok();
        let marks = (0..).map_while(mark);
        self.carried.extend(marks);
    }

    /// Checks that a trail ends as the event of the import says. Its beginning may have been removed.
    fn finish_trail(self, mark: &CarriedTrailMark) -> Result<CheckedTrail, ClientError> {
        self.check_whole()?;
        let name = mark.kept_as;
        let head = self.verifier.as_ref().and_then(|(chain, verifier)| Some((*chain, verifier.head()?)));
        let ends_as_named = head.is_some_and(|(chain, head)| chain == mark.chain && head == mark.head());
        if !ends_as_named {
            return Err(ClientError::Other(format!(
                "The trail {name}, which an import has brought along, does not end as the event of the import says: it \
                 was changed or cut off."
            )));
        }
        let entries = self.verifier.as_ref().map_or(0, |(_, verifier)| verifier.entries());
        Ok(CheckedTrail { name, chain: mark.chain, entries, last: mark.last })
    }

    /// Checks what only the whole chain can tell.
    fn check_whole(&self) -> Result<(), ClientError> {
        let outcome = self.verifier.as_ref().map_or(Ok(()), |(_, verifier)| verifier.finish());
        outcome.map_err(|(sequence, fault)| {
            ClientError::Other(format!("The chain is broken at entry {sequence}: {fault}."))
        })
    }

    /// A line that is no entry: of something else, if it can be said what.
    fn no_entry(&self, line: &[u8]) -> ClientError {
        match json_diagnosis::of_line(self.lines, line.trim_ascii_end()) {
            Some(diagnosis) => {
                let what = diagnosis.explain("an entry of an audit chain");
                ClientError::Other(format!("Line {} {what}", self.lines))
            }
            None => self.broken("is no entry of an audit chain"),
        }
    }

    /// A next line that is longer than an entry. A compressed file has few line feeds.
    fn too_long(&self, line: &[u8]) -> ClientError {
        match diagnosis::recognize(line) {
            Some(diagnosis) if self.lines == 0 => {
                ClientError::Other(format!("The file {}", diagnosis.explain("an audit chain")))
            }
            _ => self.broken("is longer than an entry can be"),
        }
    }

    fn broken(&self, what: &str) -> ClientError {
        ClientError::Other(format!("Line {} {what}: the chain was changed or is incomplete.", self.lines))
    }

    fn finish(self, json: bool, trails: &[CheckedTrail]) -> Result<(), ClientError> {
        self.check_whole()?;
        let chain = self.verifier.as_ref().map(|(chain, _)| *chain);
        let head = self.verifier.as_ref().and_then(|(_, verifier)| verifier.head());
        let (entries, redacted, first) = self.verifier.as_ref().map_or((0, 0, None), |(_, verifier)| {
            (verifier.entries(), verifier.redacted(), verifier.first())
        });
        for (file, checkpoint) in &self.checkpoints {
            self.check_checkpoint(file, checkpoint, chain, first)?;
        }
        let hash = head.map(|head| head.hash_text());
        if json {
            let told = json!({
                "chain": chain.map(|chain| chain.to_string()), "entries": entries, "redacted": redacted,
                "first": first, "last": head.map(|head| head.sequence), "hash": hash,
                "checkpoints": self.checkpoints.len(),
                "trails": trails.iter().map(CheckedTrail::to_json).collect::<Vec<_>>(),
            });
            say(&told.to_string());
            return Ok(());
        }
        let (Some(head), Some(first), Some(chain)) = (head, first, chain) else {
            say("The chain has no entry.");
            return Ok(());
        };
        say(&format!(
            "The chain of {chain} is whole: {entries} entries, from number {first} to {}, {redacted} of them redacted by \
             a purge.\nIts last hash is {}.",
            head.sequence,
            head.hash_text()
        ));
        for CheckedTrail { name, chain, entries, last } in trails {
            say(&format!(
                "The trail {name} that an import has brought along, of {chain}, is whole: {entries} entries, the last \
                 with number {last}."
            ));
        }
        for mark in &self.carried {
            let (name, last, hash) = (mark.kept_as, mark.last, mark.head().hash_text());
            say(&format!(
                "An import has brought the trail {name} along, which is not in this file: it must end with number {last} \
                 and the hash {hash}."
            ));
        }
        match self.checkpoints.len() {
            0 => say("Without a checkpoint nobody can tell whether entries were cut off at its end."),
            1 => say("It agrees with the checkpoint."),
            count => say(&format!("It agrees with the {count} checkpoints.")),
        }
        Ok(())
    }

    fn check_checkpoint(
        &self,
        file: &str,
        checkpoint: &Checkpoint,
        chain: Option<AuditChain>,
        first: Option<u64>,
    ) -> Result<(), ClientError> {
        let other = chain.is_some_and(|chain| chain.to_string() != checkpoint.chain);
        if other {
            let of = &checkpoint.chain;
            return Err(ClientError::Other(format!(
                "{file} is a checkpoint of another chain, that of {of}."
            )));
        }
        let head = checkpoint.head();
        let sequence = checkpoint.sequence;
        match self.seen.get(&sequence) {
            Some(hash) if head.is_some_and(|head| head.hash == *hash) => Ok(()),
            Some(_) => Err(ClientError::Other(format!(
                "Entry {sequence} is not the one that {file} was made for: the chain was computed again."
            ))),
            None if sequence == 0 || first.is_some_and(|first| sequence < first) => Ok(()),
            None => Err(ClientError::Other(format!(
                "Entry {sequence}, which {file} was made for, is missing: the end of the chain was cut off."
            ))),
        }
    }
}

/// The checkpoint in a file, if its signature is right.
fn read_checkpoint(file: &str) -> Result<Checkpoint, ClientError> {
    let text = std::fs::read(Path::new(file)).map_err(|error| unreadable(file, &error))?;
    let kept: Option<KeptCheckpoint> = serde_json::from_slice(diagnosis::without_mark(&text)).ok();
    let checkpoint = kept.and_then(|kept| verify_checkpoint(&kept.checkpoint, &kept.key.x));
    checkpoint.ok_or_else(|| {
        ClientError::Other(format!(
            "{file} is no checkpoint, or its signature is not right. `tenantry audit checkpoint` prints one."
        ))
    })
}

fn unreadable(file: &str, error: &io::Error) -> ClientError {
    ClientError::Other(format!("{file} cannot be read: {error}."))
}
