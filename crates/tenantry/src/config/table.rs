//! The table of settings: one row gives the name, the flag, the default, the limits, the documentation and
//! the field of `Config`.
//!
//! A new setting is a new row and nothing else; the type of its field says how its text is read (`value.rs`).

use super::choices::{CapacityPolicy, LogFormat, LogLevel, LogRequests, TokenAlgorithm};
use super::public_url::PublicUrl;
use super::secret::{Secret, SigningSecret};
use super::setting::{Alias, FileForm, Setting};
use super::smtp::{MailFrom, SmtpUrl};
use super::value::{DatabaseName, Limits, Origin, SampleRatio, TenantPrefix, Unit, Value};
use axum::http::HeaderName;
use reqwest::Url;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tenantry_api::listen::Http2;
use tenantry_api::network::Network;
use tenantry_api::settings::{LookupPolicy, MetricsPolicy};
use tenantry_domain::app::SignupPolicy;
use tenantry_domain::organization::{Placement, QuotaLimit};

/// Gives the values of settings.
pub trait ReadSetting {
    /// The value of a setting; `None` if it is invalid.
    fn read<T: Value>(&mut self, setting: &Setting) -> Option<T>;
}

const fn alias(name: &'static str) -> Alias {
    Alias { name, unit: None }
}

const fn minutes(name: &'static str) -> Alias {
    Alias { name, unit: Some(Unit::Minutes) }
}

const fn file(names: &'static [&'static str], flag: &'static str) -> Option<FileForm> {
    Some(FileForm { names, flag })
}

