//! A proxy between the service and MongoDB that cuts connections at the worst moments, as networks do.
//!
//! # Pitfalls
//! A driver monitors its servers on its own connections, and cutting only those proves nothing. So only
//! requests of an operation are cut, and the test checks that one was.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What drivers send by themselves, and the service at intervals.
const BY_ITSELF: [&str; 6] = ["hello", "ismaster", "isMaster", "ping", "endSessions", "findAndModify"];
/// Length, request, response and kind of a message; then its flags, and the kind of its first section.
const HEADER_BYTES: usize = 16;
const BODY_AT: usize = HEADER_BYTES + 4 + 1;

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// The request never reaches the server.
    BeforeRequest,
    /// The server has carried it out, and its answer never comes.
    BeforeAnswer,
}

#[derive(Default)]
struct State {
    next: Option<Cut>,
    /// The commands that were cut off.
    met: Vec<String>,
}

/// Passes everything on but what it is told to cut.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// One that leads to the server at `port`.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::default();
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move { pass_on(client, port, state).await });
            }
        });
        Self { address, state, listening }
    }

    /// The connection string that leads through it.
    pub fn uri(&self) -> String {
        format!("mongodb://{}", self.address)
    }

    /// Cuts the next connection on which an operation makes a request.
    pub fn cut(&self, when: Cut) {
        self.state.lock().unwrap().next = Some(when);
    }

    /// The commands that were cut off so far.
    pub fn met(&self) -> Vec<String> {
        self.state.lock().unwrap().met.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes one connection on until either side closes it or it is cut.
async fn pass_on(client: TcpStream, port: u16, state: Arc<Mutex<State>>) {
    // A server that is gone is told by a connection that closes.
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let is_cut = Arc::new(AtomicBool::new(false));
    tokio::select! {
        _ = answers(from_server, to_client, Arc::clone(&is_cut)) => {}
        _ = requests(from_client, to_server, state, is_cut) => {}
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    state: Arc<Mutex<State>>,
    is_cut: Arc<AtomicBool>,
) -> io::Result<()> {
    loop {
        let message = message(&mut client).await?;
        match meet(&message, &mut state.lock().unwrap()) {
            None => {}
            Some(Cut::BeforeRequest) => return Ok(()),
            Some(Cut::BeforeAnswer) => is_cut.store(true, Ordering::SeqCst),
        }
        server.write_all(&message).await?;
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    is_cut: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = server.read(&mut bytes).await?;
        if length == 0 || is_cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        client.write_all(&bytes[..length]).await?;
    }
}

/// The next message, with its header.
async fn message(client: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER_BYTES];
    client.read_exact(&mut message).await?;
    let length = u32::from_le_bytes(message[..4].try_into().unwrap());
    message.resize(length as usize, 0);
    client.read_exact(&mut message[HEADER_BYTES..]).await?;
    Ok(message)
}

/// Whether this message is the one to meet.
fn meet(message: &[u8], state: &mut State) -> Option<Cut> {
    let command = command(message).filter(|command| !BY_ITSELF.contains(&command.as_str()))?;
    let cut = state.next.take()?;
    state.met.push(command);
    Some(cut)
}

/// The name of the command in an OP_MSG: the first field of its document, after that one's length and type.
fn command(message: &[u8]) -> Option<String> {
    let name = message.get(BODY_AT + 4 + 1..)?.split(|byte| *byte == 0).next()?;
    String::from_utf8(name.to_vec()).ok()
}
