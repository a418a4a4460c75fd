//! The engines under test, each with what the contracts need beside the ports: time that passes when a test
//! says so, and a way to put documents into a container.

mod embedded;
#[cfg(feature = "mongodb")]
mod mongodb;

use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::Store;

/// A kind of store.
#[async_trait]
trait Engine {
    /// What a failure calls it.
    fn name(&self) -> &'static str;

    /// An empty one.
    async fn start(&self) -> Box<dyn Running>;
}

/// A store that runs.
#[async_trait]
pub trait Running: Send + Sync {
    /// The ports.
    fn store(&self) -> &Store;

    /// Whether nobody else can have it at the same time.
    fn is_one_process(&self) -> bool;

    /// Lets leases be older by so much, by the engine's own clock.
    async fn let_pass(&self, span: Duration);

    /// Puts as many documents into a container, beside those that are there.
    async fn add_documents(&self, organization: &Organization, documents: u32);

    /// Ends it.
    async fn stop(self: Box<Self>);
}

/// All of them; MongoDB's records are the same in each placement, so one of them is enough for all but
/// containers.
fn engines() -> Vec<Box<dyn Engine>> {
    #[cfg(feature = "mongodb")]
    if !is_embedded_only() {
        return embedded::engines().into_iter().chain([mongodb::engine()]).collect();
    }
    embedded::engines()
}

/// All of them, in every placement they have.
fn placements() -> Vec<Box<dyn Engine>> {
    #[cfg(feature = "mongodb")]
    if !is_embedded_only() {
        return embedded::engines().into_iter().chain(mongodb::placements()).collect();
    }
    embedded::engines()
}

/// All of them that have transactions, in every placement.
fn transactional() -> Vec<Box<dyn Engine>> {
    #[cfg(feature = "mongodb")]
    if !is_embedded_only() {
        return embedded::engines().into_iter().chain(mongodb::replicated_placements()).collect();
    }
    embedded::engines()
}

/// Whether this is a quick run, on the engine that needs no server (`cargo xtask ci --fast`).
#[cfg(feature = "mongodb")]
#[expect(clippy::disallowed_methods, reason = "no setting: what the tests run on")]
fn is_embedded_only() -> bool {
    std::env::var_os("TENANTRY_TEST_EMBEDDED_ONLY").is_some()
}

/// A started engine.
pub struct Subject {
    /// The ports.
    pub store: Store,
    /// The engine.
    pub engine: Box<dyn Running>,
}

/// Runs `test` against an empty store of every engine, on several threads.
pub fn on_every_engine<F>(test: impl Fn(Arc<Subject>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    engines().iter().for_each(|engine| run(&**engine, &test));
}

/// Runs `test` against an empty store of every engine in every placement, on several threads.
pub fn in_every_placement<F>(test: impl Fn(Arc<Subject>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    placements().iter().for_each(|engine| run(&**engine, &test));
}

/// Runs `test` against an empty store of every engine that has transactions, in every placement, on several threads.
pub fn with_transactions<F>(test: impl Fn(Arc<Subject>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    transactional().iter().for_each(|engine| run(&**engine, &test));
}

fn run<F>(engine: &dyn Engine, test: impl Fn(Arc<Subject>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(4).enable_all().build().unwrap().block_on(async {
        let running = engine.start().await;
        let subject = Arc::new(Subject { store: running.store().clone(), engine: running });
        let outcome = tokio::spawn(test(subject.clone())).await;
        assert!(outcome.is_ok(), "fails on the engine: {}", engine.name());
        let subject = Arc::into_inner(subject).expect("a test waits for all that it has started");
        subject.engine.stop().await;
    });
}

/// Runs as many tasks at the same time; what each came to, in their order.
pub async fn in_parallel<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(task(number))).collect();
    let mut outcomes = Vec::with_capacity(count);
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}
