//! `tenantry restore --organization`: one organization out of a backup, into an installation that is there.
//!
//! The organization goes by way of an archive, as every organization that comes from elsewhere: so nobody sees it before it is
//! complete, its API keys open nothing before they are confirmed, and no account that is there is changed.

use super::source::open;
use crate::cli::backup::{self, progress_line};
use crate::cli::client::{Client, operator_key};
use crate::cli::org;
use crate::cli::print::{say, switch};
use crate::cli::terminal::Progress;
use crate::config::{self, ClientConfig, Config};
use crate::service::CommandService;
use crate::system::{SystemClock, SystemEntropy};
use anyhow::{Context, Result, anyhow};
use clap::{Arg, ArgMatches};
use futures_util::{StreamExt, stream};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tenantry_domain::Error;
use tenantry_domain::app::archives::source::ArchiveStream;
use tenantry_domain::app::archives::{Import, ImportedId};
use tenantry_domain::app::auth::{OrganizationRef, Principal};
use tenantry_domain::app::operations::Outcome;
use tenantry_domain::app::operator;
use tenantry_domain::archive::{ArchiveEnd, ArchiveLines, Verifier, line_max_bytes};
use tenantry_domain::clock::Clock;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::name::OrganizationName;
use tenantry_store::backup::{BackupSummary, RestoredOrganization, is_in_use, unpack_organization};
use tokio::runtime::Runtime;

/// Bytes of the archive that are read at once.
const PIECE_BYTES: usize = 64 << 10;
/// The largest document of any installation, as BSON.
const DOCUMENT_MAX_BYTES: usize = 16 << 20;

/// The arguments that are about one organization.
pub fn arguments() -> [Arg; 4] {
    let only = |arg: Arg| arg.requires("organization");
    [
        Arg::new("organization")
            .long("organization")
            .value_name("ID")
            .value_parser(|text: &str| {
                text.parse::<OrganizationId>().map_err(|_| "must be an id of 24 hexadecimal digits")
            })
            .help("Restore this organization alone, into an installation that is there; its service may run"),
        only(switch("new-id", "Give it a new id, because the old one is still in use")),
        only(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .value_parser(OrganizationName::parse)
                .help("Another name, if the old one is taken"),
        ),
        only(
            Arg::new("owner-email")
                .long("owner-email")
                .value_name("ADDRESS")
                .value_parser(EmailAddress::parse)
                .help("Another address for its owner, if the old one is taken"),
        ),
    ]
}

/// The organization that is asked for, if one is.
pub fn asked(matches: &ArgMatches) -> Option<OrganizationId> {
    matches.get_one::<OrganizationId>("organization").copied()
}

/// Restores it.
///
/// # Errors
/// A sentence that names the obstacle and the fix. Nothing is changed then.
pub fn run(matches: &ArgMatches, config: &Config, runtime: &Runtime, id: OrganizationId) -> Result<()> {
    let client = ClientConfig::load(matches, config::environment(), Some(Path::new(".env")))?;
    let mut reader = open(matches)?;
    let scratch = backup::scratch(matches)?;
    let progress = Progress::new();
    let mut tell = |step| progress.show(&progress_line("read", step));
    let (summary, restored) = unpack_organization(&mut *reader, id, scratch.path(), &mut tell)?;
    drop(progress);
    let archive = scratch.path().join("organization.ndjson");
    let (name, end) = runtime.block_on(write_archive(config, scratch.path(), id, &archive))?;
    if matches.get_flag("rehearse") {
        return print(matches, "A restore would bring", &name, &summary, &restored, &end);
    }
    let name = runtime.block_on(async {
        // A service has its data directory for itself, so what it has goes through it.
        let is_served = config.mongo_uri.is_none()
            && (!config.data_dir.join("control.db").exists() || is_in_use(&config.data_dir)?);
        if is_served {
            send(matches, &client, &archive).await
        } else {
            import(matches, config, &client, &archive).await
        }
    })?;
    print(matches, "Restored", &name, &summary, &restored, &end)
}

/// Writes the archive of the organization in the data directory `scratch` to `file`; its name, and what is in it.
async fn write_archive(
    config: &Config,
    scratch: &Path,
    id: OrganizationId,
    file: &Path,
) -> Result<(String, ArchiveEnd)> {
    // Secrets are not needed, and those of the installation are not for this copy.
    let config = Config {
        data_dir: scratch.to_owned(),
        mongo_uri: None,
        operator_key: None,
        jwt_secret: None,
        jwt_secret_previous: None,
        jwt_algorithm: None,
        ..config.clone()
    };
    let service = CommandService::open(&config).await?;
    let written = export(&service, id, file).await;
    service.close().await;
    written
}

