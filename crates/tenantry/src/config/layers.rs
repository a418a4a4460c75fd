//! The sources of settings, in order of precedence: flags, the environment, `.env`, the default.
//!
//! Only names *within* one source can disagree; a higher source simply overrides a lower one.

use super::env_file::EnvFile;
use super::misspelt;
use super::secret_file;
use super::setting::Setting;
use super::table::{ReadSetting, SETTINGS};
use super::value::{Limits, Value};
use clap::ArgMatches;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

/// Characters of a refused text that an error repeats.
const SHOWN_CHARS: usize = 60;

/// The replacement for bytes that are not UTF-8 (see `environment`).
const NOT_UTF8: char = char::REPLACEMENT_CHARACTER;

/// The sources in order of precedence, and the errors in them.
pub struct Layers {
    layers: Vec<Layer>,
    errors: Vec<String>,
}

struct Layer {
    place: SettingSource,
    values: Vec<(String, String)>,
}

enum SettingSource {
    Flags,
    Environment,
    File(String),
}

impl Layers {
    /// The sources of this process.
    pub fn new(
        flags: &ArgMatches,
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&Path>,
    ) -> Self {
        let mut errors = Vec::new();
        let mut layers = vec![Layer::flags(flags), Layer::new(SettingSource::Environment, env)];
        layers.extend(dotenv.map(|path| Layer::file(path, &mut errors)));
        Self { layers, errors }
    }

    /// The files that secrets are read from: the setting, and the path as it is given.
    pub fn secret_files(&self) -> Vec<(&'static str, String)> {
        let file = |setting: &Setting| {
            let layer = self.layers.iter().find(|layer| layer.given(setting).next().is_some())?;
            let given = layer.given(setting).find(|given| given.is_file)?;
            Some((setting.name, given.text.trim().to_owned()))
        };
        SETTINGS.iter().filter_map(file).collect()
    }

    /// All errors.
    pub fn into_errors(self) -> Vec<String> {
        self.errors
    }
}

impl ReadSetting for Layers {
    /// The value of a setting in the highest source that has one, else its default; `None` if that value is invalid.
    fn read<T: Value>(&mut self, setting: &Setting) -> Option<T> {
        let value = match self.layers.iter().find(|layer| layer.given(setting).next().is_some()) {
            Some(layer) => layer.read(setting),
            None => parse("The default", setting.default, &setting.limits).map_err(|error| vec![error]),
        };
        value.map_err(|errors| self.errors.extend(errors)).ok()
    }
}

impl Layer {
    fn new(place: SettingSource, values: impl Iterator<Item = (String, String)>) -> Self {
        // The environment has many variables that are not ours; an empty value counts as absent.
        let ours = |name: &str| SETTINGS.iter().any(|setting| setting.all_names().any(|own| own == name));
        Self { place, values: values.filter(|(name, text)| ours(name) && !text.trim().is_empty()).collect() }
    }

    fn flags(flags: &ArgMatches) -> Self {
        // A command may take some of the flags only: one it does not know is not given.
        let text = |name: &'static str| flags.try_get_one::<String>(name).ok().flatten().cloned();
        let names = SETTINGS.iter().flat_map(Setting::flag_names);
        let values = names.filter_map(|name| Some((name.to_owned(), text(name)?)));
        Self::new(SettingSource::Flags, values)
    }