macro_rules! settings {
    ($($group:ident { $(
        $(#[doc = $help:literal])+
        $field:ident: $type:ty = { $($column:ident: $value:expr),+ $(,)? };
    )+ })+) => {
        pub(super) mod rows {
            #![expect(non_upper_case_globals, reason = "a row is named as the field it fills")]
            use super::*;
            $($(pub const $field: Setting = Setting {
                $($column: $value,)+
                help: concat!($($help),+).trim_ascii(),
                group: $group,
                secret: <$type as Value>::SECRET,
                shape: <$type as Value>::SHAPE,
                rule: <$type as Value>::rule,
                ..Setting::ROW
            };)+)+
        }

        /// Every setting, in the order of the page.
        pub const SETTINGS: &[Setting] = &[$($(rows::$field),+),+];

        /// The settings of one process. Printing it shows no secret.
        #[derive(Debug, Clone)]
        pub struct Config { $($($(#[doc = $help])+ pub $field: $type,)+)+ }

        /// What has been read so far: a setting that could not be read is missing.
        pub struct Draft { $($(pub $field: Option<$type>,)+)+ }

        impl Draft {
            /// Reads every setting; errors stay in `source`.
            pub fn read(source: &mut impl ReadSetting) -> Self {
                Self { $($($field: source.read(&rows::$field),)+)+ }
            }

            /// The settings, if none is missing.
            pub fn finish(self) -> Option<Config> {
                Some(Config { $($($field: self.$field?,)+)+ })
            }
        }
    };
}

const LISTENING: &str = "Listening";
const TLS: &str = "TLS and HTTP/2";
const STORAGE: &str = "Storage";
const MONGODB: &str = "MongoDB";
const TOKENS: &str = "Tokens";
const POLICY: &str = "Policy";
const DOCUMENTS: &str = "Documents";
const CAPACITY: &str = "Capacity";
const MAIL: &str = "Mail";
const LOGS: &str = "Logs and metrics";
const OPENTELEMETRY: &str = "OpenTelemetry";
const COMMAND_LINE: &str = "Command line";

settings! {
    LISTENING {
        /// The address to listen on: `0.0.0.0` or `::` for every interface.
        host: IpAddr = { name: "HOST", flag: "host", default: "127.0.0.1" };
        /// The port to listen on; 0 takes any free one.
        port: u16 = { name: "PORT", flag: "port", default: "8000", limits: Limits::new(0, 65_535, Unit::One) };
        /// What the service calls itself at `/` and in the API document.
        app_name: String = {
            name: "APP_NAME", flag: "app-name", default: "Tenantry", limits: Limits::new(1, 120, Unit::One),
        };
        /// The URL at which clients reach the service, including the path prefix of a proxy, if there is one.
        /// `Location`, `Operation-Location`, the `type` of problems, links and the API document's `servers`
        /// begin with it; without it they begin with `/`. The proxy must remove the prefix before it passes a
        /// request on.
        public_url: Option<PublicUrl> = { name: "PUBLIC_URL", flag: "public-url" };
        /// The proxies whose `X-Forwarded-For` is trusted. The log warns once for each peer that is not among
        /// them and sends such a header (`X-Forwarded-For`, `Forwarded` or `X-Real-IP`): rate limits then
        /// count all clients behind it as one.
        trusted_proxies: Vec<Network> = { name: "TRUSTED_PROXIES", flag: "trusted-proxies" };
        /// The origins whose pages may call the service from a browser.
        cors_origins: Vec<Origin> = { name: "CORS_ORIGINS", flag: "cors-origins" };
        /// Headers that those pages may send in addition to the service's own and those of tracing
        /// (`traceparent`, `tracestate`, `baggage`, `sentry-trace`).
        cors_headers: Vec<HeaderName> = { name: "CORS_HEADERS", flag: "cors-headers" };
        /// How long the head of a request may take to arrive, from its first byte; then it is answered 408.
        header_timeout: Duration = {
            name: "HEADER_TIMEOUT", flag: "header-timeout", default: "10", limits: Limits::new(1, 300, Unit::Seconds),
        };
        /// How long a connection is kept open without a request. Keep it longer than the idle timeout of a
        /// load balancer in front, which is usually 60 seconds. While `MAX_CONNECTIONS` are open,
        /// `HEADER_TIMEOUT` applies instead.
        idle_timeout: Duration = {
            name: "IDLE_TIMEOUT", flag: "idle-timeout", default: "75", limits: Limits::new(1, 3600, Unit::Seconds),
        };
        /// How long a request may take from its head to its response; its body has half of that to arrive.
        request_timeout: Duration = {
            name: "REQUEST_TIMEOUT", flag: "request-timeout", default: "10",
            limits: Limits::new(1, 300, Unit::Seconds),
        };
        /// How long a client may stop reading an export before it is cut off. For every other response, that
        /// time is `REQUEST_TIMEOUT`.
        export_pause_timeout: Duration = {
            name: "EXPORT_PAUSE_TIMEOUT", flag: "export-pause-timeout", default: "300",
            limits: Limits::new(1, 86_400, Unit::Seconds),
        };
        /// Whether responses of some size are compressed (zstd, Brotli, gzip) for clients that ask for it. What
        /// shows passwords, tokens, keys or links never is, nor is what is written while it is read.
        compression: bool = { name: "COMPRESSION", flag: "compression", default: "on" };
        /// How long running requests may finish after SIGTERM or SIGINT.
        drain_timeout: Duration = {
            name: "DRAIN_TIMEOUT", flag: "drain-timeout", default: "20", limits: Limits::new(0, 3600, Unit::Seconds),
        };
    }
    TLS {
        /// A PEM file with the certificate of the server, followed by those of its issuers. With it, and
        /// `TLS_KEY_FILE`, the service speaks TLS 1.2 and 1.3 on its port and nothing else. Changed files
        /// are taken within seconds, and at once after SIGHUP (`docs/guides/tls.md`).
        tls_cert_file: Option<PathBuf> = { name: "TLS_CERT_FILE", flag: "tls-cert-file" };
        /// A PEM file with the private key of that certificate, unencrypted. Keep it readable to the user of
        /// the service alone.
        tls_key_file: Option<PathBuf> = { name: "TLS_KEY_FILE", flag: "tls-key-file" };
        /// How long browsers use nothing but TLS for this host (`Strict-Transport-Security`). It is sent over
        /// the service's own TLS alone, and never for `localhost`; 0 sends nothing.
        hsts_max_age: Duration = {
            name: "HSTS_MAX_AGE", flag: "hsts-max-age", default: "31536000",
            limits: Limits::new(0, 10 * 365 * 24 * 3600, Unit::Seconds),
        };
        /// Where HTTP/2 is spoken: nowhere (`off`), over TLS where the client asks for it (`tls`), or also
        /// without TLS where the client begins with it (`prior-knowledge`), as proxies do that are told to.
        http2: Http2 = { name: "HTTP2", flag: "http2", default: "tls" };
    }
    STORAGE {
        /// The directory for everything the service keeps: the data and the keys it generates. It is created
        /// if it is missing. With MongoDB it holds only the operator key, and is not used if `OPERATOR_KEY` is set.
        data_dir: PathBuf = { name: "DATA_DIR", flag: "data-dir", default: "./data" };
        /// The prefix of `tenant_collection`, and on MongoDB of the name of an organization's database.
        tenant_prefix: TenantPrefix = { name: "TENANT_PREFIX", flag: "tenant-prefix", default: "tenant_" };
    }
    MONGODB {
        /// The connection string of the MongoDB that keeps everything. User, TLS, pool size (`maxPoolSize`,
        /// 100 by default) and timeouts are part of it, as in MongoDB's manual. Without it the embedded
        /// engine runs in `DATA_DIR`.
        mongo_uri: Option<Secret> = {
            name: "MONGO_URI", flag: "mongo-uri", file: file(&["MONGO_URI_FILE"], "mongo-uri-file"),
        };
        /// The MongoDB database of the service's own records, and of organizations placed in collections.
        master_db: DatabaseName = {
            name: "MASTER_DB", aliases: &[alias("PRIMARY_DB")], flag: "master-db", default: "tenantry",
        };
        /// Where the data of new organizations goes on MongoDB: a `collection` each (the default there), a
        /// `database` each, or collections that all of them share (`shared`). The operator may choose another
        /// placement when creating one.
        placement: Option<Placement> = { name: "PLACEMENT", flag: "placement" };
        /// How many collections and indexes the MongoDB server can hold, those of all programs together; 0
        /// means no limit. The default suits a small cluster.
        max_namespaces: u64 = {
            name: "MAX_NAMESPACES", flag: "max-namespaces", default: "10000",
            limits: Limits::new(0, 100_000_000, Unit::One),
        };
        /// What happens to a new organization when `MAX_NAMESPACES` is reached: it is refused (`refuse`), or
        /// placed in `shared` collections if its request names no placement.
        at_capacity: CapacityPolicy = { name: "AT_CAPACITY", flag: "at-capacity", default: "refuse" };
        /// How long one call to MongoDB may take before the request that needs it is answered 503.
        mongo_timeout: Duration = {
            name: "MONGO_TIMEOUT", flag: "mongo-timeout", default: "5", limits: Limits::new(1, 60, Unit::Seconds),
        };
    }
    TOKENS {
        /// The secret that signs access tokens, and seals the keys that sign them with EdDSA. Without it the service
        /// generates one and keeps it in `DATA_DIR`; with MongoDB it must be set, to the same value on every instance.
        jwt_secret: Option<SigningSecret> = {
            name: "JWT_SECRET", aliases: &[alias("SECRET_KEY")], flag: "jwt-secret",
            file: file(&["JWT_SECRET_FILE", "SECRET_KEY_FILE"], "jwt-secret-file"),
        };
        /// Another secret that is accepted and signs nothing, while `JWT_SECRET` is replaced: the one before, or the
        /// next one. `docs/guides/secrets.md` has the steps of a replacement, and says what it keeps.
        jwt_secret_previous: Option<SigningSecret> = {
            name: "JWT_SECRET_PREVIOUS", flag: "jwt-secret-previous",
            file: file(&["JWT_SECRET_PREVIOUS_FILE"], "jwt-secret-previous-file"),
        };
        /// The algorithm that signs access tokens. HS384 needs a secret of 48 bytes, HS512 one of 64. Without this
        /// setting it is what the installation began with: EdDSA, with keys that rotate, or HS256 if `JWT_SECRET` was
        /// set then or an earlier version made it. On MongoDB it is HS256 (`docs/guides/secrets.md`).
        jwt_algorithm: Option<TokenAlgorithm> = {
            name: "JWT_ALGORITHM", aliases: &[alias("JWT_ALGO"), alias("ALGORITHM")], flag: "jwt-algorithm",
        };
        /// How long an access token is valid.
        access_token_lifetime: Duration = {
            name: "JWT_EXP_SECONDS", aliases: &[minutes("JWT_EXPIRE_MINUTES"), minutes("TOKEN_LIFETIME")],
            flag: "jwt-exp-seconds", default: "3600", limits: Limits::new(60, 30 * 24 * 3600, Unit::Seconds),
        };
        /// The `iss` of access tokens.
        jwt_issuer: String = {
            name: "JWT_ISSUER", flag: "jwt-issuer", default: "tenantry", limits: Limits::new(1, 255, Unit::One),
        };
        /// The `aud` of access tokens.
        jwt_audience: String = {
            name: "JWT_AUDIENCE", flag: "jwt-audience", default: "tenantry", limits: Limits::new(1, 255, Unit::One),
        };
        /// A JSON file that names the identity providers whose access tokens are accepted, too. It has no secret in
        /// it. See the page on identity providers.
        oidc_issuers_file: Option<PathBuf> = { name: "OIDC_ISSUERS_FILE", flag: "oidc-issuers-file" };
        /// How long a refresh token is valid without being used (14 days).
        refresh_idle_lifetime: Duration = {
            name: "REFRESH_IDLE_LIFETIME", flag: "refresh-idle-lifetime", default: "1209600",
            limits: Limits::new(60, 365 * 24 * 3600, Unit::Seconds),
        };
        /// How long refresh tokens can extend one sign-in, however often they are used (90 days).
        refresh_absolute_lifetime: Duration = {
            name: "REFRESH_ABSOLUTE_LIFETIME", flag: "refresh-absolute-lifetime", default: "7776000",
            limits: Limits::new(60, 3650 * 24 * 3600, Unit::Seconds),
        };
        /// How old the sign-in of a token may be if the token is to change credentials, keys, or who owns an organization.
        reauth_max_age: Duration = {
            name: "REAUTH_MAX_AGE", flag: "reauth-max-age", default: "900", limits: Limits::new(1, 86_400, Unit::Seconds),
        };
    }
    POLICY {
        /// The operator key, as `tenantry operator-key generate` makes it. The first start takes it, instead of making one
        /// and writing it to `operator.key` in `DATA_DIR`; a later start is refused unless it is the key of the
        /// installation, and `tenantry operator-key` puts it in place of that. The commands that talk to a running
        /// server send it; without it they read the file.
        operator_key: Option<Secret> = {
            name: "OPERATOR_KEY", flag: "operator-key", file: file(&["OPERATOR_KEY_FILE"], "operator-key-file"),
        };
        /// Who may create organizations: `open` to anybody, or only with the `operator` key.
        signup: SignupPolicy = { name: "SIGNUP", flag: "signup", default: "open" };
        /// Whether service keys can be exchanged for tokens of an organization. With `off` no key of the
        /// installation opens data; API keys of organizations go on working.
        exchange: bool = { name: "EXCHANGE", flag: "exchange", default: "on" };
        /// What a caller without a token sees of an organization: `full`, a `card` without e-mail address
        /// and container, or nothing (`off`: it needs a token of that organization).
        public_lookup: LookupPolicy = { name: "PUBLIC_LOOKUP", flag: "public-lookup", default: "full" };
        /// How long a deleted organization can be restored; 0 purges at once.
        retention: Duration = {
            name: "RETENTION_DAYS", flag: "retention-days", default: "30", limits: Limits::new(0, 3650, Unit::Days),
        };
        /// How long entries of the audit trail are kept; 0 keeps them for good. Each takes about a kilobyte.
        audit_retention: Duration = {
            name: "AUDIT_RETENTION_DAYS", flag: "audit-retention-days", default: "400",
            limits: Limits::new(0, 3650, Unit::Days),
        };
        /// How many documents a new organization may have in all its collections. Without it there is no
        /// limit. It applies to organizations created from then on; `tenantry org quota` changes the quota of
        /// an existing one.
        default_quota_documents: Option<QuotaLimit> = {
            name: "DEFAULT_QUOTA_DOCUMENTS", flag: "default-quota-documents",
        };
        /// How many bytes the documents of a new organization may take as BSON. Without it there is no limit.
        default_quota_bytes: Option<QuotaLimit> = { name: "DEFAULT_QUOTA_BYTES", flag: "default-quota-bytes" };
        /// How many collections a new organization may have, including `documents`. Without it only the
        /// general limit of 1,000 applies.
        default_quota_collections: Option<QuotaLimit> = {
            name: "DEFAULT_QUOTA_COLLECTIONS", flag: "default-quota-collections",
        };
        /// How many bytes the index entries of a new organization may take. Without it there is no limit.
        default_quota_index_bytes: Option<QuotaLimit> = {
            name: "DEFAULT_QUOTA_INDEX_BYTES", flag: "default-quota-index-bytes",
        };
        /// How many `Idempotency-Key`s an account may use within 24 hours, and a network for sign-ups; the
        /// operator has no limit. One more is answered 429: no response is forgotten before its 24 hours are
        /// over.
        idempotency_keys: u32 = {
            name: "IDEMPOTENCY_KEYS", flag: "idempotency-keys", default: "10000",
            limits: Limits::new(1, 10_000_000, Unit::One),
        };
        /// The minimum length of a password, in characters.
        password_min_length: usize = {
            name: "PASSWORD_MIN_LENGTH", flag: "password-min-length", default: "8", limits: Limits::new(8, 64, Unit::One),
        };
        /// Whether anything is limited by its rate: attempts to sign in, creates, mails, and requests as the next
        /// settings say. `off` is for tests.
        rate_limit: bool = { name: "RATE_LIMIT", flag: "rate-limit", default: "on" };
        /// How many requests a minute one IPv4 address, or one /64 of IPv6, may send to an instance, all at once
        /// or spread over the minute; 0 is without limit. One more is answered 429. It does not apply to this
        /// machine's own addresses, to `TRUSTED_PROXIES` and to `RATE_LIMIT_EXEMPT`.
        rate_limit_address: u32 = {
            name: "RATE_LIMIT_ADDRESS", flag: "rate-limit-address", default: "60000",
            limits: Limits::new(0, 60_000_000, Unit::One),
        };
        /// The same for one account, in all its sessions and organizations.
        rate_limit_account: u32 = {
            name: "RATE_LIMIT_ACCOUNT", flag: "rate-limit-account", default: "6000",
            limits: Limits::new(0, 60_000_000, Unit::One),
        };
        /// The same for one organization: its members, its API keys, and exchanged tokens.
        rate_limit_organization: u32 = {
            name: "RATE_LIMIT_ORGANIZATION", flag: "rate-limit-organization", default: "60000",
            limits: Limits::new(0, 60_000_000, Unit::One),
        };
        /// The same for one API key or service key. Tokens that a service key is exchanged for count for their
        /// organization alone.
        rate_limit_key: u32 = {
            name: "RATE_LIMIT_KEY", flag: "rate-limit-key", default: "60000",
            limits: Limits::new(0, 60_000_000, Unit::One),
        };
        /// The networks whose addresses `RATE_LIMIT_ADDRESS` does not limit, such as that of your backends.
        rate_limit_exempt: Vec<Network> = { name: "RATE_LIMIT_EXEMPT", flag: "rate-limit-exempt" };
    }
    DOCUMENTS {
        /// The largest document, as BSON; as JSON it may be six times as large. MongoDB takes at most 16 MiB,
        /// including what the service adds.
        max_document_bytes: usize = {
            name: "MAX_DOCUMENT_KIB", flag: "max-document-kib", default: "1024",
            limits: Limits::new(1, 15 * 1024, Unit::Kibibytes),
        };
        /// How long a query of documents may take.
        query_timeout: Duration = {
            name: "QUERY_TIMEOUT", flag: "query-timeout", default: "5", limits: Limits::new(1, 60, Unit::Seconds),
        };
        /// A query that has to examine more documents than this, because no index serves it, says so in its
        /// response.
        full_scan_notice: u64 = {
            name: "FULL_SCAN_NOTICE", flag: "full-scan-notice", default: "1000",
            limits: Limits::new(0, 1_000_000_000, Unit::One),
        };
    }
    CAPACITY {
        /// Threads that hash passwords; 0 is half of the cores, at least one.
        hash_threads: usize = {
            name: "HASH_THREADS", flag: "hash-threads", default: "0", limits: Limits::new(0, 1024, Unit::One),
        };
        /// Passwords that may wait for a thread; one more is answered 503.
        hash_queue: usize = {
            name: "HASH_QUEUE", flag: "hash-queue", default: "512", limits: Limits::new(1, 100_000, Unit::One),
        };
        /// Memory for the cache of records; 0 turns the cache off.
        cache_bytes: u64 = {
            name: "CACHE_MIB", flag: "cache-mib", default: "64", limits: Limits::new(0, 65_536, Unit::Mebibytes),
        };
        /// How many requests for documents of one organization run at once while other organizations send
        /// some too; the others wait. 0 is four for each core. On the embedded engine, at most half as many
        /// reads as there are cores run at once. An organization that is alone is not limited.
        organization_share: usize = {
            name: "ORGANIZATION_SHARE", flag: "organization-share", default: "0",
            limits: Limits::new(0, 10_000, Unit::One),
        };
        /// Connections that read the embedded engine at the same time.
        readers: usize = { name: "READERS", flag: "readers", default: "4", limits: Limits::new(1, 256, Unit::One) };
        /// Connections of clients that are open at the same time.
        max_connections: usize = {
            name: "MAX_CONNECTIONS", flag: "max-connections", default: "4096",
            limits: Limits::new(1, 1_000_000, Unit::One),
        };
        /// Requests that are worked on at the same time; one more is answered 503 at once. A request does not
        /// count while it waits for its body, and the probes never do.
        max_concurrent_requests: usize = {
            name: "MAX_CONCURRENT_REQUESTS", flag: "max-concurrent-requests", default: "1024",
            limits: Limits::new(1, 1_000_000, Unit::One),
        };
        /// Connections that are open at the same time from one IPv4 address, or from one /64 of IPv6; one more
        /// is closed at once. 0 is a quarter of `MAX_CONNECTIONS`, and at least 64. `TRUSTED_PROXIES` have no such limit.
        max_connections_per_address: usize = {
            name: "MAX_CONNECTIONS_PER_ADDRESS", flag: "max-connections-per-address", default: "0",
            limits: Limits::new(0, 1_000_000, Unit::One),
        };
        /// Memory for lines of documents that have arrived and are not stored yet, for all organizations
        /// together. One organization may use a quarter of it, and its first 64 KiB even if the others use
        /// all that long lines may take (15/16). A connection without room is not read until there is some,
        /// and is answered 503 after half of `REQUEST_TIMEOUT`. It is never less than 1 MiB plus four of the
        /// longest lines.
        bulk_memory_bytes: usize = {
            name: "BULK_MEMORY_MIB", flag: "bulk-memory-mib", default: "256",
            limits: Limits::new(1, 65_536, Unit::Mebibytes),
        };
        /// The largest body of a request without documents. A body with a document may be as large as the
        /// largest document can be as JSON.
        max_body_bytes: usize = {
            name: "MAX_BODY_KIB", flag: "max-body-kib", default: "64", limits: Limits::new(1, 16_384, Unit::Kibibytes),
        };
    }
    MAIL {
        /// The mail server: `smtps://user@mail.example.com` (TLS, port 465), or `smtp://user@mail.example.com`
        /// (STARTTLS, which the server must offer, port 587). Special characters of user and password are
        /// percent-encoded. `?tls=off` sends without TLS (port 25), for a server on this machine. Without this
        /// setting no mail is sent, and links are brought by hand. It needs `MAIL_FROM` and `PUBLIC_URL`.
        smtp_url: Option<SmtpUrl> = {
            name: "SMTP_URL", flag: "smtp-url", file: file(&["SMTP_URL_FILE"], "smtp-url-file"),
        };
        /// The password of the user in `SMTP_URL`, if it is not there.
        smtp_password: Option<Secret> = {
            name: "SMTP_PASSWORD", flag: "smtp-password", file: file(&["SMTP_PASSWORD_FILE"], "smtp-password-file"),
        };
        /// Whom mails come from: an address, perhaps with a name (`Acme <no-reply@acme.example>`).
        mail_from: Option<MailFrom> = { name: "MAIL_FROM", flag: "mail-from" };
        /// A directory with templates that replace those of the service; see docs/guides/mail.md.
        mail_templates: Option<PathBuf> = { name: "MAIL_TEMPLATES", flag: "mail-templates" };
    }
    LOGS {
        /// The level of the least important events that are logged.
        log_level: LogLevel = { name: "LOG_LEVEL", flag: "log-level", default: "info" };
        /// The format of log lines: `text` for people, `json` for log collectors.
        log_format: LogFormat = { name: "LOG_FORMAT", flag: "log-format", default: "text" };
        /// Which requests have a line in the log at the level `info`: those that changed something or were refused
        /// (`changes`), or `all`. Other reads have the level `debug`. The line has the client's address, as
        /// `TRUSTED_PROXIES` let it be known, and the id of the organization.
        log_requests: LogRequests = { name: "LOG_REQUESTS", flag: "log-requests", default: "changes" };
        /// Who may read `/metrics`: `open` to anybody, only with the `operator` key, or `off`.
        metrics: MetricsPolicy = { name: "METRICS", flag: "metrics", default: "open" };
    }
    OPENTELEMETRY {
        /// Where traces and metrics are sent by OTLP (HTTP with Protocol Buffers): the URL of a collector, to which
        /// `/v1/traces` and `/v1/metrics` are added. Without it nothing is sent.
        otlp_endpoint: Option<Url> = {
            name: "OTEL_EXPORTER_OTLP_ENDPOINT", flag: "otel-exporter-otlp-endpoint",
        };
        /// Headers that are sent to the collector, as `name=value`, separated by commas; characters of the value
        /// may be percent-encoded.
        otlp_headers: Option<Secret> = {
            name: "OTEL_EXPORTER_OTLP_HEADERS", flag: "otel-exporter-otlp-headers",
            file: file(&["OTEL_EXPORTER_OTLP_HEADERS_FILE"], "otel-exporter-otlp-headers-file"),
        };
        /// What the service is called in traces and metrics.
        otlp_service_name: String = {
            name: "OTEL_SERVICE_NAME", flag: "otel-service-name", default: "tenantry",
            limits: Limits::new(1, 255, Unit::One),
        };
        /// The share of requests that are traced, from 0 to 1. A request with a `traceparent` is traced if its
        /// caller's is, regardless of this (`parentbased_traceidratio`).
        otlp_sample_ratio: SampleRatio = {
            name: "OTEL_TRACES_SAMPLER_ARG", flag: "otel-traces-sampler-arg", default: "1",
        };
        /// How often metrics are sent, in milliseconds.
        otlp_metric_interval_millis: u64 = {
            name: "OTEL_METRIC_EXPORT_INTERVAL", flag: "otel-metric-export-interval", default: "60000",
            limits: Limits::new(100, 3_600_000, Unit::One),
        };
    }
    COMMAND_LINE {
        /// The running server that the operator's commands, such as `tenantry org`, talk to.
        server_url: Url = { name: "SERVER_URL", flag: "server-url", default: "http://127.0.0.1:8000" };
    }
}
