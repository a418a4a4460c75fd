//! What a service manager such as systemd is told (`sd_notify`): that the service listens, that it stops, and, if it
//! asks for that, that the service still runs.
//!
//! The protocol is a datagram of `NAME=value` to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::future;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager that started this process, if it wants to be told anything.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that `environment` names. One that cannot be told anything is a warning: the service works without.
    pub fn from_environment(environment: impl Iterator<Item = (String, String)>) -> Self {
        let (mut socket, mut interval, mut is_meant) = (None, None, true);
        for (name, value) in environment {
            match name.as_str() {
                "NOTIFY_SOCKET" => socket = Some(value),
                "WATCHDOG_USEC" => interval = value.parse().ok().map(Duration::from_micros),
                "WATCHDOG_PID" => is_meant = value.parse() == Ok(std::process::id()),
                _ => {}
            }
        }
        let Some(name) = socket.filter(|name| !name.is_empty()) else { return Self::default() };
        match open(&name) {
            Ok(socket) => Self { socket: Some(socket), watchdog: interval.filter(|_| is_meant) },
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything: NOTIFY_SOCKET names no socket");
                Self::default()
            }
        }
    }

    /// Tells it that the service listens.
    pub fn notify_ready(&self) {
        self.notify("READY=1");
    }

    /// Tells it that the service finishes what is running and ends.
    pub fn notify_stopping(&self) {
        self.notify("STOPPING=1");
    }

    /// Tells it again and again that the service runs, if it asks for that. Never returns.
    pub async fn keep_alive(&self) {
        // Half of the time after which it would restart the service, as its manual says.
        let Some(interval) = self.watchdog.map(|time| time / 2).filter(|time| !time.is_zero()) else {
            return future::pending().await;
        };
        let mut ticks = tokio::time::interval(interval);
        loop {
            ticks.tick().await;
            self.notify("WATCHDOG=1");
        }
    }

    fn notify(&self, state: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::warn!(%error, state, "the service manager could not be told");
        }
    }
}

/// A socket to send from, which never blocks, and the address `name`: a path, or an abstract name behind `@`.
fn open(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None if name.starts_with('/') => SocketAddr::from_pathname(OsStr::from_bytes(name.as_bytes()))?,
        None => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{name} is neither a path nor @name"),
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "abstract sockets exist on Linux alone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn received(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn service_manager_is_told_through_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager =
            ServiceManager::from_environment(environment(&[("NOTIFY_SOCKET", path.to_str().unwrap())]));
        manager.notify_ready();
        manager.notify_stopping();
        assert_eq!((received(&socket).as_str(), received(&socket).as_str()), ("READY=1", "STOPPING=1"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn service_manager_is_told_through_an_abstract_name() {
        let name = format!("tenantry-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let manager =
            ServiceManager::from_environment(environment(&[("NOTIFY_SOCKET", &format!("@{name}"))]));
        manager.notify_ready();
        assert_eq!(received(&socket), "READY=1");
    }

    #[test]
    fn service_manager_without_usable_socket_is_not_told() {
        for name in ["", "relative", "vsock:2:1", "/no/such/socket"] {
            ServiceManager::from_environment(environment(&[("NOTIFY_SOCKET", name)])).notify_ready();
        }
        ServiceManager::from_environment(environment(&[])).notify_ready();
    }

    #[test]
    fn watchdog_of_another_process_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let own = std::process::id().to_string();
        for (pid, watchdog) in [(own.as_str(), Some(Duration::from_secs(2))), ("1", None)] {
            let manager = ServiceManager::from_environment(environment(&[
                ("NOTIFY_SOCKET", path.to_str().unwrap()),
                ("WATCHDOG_USEC", "2000000"),
                ("WATCHDOG_PID", pid),
            ]));
            assert_eq!(manager.watchdog, watchdog);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn watchdog_is_fed_twice_in_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::from_environment(environment(&[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "2000000"),
        ]));
        let _ = tokio::time::timeout(Duration::from_millis(3_500), manager.keep_alive()).await;
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 64];
        let sent = std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count();
        assert_eq!(sent, 4, "at once, and after each second");
    }
}