async fn export(service: &CommandService, id: OrganizationId, file: &Path) -> Result<(String, ArchiveEnd)> {
    let key = operator::generate(&SystemEntropy);
    operator::replace_hash(&*service.store.installation, &key, SystemClock.now(), &SystemEntropy).await?;
    let operator = Principal::Operator(service.app.auth.authenticate_operator(&key).await?);
    let right =
        service.app.exporter.allow_export(&operator, &OrganizationRef::Id(id)).await.map_err(sentence)?;
    let name = right.organization().naming.name.to_string();
    let mut export = service.app.exporter.export_organization(right);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let (mut lines, mut verifier) =
        (ArchiveLines::new(line_max_bytes(DOCUMENT_MAX_BYTES)), Verifier::default());
    while let Some(piece) = export.next().await? {
        out.write_all(&piece).with_context(|| {
            format!(
                "{} cannot be written: make room, or choose another place with --work-dir",
                file.display()
            )
        })?;
        lines.push(&piece);
        while let Some(line) = lines.take()? {
            verifier.line(line)?;
        }
    }
    Ok((name, verifier.finish()?))
}

/// Imports it through the service that runs; its name then.
async fn send(matches: &ArgMatches, config: &ClientConfig, archive: &Path) -> Result<String> {
    let key = operator_key(config).map_err(|error| anyhow!("{error}"))?;
    let client = Client::new(config.server_url.clone(), Some(key)).map_err(|error| anyhow!("{error}"))?;
    let mut query = Vec::new();
    let name = matches.get_one::<OrganizationName>("name").map(ToString::to_string);
    let address = matches.get_one::<EmailAddress>("owner-email").map(|address| address.as_str().to_owned());
    query.extend(name.as_deref().map(|name| ("organization_name", name)));
    query.extend(address.as_deref().map(|address| ("owner_email", address)));
    if matches.get_flag("new-id") {
        query.push(("id", "new"));
    }
    org::import_file(client, archive, &query).await.map_err(|error| anyhow!("{error}"))
}

/// Imports it into the installation of the settings; its name then.
async fn import(
    matches: &ArgMatches,
    config: &Config,
    client: &ClientConfig,
    archive: &Path,
) -> Result<String> {
    let key = operator_key(client).map_err(|error| anyhow!("{error}"))?;
    let import = Import {
        name: matches.get_one::<OrganizationName>("name").cloned(),
        id: if matches.get_flag("new-id") { ImportedId::New } else { ImportedId::Keep },
        placement: None,
        owner_email: matches.get_one::<EmailAddress>("owner-email").cloned(),
    };
    let service = CommandService::open(config).await?;
    let imported = async {
        let operator = service.app.auth.authenticate_operator(&key).await?;
        service.app.importer.import_organization(&operator, import, pieces(archive)?).await
    };
    let imported = imported.await.map_err(sentence);
    service.close().await;
    match imported? {
        Outcome::Done { view: Some(view), .. } => Ok(view.organization.naming.name.to_string()),
        outcome => Err(anyhow!(
            "The import is not finished. Follow it with `tenantry org operations`: its id is {}.",
            outcome.record().id
        )),
    }
}

/// What is in `archive`, piece by piece.
fn pieces(archive: &Path) -> Result<ArchiveStream, Error> {
    let mut file = File::open(archive).map_err(Error::internal)?;
    let next = move || {
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some(Ok(piece))
            }
            Err(error) => Some(Err(Error::internal(error))),
        }
    };
    Ok(stream::iter(std::iter::from_fn(next)).boxed())
}

/// A refusal as a sentence for the operator.
fn sentence(error: Error) -> anyhow::Error {
    match error.cause() {
        Some(_) => error.into(),
        None => anyhow!("{} ({})", error.sentence(), error.code().code()),
    }
}

fn print(
    matches: &ArgMatches,
    verb: &str,
    name: &str,
    summary: &BackupSummary,
    restored: &RestoredOrganization,
    end: &ArchiveEnd,
) -> Result<()> {
    let RestoredOrganization { organization, moment, until, .. } = restored;
    let (documents, members) = (end.documents, end.members + 1);
    if matches.get_flag("json") {
        let told = serde_json::json!({
            "backup": summary, "id": organization, "organization_name": name, "moment": moment,
            "until": until.unwrap_or(*moment), "documents": documents, "members": members, "api_keys": end.api_keys,
        });
        say(&serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    let until = until.map_or(String::new(), |until| format!(" to {until}"));
    say(&format!(
        "{verb} {name} ({organization} in backup {}), as of {moment}{until}: documents {documents}, members {members}, API \
         keys {}.",
        summary.id, end.api_keys
    ));
    say(
        "A member whose address has an account here is invited and not added; API keys open nothing before an admin has \
         confirmed each.",
    );
    Ok(())
}
