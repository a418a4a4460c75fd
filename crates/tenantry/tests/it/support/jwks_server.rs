//! A server with the keys of an identity provider, which may be away, slow or broken.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with a request.
#[derive(Clone)]
pub enum Behavior {
    /// Serves this document.
    Serves(String),
    /// Says that it is broken.
    Fails,
    /// Never answers.
    Hangs,
}

/// The server. Dropped, nobody listens at its address.
pub struct JwksServer {
    address: SocketAddr,
    behavior: Arc<Mutex<Behavior>>,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    /// The heads of all requests.
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl JwksServer {
    /// At a free port.
    pub async fn start(behavior: Behavior) -> Self {
        Self::start_on(0, behavior).await
    }

    /// At that port.
    pub async fn start_on(port: u16, behavior: Behavior) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let behavior = Arc::new(Mutex::new(behavior));
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let state = (Arc::clone(&behavior), Arc::clone(&begun), Arc::clone(&ended), Arc::clone(&heads));
        let task = tokio::spawn(async move {
            let (behavior, begun, ended, heads) = state;
            while let Ok((stream, _)) = listener.accept().await {
                let behavior = behavior.lock().unwrap().clone();
                begun.fetch_add(1, Ordering::SeqCst);
                let (ended, heads) = (Arc::clone(&ended), Arc::clone(&heads));
                tokio::spawn(async move {
                    serve(stream, behavior, &heads).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, behavior, begun, ended, heads, task }
    }

    /// Where the keys are.
    pub fn url(&self) -> String {
        url(self.address.port())
    }

    /// What it does from now on.
    pub fn does(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap() = behavior;
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// The head of each request, in the order in which they came.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits until it has been called that often.
    pub async fn called(&self, times: usize) {
        wait_for(&self.begun, times).await;
    }

    /// Waits until that many callers have their answer and have gone.
    pub async fn answered(&self, times: usize) {
        wait_for(&self.ended, times).await;
        // They read it now.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Drop for JwksServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The URL of the keys of a server at that port.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/jwks.json")
}

async fn serve(mut stream: TcpStream, behavior: Behavior, heads: &Mutex<Vec<String>>) {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await.unwrap_or_default();
    heads.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
    let answer = match behavior {
        Behavior::Serves(document) => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{document}", document.len())
        }
        Behavior::Fails => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        Behavior::Hangs => String::new(),
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    // Open until the client goes.
    let _ = stream.read(&mut request).await;
}

async fn wait_for(count: &AtomicUsize, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while count.load(Ordering::SeqCst) < times {
        assert!(Instant::now() < deadline, "the server was not called {times} times");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
