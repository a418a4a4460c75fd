//! The commands of `tenantry org` that change something.

use super::arguments::QUOTA;
use super::operation;
use super::session::Session;
use super::view::{Organization, utc};
use crate::cli::arguments::organization;
use crate::cli::client::{ClientError, ClientResponse};
use crate::cli::print::say;
use crate::cli::terminal::{self, Progress};
use crate::system::SystemEntropy;
use clap::ArgMatches;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::time::Duration;
use tenantry_domain::ids::random;
use tenantry_domain::organization::QuotaLimit;

/// How long to wait for a purge that began with a delete; the server's own rounds are shorter.
const PURGE_WAIT: Duration = Duration::from_secs(60);
/// The pause between two looks at it.
const PURGE_PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for a compaction, which copies the whole data of the organization.
const COMPACTION_WAIT: Duration = Duration::from_secs(3600);

/// What a purge does to an organization.
const FOR_EVER: &str = "will be removed permanently, with all its data";

/// Runs the command of that name.
pub async fn run(session: &Session, name: &str, arguments: &ArgMatches) -> Result<(), ClientError> {
    match name {
        "create" => create(session, arguments).await,
        "rename" => rename(session, arguments).await,
        "set" => set(session, arguments).await,
        "quota" => quota(session, arguments).await,
        "set-password" => set_password(session, arguments).await,
        "suspend" => suspend(session, arguments).await,
        "compact" => compact(session, arguments).await,
        "reactivate" => reactivate(session, arguments).await,
        "delete" => delete(session, arguments).await,
        "restore" => restore(session, arguments).await,
        _ => purge(session, arguments).await,
    }
}

async fn create(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let password = password(arguments.get_flag("password-stdin"), "Password of the admin: ")?;
    let mut body = json!({
        "organization_name": text(arguments, "name"),
        "email": text(arguments, "email"),
        "password": password,
    });
    if let Some(placement) = arguments.get_one::<String>("placement") {
        body["placement"] = json!(placement);
    }
    let key = random::<16>(&SystemEntropy).map(|byte| format!("{byte:02x}")).concat();
    let request = || {
        let request = session.client.request(Method::POST, &["v1", "organizations"], &[]);
        session.change(request.header("Idempotency-Key", &key).json(&body))
    };
    let answer = match request().await {
        // A retry with the same key does not create a second one.
        Err(ClientError::Broken(_)) => request().await?,
        result => result?,
    };
    session.tell(&answer, |made| format!("Created {}.", made.organization_name))
}

async fn set_password(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let password = password(arguments.get_flag("password-stdin"), "New password of the owner: ")?;
    let request = post(session, arguments, "set-password").json(&json!({ "password": password }));
    let answer = session.change(request).await?;
    session.tell(&answer, |changed| {
        let email = changed.admin_email.as_deref().unwrap_or("its owner");
        format!("{email} of {} has a new password; all their sessions have ended.", changed.organization_name)
    })
}

/// The password of an admin, from a person or a pipe.
fn password(from_pipe: bool, question: &str) -> Result<String, ClientError> {
    let unreadable = |error| ClientError::Other(format!("The password cannot be read: {error}."));
    if from_pipe {
        let mut password = String::new();
        std::io::stdin().read_to_string(&mut password).map_err(unreadable)?;
        let line = password.strip_suffix('\n').unwrap_or(&password);
        return Ok(line.strip_suffix('\r').unwrap_or(line).to_owned());
    }
    if !terminal::has_waiters() {
        return Err(ClientError::Usage(
            "There is no terminal to ask for the password: give it on standard input, with --password-stdin."
                .into(),
        ));
    }
    let password = terminal::ask_hidden(question).map_err(unreadable)?;
    if terminal::ask_hidden("Repeat it: ").map_err(unreadable)? != password {
        return Err(ClientError::Other("The two passwords differ. Nothing was changed.".into()));
    }
    Ok(password)
}

async fn rename(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let answer = patch(session, arguments, json!({ "organization_name": text(arguments, "name") })).await?;
    session.tell(&answer, |renamed| format!("Its name is now {}.", renamed.organization_name))
}

async fn set(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let setting = |flag: &str| arguments.get_one::<bool>(flag).map(|on| (flag.replace('-', "_"), json!(on)));
    let body: Map<_, _> = ["delete-protection", "legal-hold"].into_iter().filter_map(setting).collect();
    let answer = patch(session, arguments, Value::Object(body)).await?;
    session.tell(&answer, |changed| format!("Changed {}.", changed.organization_name))
}

async fn quota(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let limit = |flag: &str| {
        arguments.get_one::<Option<QuotaLimit>>(flag).map(|limit| (flag.to_owned(), json!(limit)))
    };
    let limits: Map<_, _> = QUOTA.into_iter().filter_map(limit).collect();
    let answer = patch(session, arguments, json!({ "quota": limits })).await?;
    session.tell(&answer, |changed| format!("Changed {}.", changed.organization_name))
}

async fn patch(
    session: &Session,
    arguments: &ArgMatches,
    body: Value,
) -> Result<ClientResponse, ClientError> {
    let request = session.about(Method::PATCH, &organization(arguments), &[]);
    session.change(request.json(&body)).await
}

