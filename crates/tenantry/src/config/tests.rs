//! Every way to give a setting, and every way to give a wrong one.

mod mail;
mod secret_files;
mod table;

use super::*;
use clap::Command;
use std::net::IpAddr;
use std::time::Duration;

const SECRET: &str = "3q2+7w8bTZp0m1xYcVQhJ5n6RkLsUeAf";

/// The places of one start, each as it is written.
#[derive(Default)]
struct Start<'a> {
    flags: &'a [&'a str],
    env: &'a [(&'a str, &'a str)],
    dotenv: &'a str,
}

impl Start<'_> {
    fn load(&self) -> Result<Config, ConfigErrors> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".env");
        std::fs::write(&path, self.dotenv).unwrap();
        let args = ["tenantry"].iter().chain(self.flags);
        let flags = flags(Command::new("tenantry")).try_get_matches_from(args).unwrap();
        let env = self.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(&flags, env, Some(&path))
    }
}

fn env(env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Start { env, ..Start::default() }.load()
}

fn refused(env_values: &[(&str, &str)]) -> Vec<String> {
    env(env_values).unwrap_err().0
}

#[test]
fn config_is_complete_without_settings() {
    let config = env(&[]).unwrap();
    assert_eq!(config.host, IpAddr::from([127, 0, 0, 1]));
    assert_eq!((config.port, config.data_dir.to_str()), (8000, Some("./data")));
    assert_eq!(config.jwt_secret, None);
    assert_eq!(config.access_token_lifetime, Duration::from_secs(3600));
    assert_eq!(config.retention, Duration::from_secs(30 * 86_400));
    assert_eq!((config.cache_bytes, config.max_body_bytes), (64 << 20, 64 << 10));
    assert!(config.trusted_proxies.is_empty() && config.cors_origins.is_empty());
    assert!(config.rate_limit);
    assert!(config.hash_workers() >= 1);
}

#[test]
fn config_ignores_missing_env_file_and_python_environment() {
    let directory = tempfile::tempdir().unwrap();
    let flags = flags(Command::new("tenantry")).get_matches_from(["tenantry"]);
    let load = |path: &Path| Config::load(&flags, std::iter::empty(), Some(path));
    assert!(load(&directory.path().join("missing")).is_ok());
    let refused = load(directory.path()).unwrap_err().to_string();
    assert!(refused.contains("is a directory") && refused.contains("Docker"), "{refused}");
    std::fs::write(directory.path().join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    assert!(load(directory.path()).is_ok());
}

#[test]
fn ineffective_telemetry_variables_are_warned_of() {
    let config = env(&[]).unwrap();
    let found = |given: &[(&str, &str)]| {
        let given = given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        warnings(&config, given).into_iter().map(|warning| warning.found).collect::<Vec<_>>().join("\n")
    };
    for (name, same, other) in [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "always_off"),
        ("OTEL_SDK_DISABLED", "false", "true"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "grpc"),
    ] {
        let sentence = format!("{name} in the environment has no effect");
        assert!(found(&[(name, other)]).contains(&sentence), "{name}");
        assert!(!found(&[(name, same)]).contains(&sentence), "{name}");
    }
}

