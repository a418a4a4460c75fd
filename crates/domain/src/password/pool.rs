//! The pool that hashes passwords: a few threads of its own behind a bounded queue.
//!
//! A hash takes a core for milliseconds and 19 MiB of memory. On the threads that serve requests it would
//! block everything else; with a thread for each request it would use up all memory. A longer queue makes
//! nobody's sign-in faster: when the queue is full, the caller is told when to try again.

use super::hash::{self, AllocationHook, Argon2Memory, PasswordCheck, SALT_BYTES};
use super::policy::{NewPassword, PresentedPassword};
use crate::error::{Error, ErrorCode, Result};
use crate::failpoints;
use crate::metrics::PASSWORD_HASH_DURATION;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_secs(1);
/// The assumed cost of a job before the first one is measured.
const FIRST_GUESS: Duration = Duration::from_millis(20);
/// The weight of the newest job in the moving average of the cost: one part in this many.
const AVERAGE_OVER: u32 = 8;

/// Threads that hash passwords, oldest request first. Dropping it ends them.
pub struct HashPool {
    shared: Arc<PoolState>,
    threads: Vec<JoinHandle<()>>,
}

impl HashPool {
    /// Starts `threads` threads with a queue of at most `queue` requests. They allocate their memory within
    /// `allocation_hook`.
    ///
    /// # Panics
    /// If the operating system starts no thread.
    #[must_use]
    pub fn start(threads: usize, queue: usize, allocation_hook: AllocationHook) -> Self {
        let shared = Arc::new(PoolState::new(threads, queue));
        let threads = (0..threads)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::Builder::new()
                    .name(format!("hash-{number}"))
                    .spawn(move || shared.work(allocation_hook))
                    .expect("the operating system starts a thread when the service starts")
            })
            .collect();
        Self { shared, threads }
    }

    /// The hash to store for a new password.
    ///
    /// # Errors
    /// `sign_in_busy`, with the time after which a place in the queue is likely.
    pub async fn hash(&self, password: NewPassword, salt: [u8; SALT_BYTES]) -> Result<String> {
        let (reply, answer) = oneshot::channel();
        self.shared.submit(HashJob::Hash { password, salt, reply })?;
        answer.await.map_err(|_| lost())
    }

    /// Whether `password` is the one that `stored` was made from. Without a stored hash (there is no such
    /// account) the result is no match, after just as long.
    ///
    /// # Errors
    /// `sign_in_busy`, with the time after which a place in the queue is likely.
    pub async fn verify(&self, password: PresentedPassword, stored: Option<String>) -> Result<PasswordCheck> {
        let (reply, answer) = oneshot::channel();
        self.shared.submit(HashJob::Verify { password, stored, reply })?;
        answer.await.map_err(|_| lost())?
    }

    /// How many requests wait for a thread.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shared.lock().jobs.len()
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has already reported it.
            let _ = thread.join();
        }
    }
}

fn lost() -> Error {
    Error::internal("a password job ended without an answer")
}

enum HashJob {
    Hash {
        password: NewPassword,
        salt: [u8; SALT_BYTES],
        reply: oneshot::Sender<String>,
    },
    Verify {
        password: PresentedPassword,
        stored: Option<String>,
        reply: oneshot::Sender<Result<PasswordCheck>>,
    },
}

impl HashJob {
    /// Whether nobody waits for the result any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash { reply, .. } => reply.is_closed(),
            Self::Verify { reply, .. } => reply.is_closed(),
        }
    }

    fn run(self, memory: &mut Argon2Memory) {
        // The caller may have gone; then nobody needs the result.
        match self {
            Self::Hash { password, salt, reply } => drop(reply.send(hash::hash(&password, salt, memory))),
            Self::Verify { password, stored, reply } => {
                let verdict = hash::verify(&password, stored.as_deref().unwrap_or(hash::decoy()), memory);
                // The decoy should match nothing, but this must not depend on luck.
                let verdict =
                    if stored.is_some() { verdict } else { verdict.map(|_| PasswordCheck::NoMatch) };
                drop(reply.send(verdict));
            }
        }
    }
}

/// The state that threads and callers share.
struct PoolState {
    queue: Mutex<HashQueue>,
    /// A job came, or the queue was closed.
    changed: Condvar,
    capacity: usize,
    threads: usize,
    idle: Duration,
}

struct HashQueue {
    jobs: VecDeque<HashJob>,
    /// The cost of a job, as a moving average.
    cost: Duration,
    closed: bool,
}

impl PoolState {
    fn new(threads: usize, capacity: usize) -> Self {
        let queue = HashQueue { jobs: VecDeque::new(), cost: FIRST_GUESS, closed: false };
        Self { queue: Mutex::new(queue), changed: Condvar::new(), capacity, threads, idle: IDLE }
    }

