//! The writer under every kind of failure. A job that waits holds the thread, so that the jobs behind it form
//! one batch.

use super::*;
use rusqlite::ffi;
use std::path::Path;
use tempfile::TempDir;
use tenantry_domain::ErrorCode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle as Task;

struct Subject {
    writer: Arc<Writer>,
    directory: TempDir,
}

impl Subject {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("test.db");
        File::create(&file).unwrap();
        let connection = connection::open_untouched(&file).unwrap();
        connection::configure_writer(&connection).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE names (name TEXT PRIMARY KEY) STRICT;
                 CREATE TABLE children (name TEXT REFERENCES names (name) DEFERRABLE INITIALLY DEFERRED) STRICT;",
            )
            .unwrap();
        let lock = File::create(directory.path().join("lock")).unwrap();
        let writer = Arc::new(Writer::start(file, connection, lock).unwrap());
        Self { writer, directory }
    }

    /// Queues a job; it has its place before this returns.
    async fn queue(
        &self,
        work: impl FnOnce(&Connection) -> EngineResult<()> + Send + 'static,
    ) -> Task<Result<()>> {
        let jobs = QUEUE_JOBS - self.writer.places.available_permits();
        let writer = self.writer.clone();
        let task = tokio::spawn(async move { writer.write(work).await });
        while QUEUE_JOBS - self.writer.places.available_permits() == jobs {
            tokio::task::yield_now().await;
        }
        task
    }

    /// Holds the thread until the returned value is dropped.
    async fn hold(&self) -> Sender<()> {
        let (release, released) = channel::<()>();
        let (started, starting) = oneshot::channel();
        let writer = self.writer.clone();
        tokio::spawn(async move {
            let work = move |_: &Connection| {
                let _ = started.send(());
                let _ = released.recv();
                Ok(())
            };
            writer.write(work).await
        });
        starting.await.unwrap();
        release
    }

    /// The outcomes of `jobs`, which all run in one batch.
    async fn in_one_batch(&self, jobs: Vec<Work>) -> Vec<Result<()>> {
        let before = self.writer.counts();
        let hold = self.hold().await;
        let mut tasks = Vec::new();
        for job in jobs {
            tasks.push(self.queue(job).await);
        }
        drop(hold);
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        assert_eq!(self.writer.counts().batches, before.batches + 2, "one for the hold, one for the jobs");
        outcomes
    }

    /// Every name that is stored, as another connection sees it.
    fn names(&self) -> Vec<String> {
        let reader = connection::open_reader(&self.directory.path().join("test.db")).unwrap();
        let mut statement = reader.prepare("SELECT name FROM names ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

type Work = Box<dyn FnOnce(&Connection) -> EngineResult<()> + Send>;

fn name(name: &str) -> Work {
    let name = name.to_owned();
    Box::new(move |connection| {
        connection.execute("INSERT INTO names (name) VALUES (?1)", [name])?;
        Ok(())
    })
}

/// Writes, then fails with that code of SQLite.
fn failing(code: i32) -> Work {
    Box::new(move |connection| {
        connection.execute("INSERT INTO names (name) VALUES ('undone')", [])?;
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
    })
}

fn codes(outcomes: &[Result<()>]) -> Vec<Option<ErrorCode>> {
    outcomes.iter().map(|outcome| outcome.as_ref().err().map(Error::code)).collect()
}

#[tokio::test]
async fn writer_commits_waiting_jobs_together() {
    let subject = Subject::new();
    let outcomes = subject.in_one_batch((0..100).map(|i| name(&format!("{i:03}"))).collect()).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(subject.names().len(), 100);
}

#[tokio::test]
async fn writer_failed_job_undoes_only_itself() {
    let subject = Subject::new();
    let refused: Work = Box::new(|connection| {
        connection.execute("INSERT INTO names (name) VALUES ('undone')", [])?;
        Err(Error::new(ErrorCode::NameTaken).into())
    });
    let panicking: Work = Box::new(|connection| {
        connection.execute("INSERT INTO names (name) VALUES ('undone')", [])?;
        panic!("a defect");
    });
    let jobs = vec![name("a"), refused, name("b"), panicking, name("a"), name("c")];
    let outcomes = subject.in_one_batch(jobs).await;
    let (taken, internal) = (Some(ErrorCode::NameTaken), Some(ErrorCode::Internal));
    assert_eq!(codes(&outcomes), [None, taken, None, internal, internal, None]);
    assert_eq!(subject.names(), ["a", "b", "c"]);
}

#[tokio::test]
async fn writer_failed_commit_fails_every_job_of_the_batch() {
    let subject = Subject::new();
    let orphan: Work = Box::new(|connection| {
        connection.execute("INSERT INTO children (name) VALUES ('nobody')", [])?;
        Ok(())
    });
    // The second `a` would be refused, but the first one is rolled back too.
    let outcomes = subject.in_one_batch(vec![name("a"), name("a"), orphan]).await;
    assert_eq!(codes(&outcomes), [Some(ErrorCode::StoreUnavailable); 3]);
    assert_eq!(subject.names(), [""; 0]);
    assert_eq!(subject.writer.counts().failed_batches, 1);
    subject.writer.write(name("a")).await.unwrap();
    assert_eq!(subject.names(), ["a"]);
}

#[tokio::test]
async fn writer_batch_fails_on_full_disk_and_recovers() {
    let subject = Subject::new();
    let limit = |pages: &'static str| -> Work {
        Box::new(move |connection| {
            Ok(connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
        })
    };
    subject.writer.write(limit("1")).await.unwrap();
    let large = name(&"x".repeat(100_000));
    let outcomes = subject.in_one_batch(vec![name("a"), large, name("b")]).await;
    assert_eq!(codes(&outcomes), [Some(ErrorCode::StoreUnavailable); 3]);
    assert!(outcomes[0].as_ref().unwrap_err().cause().unwrap().contains("full"));

    subject.writer.write(limit("1000000")).await.unwrap();
    subject.writer.write(name(&"x".repeat(100_000))).await.unwrap();
    assert_eq!(subject.names().len(), 1);
}

#[tokio::test]
async fn writer_replaces_connection_after_disk_error() {
    for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOMEM, ffi::SQLITE_READONLY] {
        let subject = Subject::new();
        let mark: Work = Box::new(|c| Ok(c.execute_batch("CREATE TEMP TABLE mark (a)")?));
        let is_marked: Work = Box::new(|c| Ok(c.execute_batch("SELECT a FROM mark")?));
        subject.writer.write(mark).await.unwrap();
        let outcomes = subject.in_one_batch(vec![name("a"), failing(code), name("b")]).await;
        assert_eq!(codes(&outcomes), [Some(ErrorCode::StoreUnavailable); 3]);

        subject.writer.write(name("c")).await.unwrap();
        assert_eq!(subject.names(), ["c"]);
        subject.writer.write(is_marked).await.expect_err("this is another connection");
        assert_eq!(
            configuration(&subject).await,
            (2, "wal".to_owned(), 1),
            "and set up as the first one was"
        );
    }
}

/// `synchronous`, `journal_mode` and `foreign_keys` of the writer's connection.
async fn configuration(subject: &Subject) -> (i64, String, i64) {
    let read = |connection: &Connection| {
        let synchronous = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let journal = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let foreign_keys = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
        Ok((synchronous, journal, foreign_keys))
    };
    subject.writer.write(read).await.unwrap()
}

#[tokio::test]
async fn writer_fails_while_file_is_missing_and_recovers() {
    let subject = Subject::new();
    let (file, away) = (subject.directory.path().join("test.db"), subject.directory.path().join("away"));
    subject.writer.write(name("a")).await.unwrap();
    subject.writer.write(failing(ffi::SQLITE_IOERR)).await.unwrap_err();

    let swap = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    swap(&file, &away);
    for _ in 0..2 {
        let error = subject.writer.write(name("b")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::StoreUnavailable);
    }
    swap(&away, &file);
    subject.writer.write(name("b")).await.unwrap();
    assert_eq!(subject.names(), ["a", "b"]);
}

#[tokio::test]
async fn writer_runs_queued_job_without_its_caller() {
    let subject = Subject::new();
    let hold = subject.hold().await;
    let abandoned = subject.queue(name("a")).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    drop(hold);
    subject.writer.write(name("b")).await.unwrap();
    assert_eq!(subject.names(), ["a", "b"]);
}

#[tokio::test]
async fn writer_close_finishes_queued_jobs_and_refuses_later_ones() {
    let subject = Subject::new();
    let hold = subject.hold().await;
    let queued = subject.queue(name("a")).await;
    let writer = subject.writer.clone();
    let closing = tokio::task::spawn_blocking(move || writer.close());
    drop(hold);
    closing.await.unwrap();
    queued.await.unwrap().unwrap();
    let error = subject.writer.write(name("b")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreUnavailable);
    let log = subject.directory.path().join("test.db-wal");
    assert!(!log.exists(), "the log is folded in and gone");
    assert_eq!(subject.names(), ["a"]);
}

#[tokio::test]
async fn writer_truncates_log_when_idle() {
    let subject = Subject::new();
    subject.writer.write(name("a")).await.unwrap();
    let log = subject.directory.path().join("test.db-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    assert_ne!(length(), 0);
    let deadline = tokio::time::Instant::now() + 10 * IDLE_TIMEOUT;
    while length() != 0 {
        assert!(tokio::time::Instant::now() < deadline, "the log still has {} bytes", length());
        tokio::time::sleep(IDLE_TIMEOUT / 20).await;
    }
}