#[test]
fn settings_accept_valid_values() {
    for (name, text, field) in [
        ("HOST", "::1", "host: ::1"),
        ("HOST", "[::]", "host: ::"),
        ("PORT", "0", "port: 0"),
        ("PORT", " 65535 ", "port: 65535"),
        ("APP_NAME", "Org Management Service", "app_name: \"Org Management Service\""),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1,", "trusted_proxies: [10.0.0.0/8, ::1/128]"),
        (
            "PUBLIC_URL",
            "https://Example.com/tenantry/",
            "public_url: Some(PublicUrl(\"https://example.com/tenantry\"))",
        ),
        ("CORS_ORIGINS", "https://App.example", "cors_origins: [Origin(\"https://app.example\")]"),
        ("CORS_HEADERS", "X-Trace-Id, b3", "cors_headers: [\"x-trace-id\", \"b3\"]"),
        ("IDLE_TIMEOUT", "3600", "idle_timeout: 3600s"),
        ("JWT_ALGO", "hs384", "jwt_algorithm: Some(Hs384)"),
        ("ALGORITHM", "EdDSA", "jwt_algorithm: Some(EdDsa)"),
        ("JWT_EXP_SECONDS", "60", "access_token_lifetime: 60s"),
        ("JWT_EXPIRE_MINUTES", "1440", "access_token_lifetime: 86400s"),
        ("TOKEN_LIFETIME", "43200", "access_token_lifetime: 2592000s"),
        ("PRIMARY_DB", "enterprise_db", "master_db: DatabaseName(\"enterprise_db\")"),
        ("PLACEMENT", "Database", "placement: Some(Database)"),
        ("MAX_NAMESPACES", "0", "max_namespaces: 0"),
        ("AT_CAPACITY", "shared", "at_capacity: Shared"),
        ("TENANT_PREFIX", "org_", "tenant_prefix: TenantPrefix(\"org_\")"),
        ("SIGNUP", "operator", "signup: Operator"),
        ("PUBLIC_LOOKUP", "card", "public_lookup: Card"),
        ("METRICS", "off", "metrics: Off"),
        ("RETENTION_DAYS", "0", "retention: 0ns"),
        ("RATE_LIMIT", "off", "rate_limit: false"),
        ("RATE_LIMIT_ADDRESS", "0", "rate_limit_address: 0"),
        ("RATE_LIMIT_KEY", "60000000", "rate_limit_key: 60000000"),
        ("RATE_LIMIT_EXEMPT", "10.0.0.0/8", "rate_limit_exempt: [10.0.0.0/8]"),
        ("LOG_REQUESTS", "All", "log_requests: All"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01", "otlp_sample_ratio: SampleRatio(0.01)"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100", "otlp_metric_interval_millis: 100"),
        ("DRAIN_TIMEOUT", "0", "drain_timeout: 0ns"),
        ("LOG_LEVEL", "INFO", "log_level: Info"),
        ("LOG_LEVEL", "WARNING", "log_level: Warn"),
        ("LOG_LEVEL", "CRITICAL", "log_level: Error"),
        ("LOG_FORMAT", "json", "log_format: Json"),
        ("HTTP2", "Prior-Knowledge", "http2: PriorKnowledge"),
        ("HSTS_MAX_AGE", "0", "hsts_max_age: 0ns"),
        ("COMPRESSION", "off", "compression: false"),
        ("HASH_THREADS", "3", "hash_threads: 3"),
        ("PORT", "", "port: 8000"),
        ("JWT_SECRET", "  ", "jwt_secret: None"),
    ] {
        let shown = format!("{:?}", env(&[(name, text)]).unwrap());
        assert!(shown.contains(&format!("{field},")), "{name}={text} gives {shown}");
    }
}

