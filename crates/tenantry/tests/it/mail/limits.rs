//! How many mails an organization and an installation may send, and that what one limit refuses uses up no other.

use super::{forgot, invite, sending_to};
use crate::support::app::{App, Setup};
use crate::support::client::Answer;
use crate::support::fixtures::{Organization, again, organization};
use crate::support::smtp::free_port;
use crate::support::store::with_store;
use jiff::Timestamp;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::rate_limit::{
    MAIL_ADDRESS, MAIL_INSTALLATION, MAIL_ORGANIZATION, RateLimit, RateLimitDecision, RateLimitKey,
};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// A service with limits that sends its mails to nobody: they wait in the queue, and count.
async fn service() -> App {
    sending_to(free_port(), Setup::default()).start().await
}

/// The service once more, with that counter used up but for one.
async fn use_up_but_one(app: App, key: RateLimitKey, limit: RateLimit) -> App {
    let now = Timestamp::from_millisecond(app.clock.milliseconds()).unwrap();
    // As one attempt that counts as many as the others would.
    let others = RateLimit { burst: 1, period: limit.period * (limit.burst - 1) };
    app.restart_after(|test_env| {
        let take =
            with_store(test_env, async |store| store.rate_limits.acquire(&key, others, now).await.unwrap());
        let taken = block_in_place(|| Handle::current().block_on(take));
        assert_eq!(taken, RateLimitDecision::Allowed { remaining: 0 });
    })
    .await
}

/// That the answer says which limit is used up, and when to come back.
#[track_caller]
fn expect_limited(answer: Answer, name: &str, limit: RateLimit) {
    let (burst, period) = (limit.burst, limit.period.as_secs());
    assert_eq!(
        answer.header("ratelimit-policy"),
        format!("\"{name}\";q={burst};w={}", u64::from(burst) * period)
    );
    assert_eq!(answer.header("ratelimit"), format!("\"{name}\";r=0;t={period}"));
    assert_eq!(answer.header("retry-after"), period.to_string());
    answer.refused("too_many_mails");
}

fn here(app: &App, organization: Organization) -> Organization {
    Organization { owner: again(app, &organization.owner), ..organization }
}

async fn invitations(host: &Organization) -> usize {
    let listed = host.owner.get(&format!("{}/invitations", host.path())).await.ok();
    listed["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_limited_for_each_organization() {
    let app = service().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let id: OrganizationId = acme.id().parse().unwrap();
    let key = RateLimitKey::new("mail organization", &[id.digits().as_str()]);
    let app = use_up_but_one(app, key, MAIL_ORGANIZATION).await;
    let (acme, globex) = (here(&app, acme), here(&app, globex));
    invite(&acme, "first@new.example").await.created();
    // More often than the address may have mails: what its organization may not send is not counted for it.
    for _ in 0..=MAIL_ADDRESS.burst {
        expect_limited(invite(&acme, "second@new.example").await, "mail-organization", MAIL_ORGANIZATION);
    }
    let own = acme.owner.post_empty("/v1/me/email/verification").await;
    expect_limited(own, "mail-organization", MAIL_ORGANIZATION);
    assert_eq!(invitations(&acme).await, 1, "what was refused has made nothing");
    // Nobody else is refused, and a forgotten password is nobody's mail.
    invite(&globex, "second@new.example").await.created();
    assert_eq!(forgot(&app.client(), acme.email()).await.status, 202);
    app.clock.advance(MAIL_ORGANIZATION.period);
    invite(&acme, "second@new.example").await.created();
    expect_limited(invite(&acme, "third@new.example").await, "mail-organization", MAIL_ORGANIZATION);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_limited_for_the_installation() {
    let app = service().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let app = use_up_but_one(app, RateLimitKey::new("mail installation", &[]), MAIL_INSTALLATION).await;
    let (acme, globex) = (here(&app, acme), here(&app, globex));
    invite(&acme, "first@new.example").await.created();
    for host in [&acme, &globex] {
        // More often than the address may have mails: what is not sent is not counted for it.
        for _ in 0..=MAIL_ADDRESS.burst {
            expect_limited(invite(host, "second@new.example").await, "mail-installation", MAIL_INSTALLATION);
        }
        assert_eq!(invitations(host).await, usize::from(host.id() == acme.id()));
    }
    // Alike whether the address has an account.
    for email in [acme.email(), "nobody@elsewhere.example"] {
        expect_limited(forgot(&app.client(), email).await, "mail-installation", MAIL_INSTALLATION);
    }
    app.clock.advance(MAIL_INSTALLATION.period);
    invite(&globex, "second@new.example").await.created();
}
