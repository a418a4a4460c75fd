//! The signing secret is replaced: with an overlap nothing ends, and without the old secret what depends on it does.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{
    Organization, again, insert_lines, new_organization, organization, with_access,
};
use serde_json::{Value, json};

const OLD: &str = "the first secret of this test, 64 bytes for the longest algorithm";
const NEW: &str = "the second secret of this test, 64 bytes for the longest algorithm";

/// A service that signs with `secret`, and accepts `other` too if there is one.
fn signing(secret: &str, other: Option<&str>) -> Setup {
    let setup = Setup::unlimited().with(&format!("--jwt-secret={secret}"));
    match other {
        Some(other) => setup.with(&format!("--jwt-secret-previous={other}")),
        None => setup,
    }
}

/// What a client keeps that depends on the secret.
struct Kept {
    acme: Organization,
    cursor: String,
}

const LINES: &str = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";

/// An organization with three documents, which are sent again with the same key.
async fn send_lines(client: &Client, acme: &Organization) -> Value {
    let client = client.with_header("idempotency-key", "the-lines");
    insert_lines(&client, &acme.about("bulk"), LINES).await.lines().pop().unwrap()
}

async fn create_again(app: &App) -> crate::support::client::Answer {
    let client = app.client().with_header("idempotency-key", "the-create");
    client.post("/org/create", &new_organization("Globex", "owner@globex.example")).await
}

impl Kept {
    async fn new(app: &App) -> Self {
        let acme = organization(app, "Acme").await;
        assert_eq!(send_lines(&acme.owner, &acme).await["inserted"], 3);
        let page = acme.owner.get(&format!("{}?limit=1&sort=n", acme.documents())).await.ok();
        create_again(app).await.created();
        Self { cursor: page["next_cursor"].as_str().unwrap().to_owned(), acme }
    }

    fn next_page(&self) -> String {
        format!("{}?limit=1&sort=n&cursor={}", self.acme.documents(), self.cursor)
    }

    async fn refresh(&self, app: &App) -> crate::support::client::Answer {
        let body = json!({ "refresh_token": self.acme.tokens["refresh_token"] });
        app.client().post("/v1/auth/refresh", &body).await
    }

    /// Uses everything that was made with another secret.
    async fn expect_all_good(&self, app: &App) {
        let owner = again(app, &self.acme.owner);
        owner.get(&self.acme.path()).await.ok();
        assert_eq!(owner.get(&self.next_page()).await.ok()["items"][0]["n"], 2);
        assert_eq!(send_lines(&owner, &self.acme).await["repeated"], 3);
        assert_eq!(owner.get(&self.acme.about("count")).await.ok()["count"], 3);
        let created = create_again(app).await;
        assert_eq!(created.header("idempotency-replayed"), "true");
        created.created();
    }

    /// Nothing of before is good.
    async fn expect_all_ended(&self, app: &App, now: &Client) {
        again(app, &self.acme.owner).get(&self.acme.path()).await.refused("token_invalid");
        self.refresh(app).await.refused("refresh_token_invalid");
        now.get(&self.next_page()).await.refused("invalid_input");
        create_again(app).await.refused("idempotency_key_reused");
        assert_eq!(send_lines(now, &self.acme).await["inserted"], 3);
    }
}

#[tokio::test]
async fn secret_replaced_with_overlap_ends_nothing() {
    let app = signing(OLD, None).start().await;
    let kept = Kept::new(&app).await;
    // The new secret is accepted everywhere before anybody signs with it.
    let app = signing(OLD, Some(NEW)).start_on(app.stop().await).await;
    kept.expect_all_good(&app).await;
    let app = signing(NEW, Some(OLD)).start_on(app.stop().await).await;
    kept.expect_all_good(&app).await;
    let tokens = kept.refresh(&app).await.ok();
    let owner = with_access(&app, &tokens);
    owner.get(&kept.acme.path()).await.ok();
    // What was made since goes on without the old secret; what was made before does not.
    let app = signing(NEW, None).start_on(app.stop().await).await;
    let owner = again(&app, &owner);
    owner.get(&kept.acme.path()).await.ok();
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.ok();
    again(&app, &kept.acme.owner).get(&kept.acme.path()).await.refused("token_invalid");
    owner.get(&kept.next_page()).await.refused("invalid_input");
}

#[tokio::test]
async fn secret_replaced_without_overlap_ends_what_it_signed() {
    let app = signing(OLD, None).start().await;
    let kept = Kept::new(&app).await;
    let app = signing(NEW, None).start_on(app.stop().await).await;
    let tokens = crate::support::fixtures::sign_in(&app, kept.acme.email()).await;
    kept.expect_all_ended(&app, &with_access(&app, &tokens)).await;
}

#[tokio::test]
async fn secret_of_longer_hashes_is_replaced_with_overlap() {
    for algorithm in ["HS384", "HS512"] {
        let with_algorithm = |setup: Setup| setup.with(&format!("--jwt-algorithm={algorithm}"));
        let app = with_algorithm(signing(OLD, None)).start().await;
        let kept = Kept::new(&app).await;
        let app = with_algorithm(signing(NEW, Some(OLD))).start_on(app.stop().await).await;
        kept.expect_all_good(&app).await;
    }
}