#[test]
fn settings_reject_invalid_values() {
    for (name, texts) in [
        ("HOST", &["localhost", "127.0.0.1:80", "300.0.0.1"][..]),
        ("PORT", &["-1", "65536", "80a", "8 0"]),
        ("APP_NAME", &["two\nlines"]),
        ("TRUSTED_PROXIES", &["10.0.0.0/33", "10.0.0.1;10.0.0.2"]),
        ("PUBLIC_URL", &["/tenantry", "example.com", "https://u@example.com", "https://example.com/?a"]),
        ("CORS_ORIGINS", &["*", "https://app.example/path"]),
        ("CORS_HEADERS", &["*", "x trace", "x-trace: 1"]),
        ("IDLE_TIMEOUT", &["0", "3601", "1m"]),
        ("DATA_DIR", &["~/data"]),
        ("MASTER_DB", &["a.b", "admin"]),
        ("TENANT_PREFIX", &["Tenant_", "tenant-", "t123456789012345678901234567890123"]),
        ("JWT_SECRET", &["short", "your-super-secret-jwt-key-change-in-production"]),
        ("JWT_ALGORITHM", &["none", "RS256"]),
        ("JWT_EXP_SECONDS", &["59", "2592001", "1.5"]),
        ("JWT_EXPIRE_MINUTES", &["0", "43201"]),
        ("RETENTION_DAYS", &["3651"]),
        ("PASSWORD_MIN_LENGTH", &["7", "65"]),
        ("SIGNUP", &["closed"]),
        ("RATE_LIMIT", &["maybe"]),
        ("RATE_LIMIT_ADDRESS", &["-1", "60000001", "off"]),
        ("RATE_LIMIT_EXEMPT", &["10.0.0.0/33"]),
        ("LOG_REQUESTS", &["some"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &["collector:4317", "grpc://collector:4317"]),
        ("OTEL_TRACES_SAMPLER_ARG", &["-0.1", "1.5", "NaN", "all"]),
        ("OTEL_METRIC_EXPORT_INTERVAL", &["0", "99"]),
        ("LOG_LEVEL", &["loud"]),
        ("HASH_QUEUE", &["0"]),
        ("HTTP2", &["h2c", "yes"]),
        ("TLS_KEY_FILE", &["~/key.pem"]),
        ("MAX_CONCURRENT_REQUESTS", &["0"]),
        (
            "SERVER_URL",
            &["localhost:8000", "ftp://localhost", "http://key@localhost", "http://localhost/?a=b"],
        ),
    ] {
        for text in texts {
            let errors = refused(&[(name, text)]);
            let begin = format!("{name} in the environment must be ");
            assert!(errors.len() == 1 && errors[0].starts_with(&begin), "{name}={text} gives {errors:?}");
        }
    }
}

#[test]
fn command_that_signs_nothing_needs_no_shared_secret() {
    let flags = flags(Command::new("backup")).try_get_matches_from(["backup"]).unwrap();
    let given = |placement: &str| {
        let env = [("MONGO_URI", "mongodb://localhost:27017"), ("PLACEMENT", placement)];
        env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter()
    };
    assert!(Config::load(&flags, given("shared"), None).is_err());
    assert!(Config::load_for_command(&flags, given("shared"), None).is_ok());
    assert!(Config::load_for_command(&flags, given("nowhere"), None).is_err());
}

#[test]
fn settings_error_says_what_is_wrong_and_what_to_do() {
    for (given, sentence) in [
        (("PORT", "80a"), "PORT in the environment must be a whole number from 0 to 65535; it is `80a`."),
        (
            ("TOKEN_LIFETIME", "0"),
            "TOKEN_LIFETIME in the environment must be a whole number of minutes from 1 to 43200; it is `0`.",
        ),
        (
            ("SECRET_KEY", "changeme"),
            "SECRET_KEY in the environment must be a random text of at least 32 bytes, not a placeholder: \
             make one with `openssl rand -base64 32`.",
        ),
        (("PORT", "8\u{FFFD}"), "PORT in the environment must be text in UTF-8: set it again."),
        (
            ("MONGO_URI", "mongodb://localhost:27017"),
            "MONGO_URI is set and JWT_SECRET is not: every instance must sign tokens with the same secret. \
             Make one with `openssl rand -base64 32` and give it to all of them.",
        ),
        (
            ("TLS_CERT_FILE", "/etc/tenantry/certificate.pem"),
            "TLS_CERT_FILE is set and TLS_KEY_FILE is not: set both for TLS, or neither.",
        ),
        (
            ("TLS_KEY_FILE", "/etc/tenantry/key.pem"),
            "TLS_KEY_FILE is set and TLS_CERT_FILE is not: set both for TLS, or neither.",
        ),
        (
            ("PLACEMENT", "shared"),
            "PLACEMENT is shared and MONGO_URI is not set: the embedded engine keeps each organization in a file of \
             its own (database). Remove PLACEMENT, or set MONGO_URI.",
        ),
    ] {
        assert_eq!(refused(&[given]), [sentence]);
    }
}

#[test]
fn settings_errors_are_reported_at_once() {
    let start = Start {
        flags: &["--signup", "closed"],
        env: &[("PORT", "x"), ("PLACEMENT", "collection"), ("SECRET_KEY", "secret")],
        dotenv: "LOG_LEVEL=loud\nnonsense\n",
    };
    let errors = start.load().unwrap_err().to_string();
    for begin in [
        "Line 2 of ",
        "PORT in",
        "SECRET_KEY in",
        "--signup must be",
        "LOG_LEVEL in ",
        "PLACEMENT is collection",
    ] {
        assert!(errors.lines().any(|line| line.starts_with(begin)), "{begin} is missing in {errors}");
    }
    assert_eq!(errors.lines().count(), 6, "{errors}");
}

#[test]
fn settings_from_flags_override_environment_and_env_file() {
    let environment = [("PORT", "2"), ("TOKEN_LIFETIME", "2")];
    let dotenv = "PORT=3\nJWT_EXP_SECONDS=180\nREADERS=3\n";
    let config = Start { flags: &["--port", "1"], env: &environment, dotenv }.load().unwrap();
    assert_eq!((config.port, config.readers), (1, 3));
    assert_eq!(
        config.access_token_lifetime,
        Duration::from_secs(120),
        "another name in a lower place is no conflict"
    );
}

#[test]
fn settings_values_that_are_empty_or_overridden_are_ignored() {
    let start = Start { flags: &["--port", "1", "--host", ""], env: &[("PORT", "x")], dotenv: "HOST=::1" };
    let config = start.load().unwrap();
    assert_eq!((config.port, config.host.to_string().as_str()), (1, "::1"));
}

#[test]
fn setting_aliases_must_agree_within_one_source() {
    for agreeing in [
        &[("JWT_EXPIRE_MINUTES", "60"), ("JWT_EXP_SECONDS", "3600"), ("TOKEN_LIFETIME", "60")][..],
        &[("JWT_ALGO", "HS256"), ("ALGORITHM", "hs256")],
        &[("JWT_SECRET", SECRET), ("SECRET_KEY", SECRET)],
        &[("MASTER_DB", "a"), ("PRIMARY_DB", "")],
    ] {
        assert!(env(agreeing).is_ok(), "{agreeing:?}");
    }
    for (one, other) in [
        (("JWT_EXPIRE_MINUTES", "60"), ("JWT_EXP_SECONDS", "60")),
        (("JWT_ALGORITHM", "HS256"), ("JWT_ALGO", "EdDSA")),
        (("JWT_SECRET", SECRET), ("SECRET_KEY", "fAeUsLkR6n5JhQVcYx1m0pZTb8w7+2q3")),
        (("MASTER_DB", "a"), ("PRIMARY_DB", "b")),
    ] {
        let sentence = format!(
            "{} and {} in the environment are names of one setting and disagree: keep one of them.",
            one.0, other.0
        );
        assert_eq!(refused(&[one, other]), [sentence]);
    }
}

#[test]
fn setting_repeated_in_env_file_must_agree() {
    assert!(Start { dotenv: "PORT=1\nPORT=1", ..Start::default() }.load().is_ok());
    let error = Start { dotenv: "PORT=1\nPORT=2", ..Start::default() }.load().unwrap_err().to_string();
    assert!(error.starts_with("PORT is set twice in ") && error.contains("different values"), "{error}");
}

#[test]
fn jwt_secret_length_follows_algorithm() {
    assert!(env(&[("JWT_SECRET", SECRET), ("JWT_ALGORITHM", "HS256")]).is_ok());
    assert!(env(&[("JWT_SECRET", SECRET), ("JWT_ALGORITHM", "EdDSA")]).is_ok());
    let errors = refused(&[("JWT_SECRET", SECRET), ("JWT_ALGORITHM", "HS512")]);
    assert!(
        errors[0].contains("at least 64 bytes") && errors[0].contains("openssl rand -base64 64"),
        "{errors:?}"
    );
}

#[test]
fn previous_secret_needs_another_current_one() {
    let other = "fAeUsLkR6n5JhQVcYx1m0pZTb8w7+2q3";
    assert!(env(&[("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", other)]).is_ok());
    let ed_dsa = [("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", other), ("JWT_ALGORITHM", "EdDSA")];
    assert!(env(&ed_dsa).is_ok());
    for (environment, begin) in [
        (
            &[("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", SECRET)][..],
            "JWT_SECRET and JWT_SECRET_PREVIOUS are the same",
        ),
        (&[("JWT_SECRET_PREVIOUS", other)], "JWT_SECRET_PREVIOUS is set and JWT_SECRET is not"),
        (&[("JWT_SECRET_PREVIOUS", "short")], "JWT_SECRET_PREVIOUS in the environment must be a random text"),
    ] {
        let errors = refused(environment);
        assert!(errors.len() == 1 && errors[0].starts_with(begin), "{errors:?}");
        assert!(!errors[0].contains(SECRET) && !errors[0].contains(other), "{errors:?}");
    }
    let long = SECRET.repeat(2);
    let errors =
        refused(&[("JWT_SECRET", &long), ("JWT_SECRET_PREVIOUS", SECRET), ("JWT_ALGORITHM", "HS512")]);
    assert!(errors[0].starts_with("JWT_ALGORITHM HS512 needs a JWT_SECRET_PREVIOUS of"), "{errors:?}");
}

#[test]
fn refresh_idle_lifetime_may_not_exceed_absolute_one() {
    let errors = refused(&[("REFRESH_IDLE_LIFETIME", "7200"), ("REFRESH_ABSOLUTE_LIFETIME", "3600")]);
    assert!(
        errors[0].starts_with("REFRESH_IDLE_LIFETIME is longer than REFRESH_ABSOLUTE_LIFETIME"),
        "{errors:?}"
    );
}

#[test]
fn settings_files_of_reference_projects_load() {
    let a = format!(
        "APP_NAME=Org Management Service\nJWT_SECRET={SECRET}\nJWT_ALGO=HS256\nJWT_EXPIRE_MINUTES=1440\nMASTER_DB=master_db\n"
    );
    let b = format!("MASTER_DB=master_db\nJWT_SECRET={SECRET}\n");
    let c = format!("MASTER_DB=master_db\nJWT_SECRET={SECRET}\nJWT_ALGORITHM=HS256\nJWT_EXP_SECONDS=3600\n");
    let d = format!(
        "PRIMARY_DB=enterprise_db\nSECRET_KEY={SECRET}\nALGORITHM=HS256\nTOKEN_LIFETIME=60\nLOG_LEVEL=INFO\n"
    );
    for (dotenv, app_name, database, hours) in [
        (&a, "Org Management Service", "master_db", 24),
        (&b, "Tenantry", "master_db", 1),
        (&c, "Tenantry", "master_db", 1),
        (&d, "Tenantry", "enterprise_db", 1),
    ] {
        let config = Start { dotenv, ..Start::default() }.load().unwrap();
        assert_eq!(config.app_name, app_name);
        assert_eq!(config.master_db.as_str(), database);
        assert_eq!(config.jwt_secret.as_ref().map(SigningSecret::expose), Some(SECRET));
        assert!(matches!(config.jwt_algorithm, None | Some(TokenAlgorithm::Hs256)));
        assert_eq!(config.access_token_lifetime, Duration::from_secs(hours * 3600));
        assert_eq!(config.log_level, LogLevel::Info);

        let with_mongo = format!("MONGO_URI=mongodb://localhost:27017\n{dotenv}");
        let config = Start { dotenv: &with_mongo, ..Start::default() }.load().unwrap();
        assert_eq!(config.mongo_uri.as_ref().map(Secret::expose), Some("mongodb://localhost:27017"));
    }
}

#[test]
fn settings_secrets_are_never_printed() {
    let operator_key = "operator-key-of-this-test";
    let config = env(&[("JWT_SECRET", SECRET), ("OPERATOR_KEY", operator_key)]).unwrap();
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("[secret]"));
    assert!(!shown.contains(SECRET) && !shown.contains(operator_key), "{shown}");

    let password = "hunter2hunter2";
    let mongo_uri = format!("mongodb://root:{password}@localhost");
    let server_url = format!("http://root:{password}@localhost");
    let dotenv = format!("SECRET_KEY=\"{password}\nJWT_ISSUER\u{7}={password}\n");
    let errors = Start {
        flags: &["--server-url", &server_url],
        env: &[("JWT_SECRET", password), ("SECRET_KEY", SECRET), ("MONGO_URI", &mongo_uri)],
        dotenv: &dotenv,
    };
    let errors = errors.load().unwrap_err();
    assert!(errors.iter().count() >= 4, "{errors}");
    assert!(!format!("{errors} {errors:?}").contains(password), "{errors}");
}