async fn suspend(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let answer = session.change(post(session, arguments, "suspend")).await?;
    session.tell(&answer, |suspended| format!("Suspended {}.", suspended.organization_name))
}

#[derive(Deserialize)]
struct Compaction {
    disk_bytes_before: u64,
    disk_bytes: u64,
}

async fn compact(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let answer = session.client.send(post(session, arguments, "compact").timeout(COMPACTION_WAIT)).await?;
    if session.json {
        say(&answer.body);
        return Ok(());
    }
    let Compaction { disk_bytes_before, disk_bytes } = answer.read()?;
    say(&format!("It takes {disk_bytes} bytes on disk; before, {disk_bytes_before} bytes."));
    Ok(())
}

async fn reactivate(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let answer = session.change(post(session, arguments, "reactivate")).await?;
    session.tell(&answer, |active| format!("{} is active again.", active.organization_name))
}

async fn restore(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let given = |argument, field: &str| {
        arguments.get_one::<String>(argument).map(|text| (field.to_owned(), json!(text)))
    };
    let fields = [given("name", "organization_name"), given("email", "admin_email")];
    let body: Map<_, _> = fields.into_iter().flatten().collect();
    let answer = session.change(post(session, arguments, "restore").json(&body)).await?;
    session.tell(&answer, |restored| format!("Restored {}.", restored.organization_name))
}

async fn delete(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    if arguments.get_flag("purge") {
        return delete_for_ever(session, arguments).await;
    }
    let which = confirmed(session, arguments, "will be deleted, with its data").await?;
    let answer = session.change(session.about(Method::DELETE, &which, &[])).await?;
    session.tell(&answer, |deleted| match deleted.purge_at {
        Some(moment) => format!(
            "Deleted {}. Until {}, `tenantry org restore {}` brings it back.",
            deleted.organization_name,
            utc(moment),
            deleted.id
        ),
        None => format!("Deleted {}.", deleted.organization_name),
    })
}

async fn delete_for_ever(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let which = confirmed(session, arguments, FOR_EVER).await?;
    let path = ["v1", "organizations", &which];
    let request = session.client.request(Method::DELETE, &path, &[("purge", "true")]);
    let answer = session.client.send(request).await?;
    let (id, answer) = if answer.status == StatusCode::ACCEPTED {
        let finished = operation::follow(&session.client, answer).await?;
        (finished.organization_id, finished.answer)
    } else {
        (answer.read::<Organization>()?.id, answer)
    };
    if !is_purged(session, &id).await? {
        return Err(ClientError::Other(format!(
            "It is deleted. Its data is still being removed; `tenantry org show {id}` finds nothing once that is done."
        )));
    }
    session.tell_purged(&answer);
    Ok(())
}

/// Waits until it is purged; false if that takes too long.
async fn is_purged(session: &Session, id: &str) -> Result<bool, ClientError> {
    let progress = Progress::new();
    let looking = async {
        loop {
            match session.get(id).await {
                Err(failure) if is_gone(&failure) => return Ok(true),
                Err(failure) => return Err(failure),
                Ok(_) => progress.show("purge"),
            }
            tokio::time::sleep(PURGE_PAUSE).await;
        }
    };
    tokio::time::timeout(PURGE_WAIT, looking).await.unwrap_or(Ok(false))
}

fn is_gone(failure: &ClientError) -> bool {
    matches!(failure, ClientError::Refused(problem) if problem.code == "organization_not_found")
}

async fn purge(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let which = confirmed(session, arguments, FOR_EVER).await?;
    let answer = session.client.send(session.about(Method::POST, &which, &["purge"])).await?;
    let finished = operation::follow(&session.client, answer).await?;
    session.tell_purged(&finished.answer);
    Ok(())
}

impl Session {
    fn tell_purged(&self, answer: &ClientResponse) {
        say(if self.json { &answer.body } else { "Purged: nothing of it is left." });
    }
}

/// The organization, once its identifier has been typed, or at once if the command line skips that.
async fn confirmed(session: &Session, arguments: &ArgMatches, fate: &str) -> Result<String, ClientError> {
    let organization = organization(arguments);
    if arguments.get_flag("yes") {
        return Ok(organization);
    }
    if !terminal::has_waiters() {
        return Err(ClientError::Usage("There is no terminal to ask for confirmation: give --yes.".into()));
    }
    let found: Organization = session.get(&organization).await?.read()?;
    let (name, identifier) = (&found.organization_name, &found.organization_identifier);
    let question = format!("{name} ({}) {fate}.\nType {identifier} to go on: ", found.id);
    match terminal::ask(&question) {
        // By its id from now on: somebody else may take the identifier in the meantime.
        Ok(typed) if typed.trim() == identifier => Ok(found.id),
        _ => Err(ClientError::Other("Nothing was changed.".into())),
    }
}

fn post(session: &Session, arguments: &ArgMatches, what: &str) -> RequestBuilder {
    session.about(Method::POST, &organization(arguments), &[what])
}

fn text<'a>(arguments: &'a ArgMatches, name: &str) -> &'a str {
    arguments.get_one::<String>(name).map_or("", String::as_str)
}
