//! `tenantry backup`: copies a whole installation while its service runs; lists and verifies such backups.

mod arguments;
mod view;

use super::print::{complain, say};
use super::scratch::Scratch;
use super::terminal::Progress;
use crate::config::{self, Config};
use crate::system::SystemClock;
use anyhow::{Context, Result, bail};
use arguments::work_dir;
pub use arguments::{STREAM, command, identities, place, work_dir_argument};
use clap::ArgMatches;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tenantry_domain::clock::Clock;
use tenantry_store::backup::{
    BackupManifest, BackupProgress, KeyFile, Protection, Repository, Sink, StreamSink, back_up_data_dir,
    key_files,
};
pub use view::{moments, size};

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    let done = match matches.subcommand() {
        Some(("list", matches)) => view::list(matches).map(|()| true),
        Some((_, matches)) => verify(matches),
        None => back_up(matches),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("tenantry: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The line about how far a command is.
pub fn progress_line(verb: &str, step: BackupProgress) -> String {
    let BackupProgress { organizations, of, bytes } = step;
    let of = of.map_or(String::new(), |of| format!(" of {of}"));
    format!("{verb} {organizations}{of} organizations, {}", size(bytes))
}

/// Whether nothing that was copied is damaged.
fn back_up(matches: &ArgMatches) -> Result<bool> {
    let config = Config::load_for_command(matches, config::environment(), Some(Path::new(".env")))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let place = place(matches);
    refuse_inside(place, &config)?;
    let with_keys = !matches.get_flag("without-keys");
    let keys = if with_keys { key_files(&config.data_dir) } else { Vec::new() };
    let protection = arguments::protection(matches)?;
    if place == Path::new(STREAM) {
        refuse_unprotected(&keys, matches!(protection, Protection::Inherited))?;
        let mut sink = StreamSink::start(Box::new(std::io::stdout()), &protection, clock.now())?;
        let manifest = copy(matches, &config, with_keys, &mut sink, &clock)?;
        complain(&view::summary(&manifest));
        return Ok(!complain_of_damage(&manifest));
    }
    refuse_unprotected(&keys, matches!(protection, Protection::Inherited) && !inherits_encryption(place))?;
    let mut sink = Repository::create(place)?.start(&protection, clock.now())?;
    let damaged = sink.damaged().to_vec();
    damaged.iter().for_each(|id| complain(&view::damaged_manifest(place, id)));
    let manifest = copy(matches, &config, with_keys, &mut sink, &clock)?;
    say(&view::summary(&manifest));
    let is_damaged = complain_of_damage(&manifest);
    if manifest.damaged().any(|(_, _, damage)| !damage.is_earlier) {
        // An older one may have what this one lacks.
        return Ok(false);
    }
    if let Some(retention) = arguments::retention(matches, manifest.summary.began) {
        let pruned = sink.into_repository().prune(&retention)?;
        if pruned.backups > 0 {
            say(&format!("Removed {} older backups, {}.", pruned.backups, size(pruned.bytes)));
        }
        let others = pruned.damaged.iter().filter(|id| !damaged.contains(id));
        others.for_each(|id| complain(&view::damaged_manifest(place, id)));
    }
    Ok(!is_damaged)
}

/// Says which containers are damaged; whether there are any.
fn complain_of_damage(manifest: &BackupManifest) -> bool {
    let mut is_damaged = false;
    for (id, file, damage) in manifest.damaged() {
        complain(&view::damaged_container(id, file, damage));
        is_damaged = true;
    }
    is_damaged
}

/// Refuses a place inside the data directory: who loses that directory would lose its backups, too.
fn refuse_inside(place: &Path, config: &Config) -> Result<()> {
    // The place itself need not exist yet.
    let mut existing = Path::new(".").join(place);
    while !existing.exists() && existing.pop() {}
    let (Ok(data_dir), Ok(existing)) = (config.data_dir.canonicalize(), existing.canonicalize()) else {
        return Ok(());
    };
    if place != Path::new(STREAM) && existing.starts_with(&data_dir) {
        bail!(
            "{} is inside the data directory {}: what happens to that would happen to the backups. Choose a place outside \
             of it, best on another disk",
            place.display(),
            config.data_dir.display()
        );
    }
    Ok(())
}

/// Whether the newest backup of that directory is encrypted: then the next one is, too.
fn inherits_encryption(place: &Path) -> bool {
    let newest = Repository::open(place).and_then(|repository| repository.newest_whole());
    newest.is_ok_and(|(newest, damaged)| {
        // What is damaged may have been encrypted: then the start of the backup asks.
        !damaged.is_empty() || newest.is_some_and(|newest| !newest.summary.recipients.is_empty())
    })
}

/// Refuses to copy keys in plain text, unless that was asked for.
fn refuse_unprotected(keys: &[KeyFile], is_plain: bool) -> Result<()> {
    if keys.is_empty() || !is_plain {
        return Ok(());
    }
    let named: Vec<_> = keys.iter().map(|key| format!("{} ({})", key.what, key.name)).collect();
    bail!(
        "the backup would have keys in plain text: {}. Encrypt it with --recipient age1… or --passphrase-file, leave the \
         keys out with --without-keys, or accept that with --unencrypted",
        named.join(", ")
    );
}

fn copy(
    matches: &ArgMatches,
    config: &Config,
    with_keys: bool,
    sink: &mut dyn Sink,
    clock: &Arc<dyn Clock>,
) -> Result<BackupManifest> {
    let progress = Progress::new();
    let mut tell = |step| progress.show(&progress_line("copied", step));
    match config.mongo_uri {
        Some(_) => from_mongodb(matches, config, with_keys, sink, clock, &mut tell),
        None => Ok(back_up_data_dir(&config.data_dir, with_keys, sink, &**clock, &mut tell)?),
    }
}

#[cfg(feature = "mongodb")]
fn from_mongodb(
    matches: &ArgMatches,
    config: &Config,
    with_keys: bool,
    sink: &mut dyn Sink,
    clock: &Arc<dyn Clock>,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<BackupManifest> {
    let options = crate::engine::mongodb(config).context("no MONGO_URI is set")?;
    let scratch = scratch(matches)?;
    let data_dir = with_keys.then_some(config.data_dir.as_path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let copying =
        tenantry_store::backup::back_up_mongodb(&options, data_dir, scratch.path(), sink, clock, tell);
    Ok(runtime.block_on(copying)?)
}

#[cfg(not(feature = "mongodb"))]
fn from_mongodb(
    _: &ArgMatches,
    _: &Config,
    _: bool,
    _: &mut dyn Sink,
    _: &Arc<dyn Clock>,
    _: &mut dyn FnMut(BackupProgress),
) -> Result<BackupManifest> {
    bail!("MONGO_URI is set, and this binary was built without MongoDB: use one with the feature `mongodb`")
}

/// A temporary directory below the one that was asked for.
pub fn scratch(matches: &ArgMatches) -> Result<Scratch> {
    let parent = work_dir(matches);
    Scratch::below(&parent, "backup").with_context(|| {
        format!("no temporary directory can be made in {}: choose another with --work-dir", parent.display())
    })
}

/// What to do about damaged files; `aside`: so many were set aside.
fn way_out(place: &Path, aside: Option<usize>) -> String {
    let place = place.display();
    match aside {
        None => format!(
            "Run `tenantry backup verify {place} --repair`: it sets damaged files aside, and the next backup copies them again \
             from the installation. Check the disk, too."
        ),
        Some(files) => format!(
            "Set aside in {place}/damaged: {files} files. Run `tenantry backup {place}` now: it copies again what the \
             installation still has. Older backups are whole again only where that is the same; remove those that still \
             fail. Check the disk, too."
        ),
    }
}

fn verify(matches: &ArgMatches) -> Result<bool> {
    let progress = Progress::new();
    let id = matches.get_one::<String>("backup").map(String::as_str);
    let is_repair = matches.get_flag("repair");
    let place = place(matches);
    let repository = if is_repair { Repository::open_alone(place)? } else { Repository::open(place)? };
    let verified = repository.verify(id, &mut |step| progress.show(&progress_line("verified", step)))?;
    drop(progress);
    verified.failures.iter().for_each(|failure| say(failure));
    let (backups, objects) = (verified.backups, verified.objects);
    let failures = verified.failures.len();
    if failures == 0 {
        say(&format!(
            "{backups} backups with {objects} files ({}) are as they were written.",
            size(verified.bytes)
        ));
    } else {
        say(&format!("Failed: {failures}, in {backups} backups with {objects} files."));
        say(&way_out(place, if is_repair { Some(repository.set_aside(&verified)?) } else { None }));
    }
    Ok(failures == 0)
}