#[test]
fn command_may_accept_client_flags_alone() {
    let command = client_flags(Command::new("org"));
    let flags = command.try_get_matches_from(["org", "--server-url", "http://10.0.0.1:9000"]).unwrap();
    let config = Config::load(&flags, std::iter::empty(), None).unwrap();
    assert_eq!(config.server_url.as_str(), "http://10.0.0.1:9000/");
    assert!(client_flags(Command::new("org")).try_get_matches_from(["org", "--port", "1"]).is_err());
}

#[test]
fn client_config_ignores_errors_in_service_settings() {
    let flags = client_flags(Command::new("org")).get_matches_from(["org", "--data-dir", "/srv"]);
    let env = |pairs: &[(&str, &str)]| {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        pairs.iter().map(owned).collect::<Vec<_>>().into_iter()
    };
    let service_only = env(&[("MONGO_URI", "mongodb://localhost"), ("PORT", "x"), ("OPERATOR_KEY", "key")]);
    let config = ClientConfig::load(&flags, service_only, None).unwrap();
    assert_eq!(config.server_url.as_str(), "http://127.0.0.1:8000/");
    assert_eq!(config.operator_key.unwrap().expose(), "key");
    assert_eq!(config.data_dir.to_str(), Some("/srv"));

    let wrong = env(&[("SERVER_URL", "localhost"), ("PORT", "x")]);
    let errors = ClientConfig::load(&flags, wrong, None).unwrap_err();
    assert_eq!(errors.iter().count(), 1);
    assert!(errors.to_string().starts_with("SERVER_URL in the environment must be "), "{errors}");
}

