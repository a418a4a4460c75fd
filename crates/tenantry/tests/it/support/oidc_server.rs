//! A real OpenID provider in Node, with a client that signs people in at it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The `aud` of its tokens for the service.
pub const AUDIENCE: &str = "https://api.example.com";
/// The client's id at the provider: the `aud` of its ID tokens.
pub const CLIENT: &str = "web";

/// The process. It ends with this.
pub struct OidcServer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Its `iss`, and where it listens.
    pub issuer: String,
}

/// The tokens of a sign-in.
pub struct SignIn {
    pub access_token: String,
    pub id_token: String,
}

impl OidcServer {
    /// One whose tokens say in `org_id` that they are for that organization.
    pub fn start(organization: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript/oidc_server.mjs");
        let mut process = Command::new(tool("node"))
            .arg(script)
            .env("MODULES", tool("javascript"))
            .env("ORGANIZATION", organization)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self { process, requests, answers, issuer: String::new() };
        server.issuer = server.answer()["issuer"].as_str().unwrap().to_owned();
        server
    }

    /// The entry of the settings that trusts it for any organization.
    pub fn entry(&self) -> Value {
        json!({
            "issuer": self.issuer, "audience": AUDIENCE, "algorithms": ["RS256", "ES256", "EdDSA"],
            "jwks_url": format!("{}/jwks", self.issuer), "organization_claim": "org_id",
        })
    }

    /// Signs that person in, for a token that is signed with that algorithm and meant for the service.
    pub fn sign_in(&mut self, account: &str, algorithm: &str) -> SignIn {
        self.ask(&json!({ "account": account, "resource": AUDIENCE, "algorithm": algorithm }))
    }

    /// Lets the client get tokens in the way that `request` says.
    pub fn ask(&mut self, request: &Value) -> SignIn {
        let answer = self.request(request);
        let token = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        SignIn { access_token: token("access_token"), id_token: token("id_token") }
    }

    /// Has a new set of keys sign, with that of before still published.
    pub fn add_keys(&mut self) {
        self.request(&json!({ "keys": "add" }));
    }

    /// Withdraws the keys of before.
    pub fn remove_keys(&mut self) {
        self.request(&json!({ "keys": "remove" }));
    }

    /// Waits until somebody has got its keys.
    pub fn keys_got(&mut self) {
        self.request(&json!({ "await": "keys" }));
    }

    /// Waits for the answer, while the runtime, which must have several threads, goes on with the service.
    fn request(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").unwrap();
        tokio::task::block_in_place(|| self.answer())
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the provider has ended: {line}"))
    }
}

impl Drop for OidcServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask tools`", path.display());
    path
}
