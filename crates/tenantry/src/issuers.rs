//! The identity providers of the settings: reads the file that names them, and says everything that is wrong with it.

use crate::config::Config;
use crate::guarded_client::{AddressPolicy, check_url, is_without_effect};
use crate::issuer_keys::KeyLocation;
use anyhow::{Result, bail};
use reqwest::Url;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use tenantry_documents::document::{diagnosis, json_diagnosis};
use tenantry_domain::foreign_token::issuer::{ALGORITHMS, Algorithm};
use tenantry_domain::foreign_token::{OrganizationPin, TokenType, TrustedIssuer};
use tenantry_domain::ids::OrganizationId;

/// Issuers in the file.
const ISSUERS_MAX: usize = 100;
/// Organizations and domains of one issuer.
const ITEMS_MAX: usize = 10_000;
/// Characters of a text.
const TEXT_MAX_CHARS: usize = 1024;
/// The members of an issuer.
const MEMBERS: [&str; 11] = [
    "issuer",
    "audience",
    "algorithms",
    "token_type",
    "jwks_url",
    "jwks_file",
    "private_networks",
    "organizations",
    "organization_claim",
    "organization_values",
    "email_domains",
];

/// An issuer, and where its keys are.
pub struct ConfiguredIssuer {
    /// The issuer.
    pub issuer: TrustedIssuer,
    /// Where its keys are.
    pub keys: KeyLocation,
}

/// The issuers that the settings name.
///
/// # Errors
/// A sentence for each fault, with where it is.
pub fn load(config: &Config) -> Result<Vec<ConfiguredIssuer>> {
    let Some(path) = &config.oidc_issuers_file else { return Ok(Vec::new()) };
    let shown = path.display();
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => bail!("OIDC_ISSUERS_FILE: {shown} cannot be read: {error}"),
    };
    match parse(&text, config.jwt_issuer.as_str(), path.parent().unwrap_or(Path::new("."))) {
        Ok(issuers) => Ok(issuers),
        Err(faults) => bail!("OIDC_ISSUERS_FILE: {shown} is not valid.\n{}", faults.join("\n")),
    }
}

/// Reads the text of the file in `directory`.
fn parse(text: &[u8], own_issuer: &str, directory: &Path) -> Result<Vec<ConfiguredIssuer>, Vec<String>> {
    let text = diagnosis::without_mark(text);
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        let explained = json_diagnosis::of_text(text).map(|what| format!("It {what}"));
        vec![explained.unwrap_or_else(|| format!("It is not JSON: {error}."))]
    })?;
    let issuers =
        value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("issuers"));
    let Some(issuers) = issuers.and_then(Value::as_array) else {
        return Err(vec!["It must be an object with the one member `issuers`, a list.".to_owned()]);
    };
    let mut faults = Vec::new();
    if issuers.len() > ISSUERS_MAX {
        faults.push(format!("/issuers: There may be {ISSUERS_MAX} at most."));
    }
    let mut read: Vec<ConfiguredIssuer> = Vec::new();
    for (index, value) in issuers.iter().enumerate() {
        let mut fields =
            Fields { at: format!("/issuers/{index}"), members: value.as_object(), faults: Vec::new() };
        let found = fields.issuer(directory);
        if let Some(found) = &found {
            if found.issuer.issuer == own_issuer {
                fields.fault("issuer", "Is the issuer of this service (JWT_ISSUER): name another one.");
            }
            let is_same = |other: &ConfiguredIssuer| {
                other.issuer.issuer == found.issuer.issuer && other.issuer.audience == found.issuer.audience
            };
            if read.iter().any(is_same) {
                fields.fault("audience", "An entry before has this issuer and this audience.");
            }
        }
        faults.append(&mut fields.faults);
        read.extend(found);
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

/// The members of one issuer, and what is wrong with them.
struct Fields<'a> {
    at: String,
    members: Option<&'a Map<String, Value>>,
    faults: Vec<String>,
}