#[test]
fn help_shows_every_setting_with_its_names_and_default() {
    let mut command = flags(Command::new("tenantry")).term_width(0);
    command.clone().debug_assert();
    let help = command.render_long_help().to_string();
    for setting in SETTINGS {
        assert!(help.contains(&format!("--{} <", setting.flag)), "{}", setting.flag);
        assert!(help.contains(&format!("[env: {}", setting.name)), "{}", setting.name);
        assert!(help.contains(&format!("{}:\n", setting.group)), "{}", setting.group);
    }
    assert!(
        help.contains("[env: JWT_EXP_SECONDS, JWT_EXPIRE_MINUTES in minutes, TOKEN_LIFETIME in minutes]"),
        "{help}"
    );
}

#[test]
fn settings_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == markdown(),
        "docs/settings.md is not what the table of settings says: run `cargo xtask generate`"
    );
}

#[test]
fn export_headers_need_a_collector_and_a_form() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let headers = |text| ("OTEL_EXPORTER_OTLP_HEADERS", text);
    assert!(env(&[endpoint, headers("api-key=a%20secret")]).is_ok());
    let alone = refused(&[headers("api-key=a")]);
    assert!(alone.len() == 1 && alone[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT is not"), "{alone:?}");
    let malformed = refused(&[endpoint, headers("hunter2")]);
    assert!(malformed.len() == 1 && malformed[0].contains("name=value"), "{malformed:?}");
    assert!(!malformed[0].contains("hunter2"), "it may be a secret");
}