    fn lock(&self) -> MutexGuard<'_, HashQueue> {
        // Nothing that can panic runs under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, job: HashJob) -> Result<()> {
        let mut queue = self.lock();
        if queue.jobs.len() >= self.capacity {
            queue.jobs.retain(|job| !job.is_abandoned());
        }
        if queue.jobs.len() >= self.capacity {
            return Err(Error::new(ErrorCode::SignInBusy).retry_after(self.time_to_drain(&queue)));
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// How long the waiting jobs will take, in whole seconds, at least one.
    fn time_to_drain(&self, queue: &HashQueue) -> Duration {
        let jobs = u32::try_from(queue.jobs.len()).unwrap_or(u32::MAX);
        let threads = u32::try_from(self.threads).unwrap_or(u32::MAX).max(1);
        let seconds = (queue.cost.saturating_mul(jobs) / threads).as_secs_f64().ceil();
        Duration::from_secs_f64(seconds.max(1.0))
    }

    /// The main function of a thread. It restarts after a panic outside a job: otherwise jobs would wait for
    /// a thread that is gone.
    fn work(&self, allocation_hook: AllocationHook) {
        while catch_unwind(AssertUnwindSafe(|| self.work_off(allocation_hook))).is_err() {
            tracing::error!("a thread that hashes passwords has panicked and goes on");
        }
    }

    /// Runs jobs until the pool ends.
    fn work_off(&self, allocation_hook: AllocationHook) {
        let mut memory = Argon2Memory::new(allocation_hook);
        while let Some(job) = self.next(&mut memory) {
            let began = Instant::now();
            // A panic must cost one result, not a thread.
            if catch_unwind(AssertUnwindSafe(|| job.run(&mut memory))).is_err() {
                memory = Argon2Memory::new(allocation_hook);
            }
            self.record(began.elapsed());
        }
    }

    /// The oldest job that somebody waits for, when there is one; `None` when the pool ends.
    fn next(&self, memory: &mut Argon2Memory) -> Option<HashJob> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            match queue.jobs.pop_front() {
                Some(job) if job.is_abandoned() => {}
                Some(job) => return Some(job),
                None => queue = self.wait(queue, memory),
            }
        }
    }

    /// Waits for a job, and frees the memory if none comes for long enough.
    fn wait<'a>(
        &'a self,
        queue: MutexGuard<'a, HashQueue>,
        memory: &mut Argon2Memory,
    ) -> MutexGuard<'a, HashQueue> {
        if !memory.is_held() {
            return self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let (queue, waited) =
            self.changed.wait_timeout(queue, self.idle).unwrap_or_else(PoisonError::into_inner);
        if !waited.timed_out() {
            return queue;
        }
        drop(queue);
        memory.release();
        self.lock()
    }

    fn record(&self, cost: Duration) {
        failpoints::point("worker", "hash_pool", "record");
        metrics::histogram!(PASSWORD_HASH_DURATION).record(cost.as_secs_f64());
        let mut queue = self.lock();
        queue.cost = (queue.cost * (AVERAGE_OVER - 1) + cost) / AVERAGE_OVER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    const RIGHT: &str = "securepassword123";

    fn new_password() -> NewPassword {
        NewPassword::parse(RIGHT, 8).unwrap()
    }

    fn presented(text: &str) -> PresentedPassword {
        PresentedPassword::new(text)
    }

    /// Polls a request once: it gets into the queue, or is refused.
    fn begin<T>(request: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        request.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A pool whose queue is never emptied.
    fn stalled(queue: usize) -> HashPool {
        HashPool::start(0, queue, |take| take())
    }

    #[tokio::test]
    async fn hash_pool_hashes_and_verifies() {
        let pool = HashPool::start(2, 8, |take| take());
        let stored = pool.hash(new_password(), [7; SALT_BYTES]).await.unwrap();
        let right = pool.verify(presented(RIGHT), Some(stored.clone())).await.unwrap();
        assert_eq!(right, PasswordCheck::Match { rehash: false });
        let wrong = pool.verify(presented("wrong"), Some(stored)).await.unwrap();
        assert_eq!(wrong, PasswordCheck::NoMatch);
        assert_eq!(pool.depth(), 0);
    }

    #[tokio::test]
    async fn hash_pool_verifies_no_password_without_an_account() {
        let pool = HashPool::start(1, 8, |take| take());
        assert_eq!(pool.verify(presented(RIGHT), None).await.unwrap(), PasswordCheck::NoMatch);
        assert_eq!(pool.verify(presented(""), None).await.unwrap(), PasswordCheck::NoMatch);
    }

    #[tokio::test]
    async fn hash_pool_gives_each_parallel_request_its_own_result() {
        let pool = Arc::new(HashPool::start(2, 32, |take| take()));
        let stored = pool.hash(new_password(), [7; SALT_BYTES]).await.unwrap();
        let requests: Vec<_> = (0..16)
            .map(|number| {
                let (pool, stored) = (Arc::clone(&pool), stored.clone());
                let text = if number % 2 == 0 { RIGHT } else { "wrong" };
                tokio::spawn(async move { pool.verify(presented(text), Some(stored)).await })
            })
            .collect();
        for (number, request) in requests.into_iter().enumerate() {
            let expected =
                if number % 2 == 0 { PasswordCheck::Match { rehash: false } } else { PasswordCheck::NoMatch };
            assert_eq!(request.await.unwrap().unwrap(), expected, "request {number}");
        }
    }

    #[test]
    fn hash_pool_refuses_with_wait_when_queue_is_full() {
        let pool = stalled(2);
        let mut first = pin!(pool.hash(new_password(), [0; SALT_BYTES]));
        let mut second = pin!(pool.verify(presented(RIGHT), None));
        let mut third = pin!(pool.verify(presented(RIGHT), None));
        assert!(begin(first.as_mut()).is_pending() && begin(second.as_mut()).is_pending());
        assert_eq!(pool.depth(), 2);
        let Poll::Ready(Err(refusal)) = begin(third.as_mut()) else { panic!("the third is not refused") };
        assert_eq!(refusal.code(), ErrorCode::SignInBusy);
        assert_eq!(refusal.wait(), Some(Duration::from_secs(1)));
        assert_eq!(pool.depth(), 2);
    }

    #[test]
    fn hash_pool_wait_follows_queue_cost_and_threads() {
        let shared = PoolState::new(2, 1000);
        let seconds = |jobs: usize, cost: Duration| {
            let (reply, _) = oneshot::channel();
            let job = HashJob::Hash { password: new_password(), salt: [0; SALT_BYTES], reply };
            let mut queue = HashQueue { jobs: VecDeque::from([job]), cost, closed: false };
            queue.jobs.resize_with(jobs, || {
                let (reply, _) = oneshot::channel();
                HashJob::Hash {
                    password: PresentedPassword::new("").into_verified(),
                    salt: [0; SALT_BYTES],
                    reply,
                }
            });
            shared.time_to_drain(&queue).as_secs()
        };
        assert_eq!(seconds(1, Duration::from_millis(15)), 1);
        assert_eq!(seconds(400, Duration::from_millis(15)), 3);
        assert_eq!(seconds(401, Duration::from_millis(15)), 4);
        assert_eq!(seconds(100, Duration::from_millis(300)), 15);
    }

    #[test]
    fn hash_pool_job_cost_is_a_moving_average() {
        let shared = PoolState::new(1, 1);
        for _ in 0..100 {
            shared.record(Duration::from_millis(240));
        }
        let cost = shared.lock().cost;
        assert!((Duration::from_millis(239)..=Duration::from_millis(240)).contains(&cost), "{cost:?}");
        shared.record(Duration::ZERO);
        assert!(shared.lock().cost < Duration::from_millis(211));
    }

    #[test]
    fn hash_pool_frees_queue_slot_of_canceled_request() {
        let pool = stalled(1);
        {
            let mut gone = Box::pin(pool.verify(presented(RIGHT), None));
            assert!(begin(gone.as_mut()).is_pending());
        }
        assert_eq!(pool.depth(), 1);
        let mut next = pin!(pool.verify(presented(RIGHT), None));
        assert!(begin(next.as_mut()).is_pending());
        assert_eq!(pool.depth(), 1);
    }

    #[test]
    fn hash_pool_skips_jobs_of_canceled_requests() {
        let pool = stalled(8);
        let mut gone = Box::pin(pool.hash(new_password(), [0; SALT_BYTES]));
        let mut waiting = pin!(pool.verify(presented("wrong"), None));
        let mut gone_too = Box::pin(pool.hash(new_password(), [0; SALT_BYTES]));
        assert!(begin(gone.as_mut()).is_pending());
        assert!(begin(waiting.as_mut()).is_pending());
        assert!(begin(gone_too.as_mut()).is_pending());
        drop((gone, gone_too));
        let mut memory = Argon2Memory::default();
        let job = pool.shared.next(&mut memory).expect("somebody waits");
        assert!(!memory.is_held());
        job.run(&mut memory);
        assert!(matches!(begin(waiting), Poll::Ready(Ok(PasswordCheck::NoMatch))));
        pool.shared.lock().closed = true;
        assert!(pool.shared.next(&mut memory).is_none());
    }

    #[test]
    fn hash_pool_serves_requests_in_order() {
        let pool = stalled(8);
        let mut first = pin!(pool.verify(presented("first"), None));
        let mut second = pin!(pool.verify(presented("second"), None));
        assert!(begin(first.as_mut()).is_pending() && begin(second.as_mut()).is_pending());
        let mut memory = Argon2Memory::default();
        pool.shared.next(&mut memory).unwrap().run(&mut memory);
        assert!(begin(first).is_ready() && begin(second).is_pending());
    }

    #[test]
    fn hash_pool_releases_memory_when_idle() {
        let shared = PoolState { idle: Duration::from_millis(1), ..PoolState::new(1, 1) };
        let mut memory = Argon2Memory::default();
        let (reply, _) = oneshot::channel();
        HashJob::Hash { password: new_password(), salt: [0; SALT_BYTES], reply }.run(&mut memory);
        assert!(memory.is_held());
        drop(shared.wait(shared.lock(), &mut memory));
        assert!(!memory.is_held());
    }

    #[test]
    fn hash_pool_drop_ends_its_threads() {
        let pool = HashPool::start(3, 8, |take| take());
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        assert!(shared.upgrade().is_none());
    }
}
