//! A whole service for one test: its own data directory, its own clock, a real socket.

use super::client::{Client, DOCUMENT, plain_http};
use super::test_env::TestEnv;
use jiff::Timestamp;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tenantry::config::{Config, flags};
use tenantry::listening;
use tenantry::service::Service;
use tenantry::system::SystemEntropy;
use tenantry_api::listen;
use tenantry_domain::app::{App as UseCases, operator};
use tenantry_domain::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// When the clocks of tests begin, in milliseconds: 2027-01-15, 08:00 UTC.
const START: i64 = 1_800_000_000_000;

/// A clock that only tests move.
pub struct TestClock(AtomicI64);

impl TestClock {
    /// Moves back, as a clock does that is corrected.
    pub fn set_back(&self, span: Duration) {
        self.0.fetch_sub(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// The moment, in milliseconds.
    pub fn milliseconds(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves on.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// How to run the service: flags beside the data directory and the port.
pub struct Setup {
    flags: Vec<String>,
    clock: i64,
}

impl Default for Setup {
    fn default() -> Self {
        Self { flags: Vec::new(), clock: START }
    }
}

impl Setup {
    /// With this flag, as `--name=value`.
    pub fn with(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// With a clock that begins at that moment, in milliseconds.
    pub fn at_time(mut self, clock: i64) -> Self {
        self.clock = clock;
        self
    }

    /// With throttling off.
    pub fn unlimited() -> Self {
        Self::default().with("--rate-limit=off")
    }

    /// Starts the service.
    pub async fn start(self) -> App {
        self.start_on(TestEnv::new()).await
    }

    /// Starts the service on what is there.
    pub async fn start_on(self, test_env: TestEnv) -> App {
        App::open(test_env, self.flags, Arc::new(TestClock(AtomicI64::new(self.clock)))).await
    }
}

/// A running service.
pub struct App {
    /// Moves when a test says so.
    pub clock: Arc<TestClock>,
    address: SocketAddr,
    test_env: TestEnv,
    flags: Vec<String>,
    http: reqwest::Client,
    use_cases: Arc<UseCases>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl App {
    /// With throttling off and everything else as it comes.
    pub async fn start() -> Self {
        Self::at(TestEnv::new()).await
    }

    /// On what is there, with throttling off.
    pub async fn at(test_env: TestEnv) -> Self {
        Setup::unlimited().start_on(test_env).await
    }

    /// What a start on what is there is refused with.
    #[allow(dead_code, reason = "the embedded engine's tests start the binary for it")]
    pub async fn refused_at(test_env: &TestEnv) -> String {
        let config = config(test_env, &[]);
        let clock = Arc::new(TestClock(AtomicI64::new(START)));
        match Service::start(&config, clock, Arc::new(SystemEntropy)).await {
            Ok(_) => panic!("it starts"),
            Err(refusal) => refusal.to_string(),
        }
    }

    /// Stops it cleanly; what it leaves.
    pub async fn stop(self) -> TestEnv {
        let Self { test_env, http, use_cases, stop, running, .. } = self;
        // An open connection and a reference to the application would each outlive the stop.
        drop((http, use_cases));
        stop.send(()).unwrap();
        running.await.unwrap();
        test_env
    }

    async fn open(test_env: TestEnv, flags: Vec<String>, clock: Arc<TestClock>) -> Self {
        let config = config(&test_env, &flags);
        let service = Service::start(&config, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemEntropy))
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (options, _) = listening::options(&config).await.unwrap();
        let use_cases = Arc::clone(&service.app);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            listen::serve(listener, service.handlers.clone(), options, stopped).await;
            service.stop().await;
        });
        let http = plain_http();
        Self { clock, address, test_env, flags, http, use_cases, stop, running }
    }

    /// A further instance on the same database, with the same settings and clock.
    pub async fn another(&self) -> Self {
        Self::open(self.test_env.clone(), self.flags.clone(), Arc::clone(&self.clock)).await
    }

    /// Stops it cleanly and starts it again on the same data.
    pub async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// Stops it cleanly, lets `edit` have what it keeps, and starts it again.
    pub async fn restart_after(self, edit: impl FnOnce(&TestEnv)) -> Self {
        let (clock, flags) = (Arc::clone(&self.clock), self.flags.clone());
        let test_env = self.stop().await;
        edit(&test_env);
        Self::open(test_env, flags, clock).await
    }

    /// A client without a credential.
    pub fn client(&self) -> Client {
        Client::new(self.http.clone(), format!("http://{}", self.address))
    }

    /// A client with the operator key.
    pub fn operator(&self) -> Client {
        let key = std::fs::read_to_string(self.data_dir().join("operator.key")).unwrap();
        assert!(operator::is_well_formed(key.trim()));
        self.client().with_token(key.trim())
    }

    /// The OpenAPI document of the service.
    pub fn document(&self) -> &Value {
        &DOCUMENT
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.test_env.data_dir()
    }

    /// Where it keeps everything, on either engine.
    pub fn test_env(&self) -> &TestEnv {
        &self.test_env
    }

    /// `host:port`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Moves the clock on.
    pub fn advance_days(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 24 * 3600));
    }

    /// Moves the clock on by seconds.
    pub fn advance_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// One round of what the service does by itself at intervals.
    pub async fn maintain(&self) {
        self.use_cases.maintenance.run().await.unwrap();
    }

    /// One round of removing expired documents.
    pub async fn expire(&self) {
        self.use_cases.expirer.run().await.unwrap();
    }

    /// Passwords that wait for a thread to hash them.
    pub fn waiting_hashes(&self) -> usize {
        self.use_cases.waiting_hashes()
    }
}

fn config(test_env: &TestEnv, more: &[String]) -> Config {
    let mut arguments = vec!["tenantry".to_owned()];
    arguments.extend(test_env.flags());
    // A test may ask for another.
    arguments.retain(|flag| !more.iter().any(|other| name_of(other) == name_of(flag)));
    arguments.extend_from_slice(more);
    let matches = flags(clap::Command::new("tenantry")).get_matches_from(arguments);
    Config::load(&matches, std::iter::empty(), None).unwrap()
}

fn name_of(flag: &str) -> &str {
    flag.split('=').next().unwrap_or_default()
}
