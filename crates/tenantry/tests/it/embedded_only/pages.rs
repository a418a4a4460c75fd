//! The documentation pages, as a real browser shows them.

use crate::support::app::App;
use crate::support::browser::{Browser, Request};
use reqwest::{StatusCode, header};
use serde_json::Value;

/// An operation that needs a credential and no parameter, and what kind of credential.
const PROTECTED_PATH: &str = "/v1/organizations";
const CREDENTIAL: &str = "bearer";

fn base_url(app: &App) -> String {
    format!("http://{}", app.address())
}

/// How many operations the document has.
async fn operations(base_url: &str) -> usize {
    let document: Value =
        reqwest::get(format!("{base_url}/openapi.json")).await.unwrap().json().await.unwrap();
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let paths = document["paths"].as_object().unwrap().values();
    paths.flat_map(|path| methods.iter().filter(|method| path.get(**method).is_some())).count()
}

/// The requests that left for anywhere but `base_url`.
fn elsewhere<'a>(base_url: &str, requests: &'a [Request]) -> Vec<&'a str> {
    let is_here = |url: &str| {
        url.starts_with("data:") || url.strip_prefix("blob:").unwrap_or(url).starts_with(base_url)
    };
    requests.iter().map(|request| request.url.as_str()).filter(|url| !is_here(url)).collect()
}

/// Asserts that neither the page nor the browser reported an error, and that no other host was contacted.
async fn assert_undisturbed(browser: &Browser, base_url: &str) {
    assert_eq!(browser.errors().await, Vec::<String>::new());
    let requests = browser.requests().await;
    assert!(!requests.is_empty(), "the browser noted no request");
    assert_eq!(elsewhere(base_url, &requests), Vec::<&str>::new());
}

#[tokio::test]
async fn swagger_ui_shows_every_operation_without_other_hosts() {
    let app = App::start().await;
    let base_url = base_url(&app);
    let browser = Browser::start().await;
    browser.open(&format!("{base_url}/docs")).await;
    let count = operations(&base_url).await;
    browser.wait_until(&format!("document.querySelectorAll('.opblock').length === {count}")).await;
    browser.screenshot("swagger-ui").await;
    // One of each group: opening all of them takes the library many seconds.
    browser
        .run(
            "for (const group of document.querySelectorAll('.opblock-tag-section'))
               group.querySelector('.opblock-summary-control').click()",
        )
        .await;
    let groups = "document.querySelectorAll('.opblock-tag-section').length";
    browser.wait_until(&format!("document.querySelectorAll('.responses-table').length === {groups}")).await;
    assert_undisturbed(&browser, &base_url).await;
}

#[tokio::test]
async fn swagger_ui_sends_bare_token_and_keeps_it_on_reload() {
    let app = App::start().await;
    let base_url = base_url(&app);
    let browser = Browser::start().await;
    browser.open(&format!("{base_url}/docs")).await;

    let key = std::fs::read_to_string(app.data_dir().join("operator.key")).unwrap();
    let key = key.trim();
    browser.click(".auth-wrapper .authorize").await;
    let dialog = format!("//*[@class='auth-container'][.//code[text()='{CREDENTIAL}']]");
    browser.type_into(&format!("{dialog}//input"), key).await;
    browser.click(&format!("{dialog}//button[@type='submit']")).await;
    browser.screenshot("swagger-ui-authorize").await;
    browser.click(".btn-done").await;

    browser.click(&format!("{} .opblock-summary-control", protected_operation())).await;
    try_out(&browser, &base_url, key).await;

    // The address now names the operation, which opens it.
    browser.reload().await;
    try_out(&browser, &base_url, key).await;
    assert_eq!(browser.errors().await, Vec::<String>::new());
}

fn protected_operation() -> String {
    format!(".opblock-get:has([data-path='{PROTECTED_PATH}'])")
}

/// Tries the protected operation out; it must be sent with `key`, and be answered.
async fn try_out(browser: &Browser, base_url: &str, key: &str) {
    browser.click(&format!("{} .try-out__btn", protected_operation())).await;
    browser.requests().await;
    browser.click(&format!("{} .execute", protected_operation())).await;
    let status = "document.querySelector('.live-responses-table tbody .response-col_status')";
    browser.wait_until(&format!("{status}?.innerText.startsWith('200')")).await;
    browser.screenshot("swagger-ui-try-it-out").await;
    let url = format!("{base_url}{PROTECTED_PATH}");
    let requests = browser.requests().await;
    let sent = requests.iter().find(|request| request.url.starts_with(&url)).expect("the request was sent");
    assert_eq!(sent.headers["Authorization"], format!("Bearer {key}"));
}

#[tokio::test]
async fn redoc_shows_and_searches_operations_without_other_hosts() {
    let app = App::start().await;
    let base_url = base_url(&app);
    let browser = Browser::start().await;
    browser.open(&format!("{base_url}/redoc")).await;
    let count = operations(&base_url).await;
    let shown = "document.querySelectorAll('[data-section-id^=\"operation/\"]').length";
    browser.wait_until(&format!("{shown} === {count}")).await;
    browser.screenshot("redoc").await;

    browser.type_into("input[placeholder='Search...']", "organization").await;
    browser.wait_until("document.querySelector('[data-role=\"search:results\"] li')").await;
    browser.screenshot("redoc-search").await;
    assert_undisturbed(&browser, &base_url).await;
}

#[tokio::test]
async fn pages_allow_no_inline_script_and_no_other_host() {
    let app = App::start().await;
    let base_url = base_url(&app);
    for page in ["/docs", "/redoc"] {
        let response = reqwest::get(format!("{base_url}{page}")).await.unwrap();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        for forbidden in ["unsafe-", "http:", "https:", "*"] {
            assert!(!policy.contains(forbidden), "{page} allows {forbidden}: {policy}");
        }
    }
}

#[tokio::test]
async fn pages_return_not_modified_when_browser_has_them() {
    let app = App::start().await;
    let base_url = base_url(&app);
    let client = reqwest::Client::new();
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"] {
        let url = format!("{base_url}{path}");
        let whole = client.get(&url).send().await.unwrap();
        assert_eq!(whole.status(), StatusCode::OK, "{path}");
        let etag = whole.headers()[header::ETAG].clone();
        let length = whole.headers()[header::CONTENT_LENGTH].clone();
        let again = client.get(&url).header(header::IF_NONE_MATCH, &etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        let other = client.get(&url).header(header::IF_NONE_MATCH, "\"other\"").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(
            (head.status(), &head.headers()[header::CONTENT_LENGTH]),
            (StatusCode::OK, &length),
            "{path}"
        );
    }
}