impl<'a> Fields<'a> {
    fn fault(&mut self, name: &str, rule: &str) {
        self.faults.push(format!("{}/{name}: {rule}", self.at));
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name)
    }

    fn issuer(&mut self, directory: &Path) -> Option<ConfiguredIssuer> {
        let Some(members) = self.members else {
            self.faults.push(format!("{}: Must be an object.", self.at));
            return None;
        };
        for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
            self.fault(name, "There is no such member.");
        }
        let issuer = self.required_text("issuer");
        let audience = self.required_text("audience");
        let algorithms = self.algorithms();
        let token_type = self.token_type();
        let keys = self.keys(directory);
        let organizations = self.organizations();
        let email_domains = self.email_domains();
        let issuer = TrustedIssuer {
            issuer: issuer?,
            audience: audience?,
            algorithms: algorithms?,
            token_type: token_type?,
            organizations: organizations?,
            email_domains: email_domains?,
        };
        Some(ConfiguredIssuer { issuer, keys: keys? })
    }

    fn text(&mut self, name: &str) -> Option<Option<String>> {
        match self.get(name) {
            None => Some(None),
            Some(Value::String(text)) if (1..=TEXT_MAX_CHARS).contains(&text.chars().count()) => {
                Some(Some(text.clone()))
            }
            Some(_) => {
                self.fault(name, &format!("Must be a text of 1 to {TEXT_MAX_CHARS} characters."));
                None
            }
        }
    }

    fn required_text(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        if text.is_none() {
            self.fault(name, "Is required.");
        }
        text
    }

    /// A list of texts, each read by `parse`.
    fn list<T>(
        &mut self,
        name: &str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Option<Vec<T>>> {
        let Some(value) = self.get(name) else { return Some(None) };
        let list = value.as_array().filter(|list| (1..=ITEMS_MAX).contains(&list.len()));
        let Some(list) = list else {
            self.fault(name, &format!("Must be a list of 1 to {ITEMS_MAX} texts."));
            return None;
        };
        let mut read = Vec::with_capacity(list.len());
        let before = self.faults.len();
        for (index, item) in list.iter().enumerate() {
            match item.as_str().and_then(&parse) {
                Some(item) => read.push(item),
                None => self.fault(&format!("{name}/{index}"), rule),
            }
        }
        (self.faults.len() == before).then_some(Some(read))
    }

    fn algorithms(&mut self) -> Option<Vec<Algorithm>> {
        let names: Vec<_> = ALGORITHMS.iter().map(|(name, _)| *name).collect();
        let rule = format!("Must be one of {}.", names.join(", "));
        let find =
            |text: &str| ALGORITHMS.iter().find(|(name, _)| *name == text).map(|(_, algorithm)| *algorithm);
        let read = self.list("algorithms", &rule, find)?;
        if read.is_none() {
            self.fault("algorithms", &format!("Is required. {rule}"));
        }
        read
    }

    fn token_type(&mut self) -> Option<TokenType> {
        match self.text("token_type")?.as_deref() {
            None | Some("at+jwt") => Some(TokenType::AccessToken),
            Some("JWT") => Some(TokenType::Jwt),
            Some(_) => {
                self.fault("token_type", "Must be `at+jwt` or `JWT`.");
                None
            }
        }
    }

    fn keys(&mut self, directory: &Path) -> Option<KeyLocation> {
        let private_networks =
            self.list("private_networks", "Must be a network, as in 10.0.0.0/8.", |text| text.parse().ok())?;
        let useless: Vec<_> = private_networks.iter().flatten().map(is_without_effect).collect();
        for (index, _) in useless.iter().enumerate().filter(|(_, is_useless)| **is_useless) {
            let rule = "Is never called: link-local, loopback and multicast addresses, and those at which clouds hand \
                        out credentials, are no private network. Leave it out.";
            self.fault(&format!("private_networks/{index}"), rule);
        }
        if useless.contains(&true) {
            return None;
        }
        let (url, file) = (self.text("jwks_url")?, self.text("jwks_file")?);
        match (url, file) {
            (Some(url), None) => {
                let policy = AddressPolicy { private_networks: private_networks.unwrap_or_default() };
                let checked = url.parse::<Url>().map_err(|error| error.to_string());
                match checked.and_then(|url| check_url(&url).map(|()| url).map_err(|error| error.to_string()))
                {
                    Ok(url) => Some(KeyLocation::Url(url, policy)),
                    Err(rule) => {
                        self.fault("jwks_url", &format!("Is not a URL that is called: {rule}."));
                        None
                    }
                }
            }
            (None, Some(_)) if private_networks.is_some() => {
                self.fault("private_networks", "Does nothing with `jwks_file`: leave it out.");
                None
            }
            (None, Some(file)) => Some(KeyLocation::File(directory.join(file))),
            _ => {
                self.fault("jwks_url", "Give either `jwks_url` or `jwks_file`.");
                None
            }
        }
    }

    fn organizations(&mut self) -> Option<OrganizationPin> {
        let rule = "Must be the id of an organization: 24 hex digits. A name may pass to another one.";
        let allowed = self.list("organizations", rule, |text| text.parse::<OrganizationId>().ok())?;
        let claim = self.text("organization_claim")?;
        let values = self.values(rule)?;
        match (claim, allowed, values) {
            (None, Some(allowed), None) if allowed.len() == 1 => Some(OrganizationPin::One(allowed[0])),
            (Some(claim), allowed, None) => Some(OrganizationPin::ClaimedId { claim, allowed }),
            (Some(claim), None, Some(organizations)) => {
                Some(OrganizationPin::ClaimedValue { claim, organizations })
            }
            (Some(_), Some(_), Some(_)) => {
                self.fault("organizations", "Leave it out: `organization_values` names the organizations.");
                None
            }
            (None, _, Some(_)) => {
                self.fault("organization_claim", "Is required with `organization_values`.");
                None
            }
            (None, Some(_), None) => {
                self.fault(
                    "organization_claim",
                    "Is required with several organizations: it says which is meant.",
                );
                None
            }
            (None, None, None) => {
                self.fault("organizations", "Give one organization, or `organization_claim`.");
                None
            }
        }
    }

    fn values(&mut self, rule: &str) -> Option<Option<BTreeMap<String, OrganizationId>>> {
        let Some(value) = self.get("organization_values") else { return Some(None) };
        let object = value.as_object().filter(|object| (1..=ITEMS_MAX).contains(&object.len()));
        let Some(object) = object else {
            let rule = format!(
                "Must be an object with 1 to {ITEMS_MAX} members: a value of the claim, an organization."
            );
            self.fault("organization_values", &rule);
            return None;
        };
        let mut read = BTreeMap::new();
        for (name, id) in object {
            match id.as_str().and_then(|id| id.parse().ok()) {
                Some(id) => drop(read.insert(name.clone(), id)),
                None => self.fault(&format!("organization_values/{name}"), rule),
            }
        }
        (read.len() == object.len()).then_some(Some(read))
    }

    fn email_domains(&mut self) -> Option<Vec<String>> {
        let rule = "Must be a domain in lower case, as in example.com.";
        let is_domain = |text: &str| {
            let is_label = |label: &str| {
                !label.is_empty()
                    && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            };
            text.contains('.') && text.split('.').all(is_label)
        };
        let read = self.list("email_domains", rule, |text| is_domain(text).then(|| text.to_owned()))?;
        Some(read.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
