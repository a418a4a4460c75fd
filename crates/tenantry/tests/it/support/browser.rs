//! A real Chromium without a window, driven through WebDriver as a person would drive it.
//!
//! It notes every error on its pages and every request they make. No name resolves in it, so that a page which
//! needs another host fails here as it would behind a firewall.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// How long a page may take until it shows what is awaited; long, because other tests run beside.
const PATIENCE_MS: u64 = 60_000;

/// The key under which WebDriver names an element (W3C WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with a profile of its own; it ends with the value.
pub struct Browser {
    client: reqwest::Client,
    session: String,
    driver: Child,
    /// Open as long as the driver lives, which may write to it.
    _driver_output: BufReader<ChildStdout>,
    _profile: TempDir,
}

/// A request that a page made.
#[derive(Debug)]
pub struct Request {
    pub url: String,
    pub headers: Value,
}

impl Browser {
    /// Starts a driver on a free port, and a browser with it.
    pub async fn start() -> Self {
        let mut driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("chromedriver: {error}. `cargo xtask ci` installs and runs everything"),
            );
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let driver_url = format!("http://127.0.0.1:{}", port_in(&mut output));
        let profile = tempfile::tempdir().unwrap();
        let client = reqwest::Client::new();
        let wanted = capabilities(&profile);
        let value = call(client.post(format!("{driver_url}/session")).json(&wanted)).await;
        let session = format!("{driver_url}/session/{}", value["sessionId"].as_str().unwrap());
        let browser = Self { client, session, driver, _driver_output: output, _profile: profile };
        browser.leave_the_start_page().await;
        browser
    }

    /// What the browser's own start page does is not to be noted.
    async fn leave_the_start_page(&self) {
        self.open("about:blank").await;
        self.requests().await;
        self.errors().await;
    }

    /// Opens `url` and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.post("refresh", json!({})).await;
    }

    /// Runs JavaScript on the page.
    pub async fn run(&self, script: &str) {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await;
    }

    /// Waits until a JavaScript expression is true.
    pub async fn wait_until(&self, expression: &str) {
        let script = format!(
            "const done = arguments[0];
             const give_up = Date.now() + {PATIENCE_MS};
             const look = () => {{
               const holds = Boolean({expression});
               holds || Date.now() > give_up ? done(holds) : setTimeout(look, 20);
             }};
             look();"
        );
        let holds = self.post("execute/async", json!({ "script": script, "args": [] })).await;
        if holds != true {
            let picture = self.screenshot(&format!("failed-{}", std::process::id())).await;
            let errors = self.errors().await.join("\n");
            panic!("not true in time: {expression}\nthe page: {}\nits errors:\n{errors}", picture.display());
        }
    }

    /// Waits for the element and clicks on it.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/click"), json!({})).await;
    }

    /// Waits for the element and types into it.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/value"), json!({ "text": text })).await;
    }

    /// The errors since the last call: the pages' own and the browser's, such as what a policy refused. What
    /// the pages' libraries merely warn of is between them and their authors.
    pub async fn errors(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        entries.iter().filter(|entry| entry["level"] == "SEVERE").map(ToString::to_string).collect()
    }

    /// Every request made since the last call.
    pub async fn requests(&self) -> Vec<Request> {
        self.log("performance").await.iter().filter_map(request_in).collect()
    }

    /// Takes a picture of the page, for people to look at; gives where it is.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        let picture = call(self.client.get(format!("{}/screenshot", self.session))).await;
        std::fs::write(&path, BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap()).unwrap();
        path
    }

    /// Waits for the element; a selector that begins with `/` is an XPath, any other is CSS.
    async fn element(&self, selector: &str) -> String {
        let quoted = json!(selector);
        let (kind, finds) = if selector.starts_with('/') {
            ("xpath", format!("document.evaluate({quoted}, document, null, 9).singleNodeValue"))
        } else {
            ("css selector", format!("document.querySelector({quoted})"))
        };
        self.wait_until(&finds).await;
        let found = self.post("element", json!({ "using": kind, "value": selector })).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", json!({ "type": kind })).await;
        entries.as_array().unwrap().clone()
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        call(self.client.post(format!("{}/{command}", self.session)).json(&body)).await
    }
}

impl Drop for Browser {
    /// The browser hangs on the driver's pipe, so it ends with it.
    fn drop(&mut self) {
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

/// The browser we want: everything it would do of its own accord switched off, everything it sees noted.
fn capabilities(profile: &TempDir) -> Value {
    let profile = format!("--user-data-dir={}", profile.path().display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-pipe",
        "--window-size=1280,1600",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        &profile,
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "timeouts": { "script": 2 * PATIENCE_MS },
    } } })
}

/// The port the driver says it listens on.
fn port_in(output: &mut impl BufRead) -> u16 {
    let line = output
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("successfully on port"))
        .expect("chromedriver says on which port it listens");
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    port.parse().unwrap_or_else(|_| panic!("no port in `{line}`"))
}

/// What a WebDriver command answers; any refusal ends the test.
async fn call(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status();
    let mut body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "the browser refuses: {}", body["value"]["message"]);
    body["value"].take()
}

/// The request an entry of the performance log is about, if it is about one.
fn request_in(entry: &Value) -> Option<Request> {
    let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
    let event = &event["message"];
    if event["method"] != "Network.requestWillBeSent" {
        return None;
    }
    let request = &event["params"]["request"];
    Some(Request { url: request["url"].as_str()?.to_owned(), headers: request["headers"].clone() })
}