    fn file(path: &Path, errors: &mut Vec<String>) -> Self {
        let place = path.display();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
            match error.kind() {
                ErrorKind::NotFound => {}
                // A Python environment may have that name, and it tells so.
                ErrorKind::IsADirectory if path.join("pyvenv.cfg").is_file() => {}
                ErrorKind::IsADirectory => errors.push(format!(
                    "{place} is a directory, and not a file with settings: remove it. Docker makes one where a file is \
                     mounted that is missing on the host."
                )),
                _ => errors
                    .push(format!("{place} cannot be read ({error}): make it readable UTF-8, or remove it.")),
            }
            String::new()
        });
        let file = EnvFile::parse(&text);
        errors.extend(file.bad_lines.iter().map(|line| {
            format!("Line {line} of {place} is no setting: write NAME=value with every quote closed, or put # before it.")
        }));
        let misspelt =
            file.entries.iter().filter_map(|(name, _)| Some((name, misspelt::meant_in_file(name)?)));
        errors.extend(misspelt.map(|(name, meant)| {
            format!("{} Correct the name, or remove the line.", meant.sentence(name, &format!(" in {place}")))
        }));
        Self::new(SettingSource::File(place.to_string()), file.entries.into_iter())
    }

    /// The texts given for a setting.
    fn given(&self, setting: &Setting) -> impl Iterator<Item = GivenText<'_>> {
        self.values.iter().filter_map(|(name, text)| {
            let is_file = setting.is_file_name(name);
            let limits = if is_file { Some(setting.limits) } else { setting.limits_of(name) };
            Some(GivenText { name, text, limits: limits?, is_file })
        })
    }

    /// The value all texts for a setting agree on, or everything that is wrong with them.
    fn read<T: Value>(&self, setting: &Setting) -> Result<T, Vec<String>> {
        if let Some(error) = self.file_beside_text(setting) {
            return Err(vec![error]);
        }
        let mut first = None;
        let mut errors = Vec::new();
        for given in self.given(setting) {
            match (given.read::<T>(&self.label(setting, &given)), &first) {
                (Err(error), _) => errors.push(error),
                (Ok(value), None) => first = Some((given.name, value)),
                (Ok(value), Some((first_name, agreed))) if value != *agreed => {
                    errors.push(self.disagreement(first_name, given.name));
                }
                (Ok(_), Some(_)) => {}
            }
        }
        first.map(|(_, value)| value).filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// Why a setting is refused that is given as it is and by a file, whatever the file holds.
    fn file_beside_text(&self, setting: &Setting) -> Option<String> {
        let text = self.given(setting).find(|given| !given.is_file)?;
        let file = self.given(setting).find(|given| given.is_file)?;
        let (text, file) = (self.label(setting, &text), self.label(setting, &file));
        Some(format!("{text} and {file} give one secret twice: keep one of them."))
    }

    fn label(&self, setting: &Setting, given: &GivenText<'_>) -> String {
        match (&self.place, setting.file.filter(|_| given.is_file)) {
            (SettingSource::Flags, Some(file)) => format!("--{}", file.flag),
            (SettingSource::Flags, None) => format!("--{}", setting.flag),
            (place, _) => format!("{}{place}", given.name),
        }
    }

    fn disagreement(&self, one: &str, other: &str) -> String {
        let place = &self.place;
        if one == other {
            format!("{one} is set twice{place}, with different values: keep one of them.")
        } else {
            format!("{one} and {other}{place} are names of one setting and disagree: keep one of them.")
        }
    }
}

/// A text given for a setting.
struct GivenText<'a> {
    /// The name it is given under.
    name: &'a str,
    text: &'a str,
    limits: Limits,
    /// Whether the text is the path of a file that holds the setting's own text.
    is_file: bool,
}

impl GivenText<'_> {
    /// The value that the text, or the file, gives; `label` says where it is given.
    fn read<T: Value>(&self, label: &str) -> Result<T, String> {
        if !self.is_file {
            return parse(label, self.text, &self.limits);
        }
        let content = secret_file::read(label, self.text.trim())?;
        parse(&format!("The content of {} ({label})", self.text.trim()), &content, &self.limits)
    }
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags => f.write_str(" on the command line"),
            Self::Environment => f.write_str(" in the environment"),
            Self::File(path) => write!(f, " in {path}"),
        }
    }
}

fn parse<T: Value>(label: &str, text: &str, limits: &Limits) -> Result<T, String> {
    if text.contains(NOT_UTF8) {
        return Err(format!("{label} must be text in UTF-8: set it again."));
    }
    // White space around a secret may be part of it.
    let text = if T::SECRET { text } else { text.trim() };
    T::parse(text, limits).ok_or_else(|| format!("{label} must be {}{}.", T::rule(limits), but_is::<T>(text)))
}

/// Repeats a refused text, unless it may hold a password.
fn but_is<T: Value>(text: &str) -> String {
    if T::SECRET || text.contains('@') {
        return String::new();
    }
    let shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    let more = if text.chars().count() > SHOWN_CHARS { "…" } else { "" };
    format!("; it is `{shown}{more}`")
}
