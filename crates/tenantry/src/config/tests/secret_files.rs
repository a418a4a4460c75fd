//! Secrets in files of their own.

use super::*;
use tempfile::TempDir;

/// A directory with a file for each secret.
fn directory(files: &[(&str, &str)]) -> (TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = |(name, content): &(&str, &str)| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let paths = files.iter().map(path).collect();
    (directory, paths)
}

fn secret_of(config: &Config) -> Option<&str> {
    config.jwt_secret.as_ref().map(SigningSecret::expose)
}

#[test]
fn secret_is_read_from_its_file_in_every_source() {
    let (_directory, paths) = directory(&[("jwt", &format!("{SECRET}\n"))]);
    for name in ["JWT_SECRET_FILE", "SECRET_KEY_FILE"] {
        assert_eq!(secret_of(&env(&[(name, &paths[0])]).unwrap()), Some(SECRET));
        let dotenv = format!("{name}={}\n", paths[0]);
        let config = Start { dotenv: &dotenv, ..Start::default() }.load().unwrap();
        assert_eq!(secret_of(&config), Some(SECRET));
    }
    let config = Start { flags: &["--jwt-secret-file", &paths[0]], ..Start::default() }.load().unwrap();
    assert_eq!(secret_of(&config), Some(SECRET));
}

#[test]
fn every_secret_is_read_from_its_file() {
    let (uri, previous) = ("mongodb://root:hunter2@localhost", "fAeUsLkR6n5JhQVcYx1m0pZTb8w7+2q3");
    let files = [("jwt", SECRET), ("uri", uri), ("key", "tnt_operator_key\n"), ("previous", previous)];
    let (_directory, paths) = directory(&files);
    let environment = [
        ("JWT_SECRET_FILE", &*paths[0]),
        ("MONGO_URI_FILE", &paths[1]),
        ("OPERATOR_KEY_FILE", &paths[2]),
        ("JWT_SECRET_PREVIOUS_FILE", &paths[3]),
    ];
    let config = env(&environment).unwrap();
    assert_eq!(secret_of(&config), Some(SECRET));
    assert_eq!(config.mongo_uri.as_ref().map(Secret::expose), Some(uri));
    assert_eq!(config.operator_key.as_ref().map(Secret::expose), Some("tnt_operator_key"));
    assert_eq!(config.jwt_secret_previous.as_ref().map(SigningSecret::expose), Some(previous));
    let shown = format!("{config:?}");
    for secret in ["hunter2", SECRET, previous, "tnt_operator_key"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn secret_given_itself_and_by_file_is_refused() {
    let (_directory, paths) = directory(&[("jwt", SECRET)]);
    for (text, file) in [
        ("JWT_SECRET", "JWT_SECRET_FILE"),
        ("SECRET_KEY", "JWT_SECRET_FILE"),
        ("JWT_SECRET", "SECRET_KEY_FILE"),
    ] {
        let sentence = format!(
            "{text} in the environment and {file} in the environment give one secret twice: keep one of them."
        );
        assert_eq!(refused(&[(text, SECRET), (file, &paths[0])]), [sentence]);
    }
    // An empty one counts as none.
    assert!(env(&[("JWT_SECRET", ""), ("JWT_SECRET_FILE", &paths[0])]).is_ok());
    assert!(env(&[("JWT_SECRET", SECRET), ("JWT_SECRET_FILE", " ")]).is_ok());
}

#[test]
fn secret_file_of_higher_source_overrides_lower_source() {
    let other = "fAeUsLkR6n5JhQVcYx1m0pZTb8w7+2q3";
    let (_directory, paths) = directory(&[("jwt", SECRET), ("other", other)]);
    let dotenv = format!("JWT_SECRET={other}\n");
    let by_file =
        Start { env: &[("JWT_SECRET_FILE", &paths[0])], dotenv: &dotenv, ..Start::default() }.load().unwrap();
    assert_eq!(secret_of(&by_file), Some(SECRET));
    // A file that is overridden is not read.
    let start =
        Start { env: &[("JWT_SECRET", SECRET)], dotenv: "JWT_SECRET_FILE=/missing", ..Start::default() };
    assert_eq!(secret_of(&start.load().unwrap()), Some(SECRET));
    let disagree = refused(&[("JWT_SECRET_FILE", &paths[0]), ("SECRET_KEY_FILE", &paths[1])]);
    assert!(disagree[0].contains("are names of one setting and disagree"), "{disagree:?}");
}

#[test]
fn secret_file_that_cannot_be_used_is_refused_and_named() {
    let (directory, paths) = directory(&[("empty", "\n"), ("short", "hunter2hunter2\n")]);
    let missing = directory.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (path, part) in [
        (&*paths[0], "is empty: write the secret into it"),
        (missing, "cannot be read (No such file"),
        (&*paths[1], "(JWT_SECRET_FILE in the environment) must be a random text of at least 32 bytes"),
    ] {
        let errors = refused(&[("JWT_SECRET_FILE", path)]);
        assert!(errors.len() == 1 && errors[0].contains(part) && errors[0].contains(path), "{errors:?}");
        assert!(errors[0].contains("JWT_SECRET_FILE") && !errors[0].contains("hunter2"), "{errors:?}");
    }
}

#[test]
fn misspelt_secret_file_is_refused_in_env_file() {
    let start = Start { dotenv: "JWT_SECRET_FILES=/run/secrets/jwt\n", ..Start::default() };
    let errors = start.load().unwrap_err().to_string();
    assert!(errors.contains("Did you mean JWT_SECRET_FILE?"), "{errors}");
}

#[test]
fn help_and_page_list_secret_files() {
    let help = flags(Command::new("tenantry")).term_width(0).render_long_help().to_string();
    let page = markdown();
    for file in SETTINGS.iter().filter_map(|setting| setting.file) {
        assert!(help.contains(&format!("--{} <PATH>", file.flag)), "{help}");
        assert!(help.contains(&format!("[env: {}]", file.names.join(", "))), "{help}");
        assert!(file.names.iter().all(|name| page.contains(&format!("`{name}`"))), "{page}");
    }
}

#[test]
fn client_config_reads_operator_key_from_its_file() {
    let (_directory, paths) = directory(&[("key", "key\n")]);
    let flags = client_flags(Command::new("org")).get_matches_from(["org"]);
    let env = [("OPERATOR_KEY_FILE".to_owned(), paths[0].clone())];
    let config = ClientConfig::load(&flags, env.into_iter(), None).unwrap();
    assert_eq!(config.operator_key.unwrap().expose(), "key");
}
