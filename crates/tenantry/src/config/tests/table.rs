//! What every row of the table of settings keeps to.

use crate::config::SETTINGS;
use std::collections::BTreeSet;

#[test]
fn setting_names_and_flags_are_unique() {
    let mut names = BTreeSet::new();
    for setting in SETTINGS {
        for name in setting.all_names() {
            assert!(names.insert(name), "{name} is in the table twice");
        }
        assert_eq!(setting.flag, setting.name.to_lowercase().replace('_', "-"));
    }
}

#[test]
fn every_secret_setting_has_a_file_form() {
    for setting in SETTINGS {
        assert_eq!(setting.file.is_some(), setting.secret, "{}", setting.name);
        let Some(file) = setting.file else { continue };
        let names = setting.all_names().take(1 + setting.aliases.len());
        assert_eq!(file.names, names.map(|name| format!("{name}_FILE")).collect::<Vec<_>>());
        assert_eq!(file.flag, format!("{}-file", setting.flag));
    }
}

#[test]
fn setting_help_consists_of_sentences() {
    for setting in SETTINGS {
        assert!(setting.help.ends_with(['.', ')']), "{}", setting.name);
        assert!(!setting.help.contains(['|', '\n']), "{} would break the table of the page", setting.name);
    }
}
