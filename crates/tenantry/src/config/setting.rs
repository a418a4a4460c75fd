//! A row of the table of settings: its names, and what its text may be.

use super::value::{Limits, Unit};

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the environment and in `.env`.
    pub name: &'static str,
    /// Other names for it, mostly those that existing deployments of the classic API use.
    pub aliases: &'static [Alias],
    /// Its flag on the command line, without the dashes.
    pub flag: &'static str,
    /// Its default as text; empty for a setting that may be absent.
    pub default: &'static str,
    /// The bounds of a number or of the length of a text, and the unit of the number.
    pub limits: Limits,
    /// What it is for, in sentences.
    pub help: &'static str,
    /// The heading it is listed under.
    pub group: &'static str,
    /// Whether its text must never be shown.
    pub secret: bool,
    /// How a file is named that holds its text; every secret may be given so.
    pub file: Option<FileForm>,
    /// The placeholder for its value in `--help`.
    pub shape: &'static str,
    pub(super) rule: fn(&Limits) -> String,
}

/// The form of a setting that names a file: the content of the file is the text of the setting.
#[derive(Debug, Clone, Copy)]
pub struct FileForm {
    /// Its names, one for each name of the setting.
    pub names: &'static [&'static str],
    /// Its flag on the command line, without the dashes.
    pub flag: &'static str,
}

/// Another name of a setting.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// The unit of a number under this name, if it is another.
    pub unit: Option<Unit>,
}

impl Setting {
    /// The defaults of a row.
    pub(super) const ROW: Self = Self {
        name: "",
        aliases: &[],
        flag: "",
        default: "",
        limits: Limits::new(0, 0, Unit::One),
        help: "",
        group: "",
        secret: false,
        file: None,
        shape: "",
        rule: |_| String::new(),
    };

    /// The rule for its value, in words.
    #[must_use]
    pub fn rule(&self) -> String {
        (self.rule)(&self.limits)
    }

    /// Whether `name` is that of a file which holds the text.
    #[must_use]
    pub fn is_file_name(&self, name: &str) -> bool {
        self.file.is_some_and(|file| file.names.contains(&name))
    }

    /// The names of its flags: its own, and that of the file.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let file = self.file.and_then(|file| file.names.first().copied());
        std::iter::once(self.name).chain(file)
    }

    /// Every name that it can be given under, those of files too.
    pub fn all_names(&self) -> impl Iterator<Item = &'static str> {
        let aliases = self.aliases.iter().map(|alias| alias.name);
        let files = self.file.map_or(&[][..], |file| file.names);
        std::iter::once(self.name).chain(aliases).chain(files.iter().copied())
    }

    /// The limits of a text that is given under `name`; `None` if this setting is not called that.
    #[must_use]
    pub fn limits_of(&self, name: &str) -> Option<Limits> {
        if name == self.name {
            return Some(self.limits);
        }
        let alias = self.aliases.iter().find(|alias| alias.name == name)?;
        Some(alias.unit.map_or(self.limits, |unit| self.limits.in_unit(unit)))
    }
}
