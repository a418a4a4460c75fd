//! A replica set of three `mongod`, or of one, which is enough for transactions.
//!
//! # Pitfalls
//! The primary changes, and for a while there is none: call [`ReplicaSet::primary`] each time.

use crate::Mongod;
use crate::wire::{Document, Value, ask};
use std::thread;
use std::time::{Duration, Instant};

/// What the set is called.
const NAME: &str = "tenantry";
/// As many as make one that may fail.
const NODES: usize = 3;
/// How long the others do without a primary before they choose another one. The usual 10 s would make tests slow;
/// much less would have busy machines change it for nothing.
const ELECTION_TIMEOUT_MS: i32 = 2_000;
/// How often they look at each other.
const HEARTBEAT_MS: i32 = 500;
/// How long a busy machine may take to choose a primary.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// A replica set whose nodes can be killed, frozen and started again one by one.
pub struct ReplicaSet {
    nodes: Vec<Mongod>,
}

impl ReplicaSet {
    /// Starts the nodes and waits until there is a primary.
    ///
    /// # Panics
    /// As [`Mongod::start`], or if the nodes do not find each other.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(NODES)
    }

    /// Starts a set of one node.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_single() -> Self {
        Self::start_with(1)
    }

    fn start_with(nodes: usize) -> Self {
        let name = format!("--replSet={NAME}");
        let flags = [
            name.as_str(),
            "--oplogSize=64",
            // Lets a test have a node answer late.
            "--setParameter=enableTestCommands=1",
            // A process that is killed in a transaction leaves it to the server; usually for a minute.
            "--setParameter=transactionLifetimeLimitSeconds=3",
        ];
        let nodes = thread::scope(|scope| {
            let starts: Vec<_> = (0..nodes).map(|_| scope.spawn(|| Mongod::start_with(&flags))).collect();
            starts.into_iter().map(|start| start.join().expect("its panic said why")).collect()
        });
        let set = Self { nodes };
        let answer = ask(set.nodes[0].port(), set.initiate()).expect("the node has just started");
        assert!(answer.is_ok(), "the replica set is refused: {}", answer.text());
        set.primary();
        set
    }

    /// Where to find it, with nothing but addresses and its name.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet={NAME}", self.addresses().join(","))
    }

    /// The number of the node that takes the writes now, waiting until there is one.
    ///
    /// # Panics
    /// If there is none for a minute.
    pub fn primary(&self) -> usize {
        let start = Instant::now();
        loop {
            if let Some(found) = self.nodes.iter().position(is_primary) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "no node becomes the primary");
            #[expect(clippy::disallowed_methods, reason = "a server gives no signal when it is chosen")]
            thread::sleep(PAUSE);
        }
    }

    /// A node, to do something to it.
    pub fn node(&mut self, number: usize) -> &mut Mongod {
        &mut self.nodes[number]
    }

    fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect()
    }

    /// The command that makes a set of the nodes.
    fn initiate(&self) -> Document {
        let member = |(number, address): (i32, String)| {
            Value::Document(vec![("_id", Value::Number(number)), ("host", Value::Text(address))])
        };
        let settings = vec![
            ("electionTimeoutMillis", Value::Number(ELECTION_TIMEOUT_MS)),
            ("heartbeatIntervalMillis", Value::Number(HEARTBEAT_MS)),
        ];
        let configuration = vec![
            ("_id", Value::Text(NAME.to_owned())),
            ("members", Value::List((0..).zip(self.addresses()).map(member).collect())),
            ("settings", Value::Document(settings)),
        ];
        vec![("replSetInitiate", Value::Document(configuration))]
    }
}

/// One that is frozen would keep the others waiting; one that was killed says nothing at once.
fn is_primary(node: &Mongod) -> bool {
    node.answers()
        && ask(node.port(), vec![("hello", Value::Number(1))]).is_ok_and(|answer| answer.is_primary())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replica_set_elects_another_node_after_kill_or_freeze() {
        let mut set = ReplicaSet::start();
        let first = set.primary();
        set.node(first).kill();
        let second = set.primary();
        assert_ne!(second, first);
        set.node(first).restart();
        set.node(second).pause();
        assert_ne!(set.primary(), second);
        set.node(second).resume();
    }
}
