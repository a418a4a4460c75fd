//! Commands that start a service: with an operator key, over TLS, with a mail server, with a collector, with identity
//! providers; and the operator's commands beside it.

use crate::support::certificates::Certificates;
use crate::support::otlp_receiver::OtlpReceiver;
use crate::support::printed::{Shell, block, commands, fenced};
use crate::support::smtp::SmtpServer;
use std::time::Duration;

const SECRETS: &str = "docs/guides/secrets.md";

#[tokio::test(flavor = "multi_thread")]
async fn readme_commands_for_production_run_as_printed() {
    let shell = Shell::new();
    let data = shell.home().join("tenantry");
    let shell = shell.replacing("/var/lib/tenantry", &data.display().to_string());
    let all = commands(&block("README.md", "tenantry serve --data-dir /var/lib/tenantry"));
    let [serve, doctor, list] = &all[..] else { panic!("{all:?}") };
    let served = shell.serve(serve).await;
    served.client().get("/readyz").await.ok();
    let shell = Shell::at(served.address, &data);
    assert!(shell.run(doctor).await.contains("lock"));
    shell.run(list).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_key_is_given_and_replaced_as_printed() {
    let shell = Shell::new();
    let read = |name: &str| std::fs::read_to_string(shell.home().join(name)).unwrap().trim().to_owned();
    let served = shell.serve(&block(SECRETS, "tenantry operator-key generate > operator-key  ")).await;
    served.client().with_token(&read("operator-key")).get("/v1/organizations").await.ok();
    drop(served);
    let said = shell.run(&block(SECRETS, "tenantry operator-key generate > operator-key.new")).await;
    assert!(said.contains("The old one no longer works"), "{said}");
    let served = shell.serve("OPERATOR_KEY_FILE=operator-key.new tenantry").await;
    served.client().with_token(&read("operator-key.new")).get("/v1/organizations").await.ok();
    served
        .client()
        .with_token(&read("operator-key"))
        .get("/v1/organizations")
        .await
        .refused("operator_key_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn service_speaks_tls_as_printed() {
    let certificates = Certificates::new();
    let shell = Shell::new()
        .replacing("--port 443", "--port 0")
        .replacing("/etc/tenantry/certificate.pem", &certificates.certificate().display().to_string())
        .replacing("/etc/tenantry/key.pem", &certificates.key().display().to_string());
    let served = shell.serve(&block("docs/guides/tls.md", "tenantry --host 0.0.0.0 --port 443")).await;
    served.tls_client(&certificates.authority()).get("/livez").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn service_with_mail_server_runs_as_printed() {
    let smtp = SmtpServer::start_on(0, Some("hunter2"));
    let shell = Shell::new();
    shell.file("smtp-password", "hunter2");
    let home = shell.home().display().to_string();
    let url = format!("smtp://mailer@127.0.0.1:{}?tls=off", smtp.port);
    let shell = shell
        .replacing("smtps://tenantry@mail.example.com", &format!("'{url}'"))
        .replacing("/run/secrets", &home);
    let all = commands(&block("docs/guides/mail.md", "SMTP_URL=smtps://"));
    let [serve, test, doctor] = &all[..] else { panic!("{all:?}") };
    let served = shell.serve(serve).await;
    served.client().get("/readyz").await.ok();
    // With the same settings.
    let shell = shell
        .with("SMTP_URL", &url)
        .with("SMTP_PASSWORD_FILE", &format!("{home}/smtp-password"))
        .with("MAIL_FROM", "Acme <no-reply@acme.example>")
        .with("PUBLIC_URL", "https://app.acme.example");
    shell.run(test).await;
    assert_eq!(smtp.mail().await["to"][0], "me@example.com");
    assert!(shell.run(doctor).await.contains("mail"));
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_and_metrics_are_exported_as_printed() {
    let receiver = OtlpReceiver::start().await;
    let shell = Shell::new()
        .replacing("http://collector.internal:4318", &receiver.endpoint)
        // So that the test need not send a hundred requests, nor wait for a minute.
        .replacing("OTEL_TRACES_SAMPLER_ARG=0.01", "OTEL_TRACES_SAMPLER_ARG=1")
        .with("OTEL_METRIC_EXPORT_INTERVAL", "100");
    let settings = block("docs/guides/observability.md", "export OTEL_EXPORTER_OTLP_ENDPOINT");
    let served = shell.serve(&format!("{settings}tenantry")).await;
    served.client().get("/v1/roles").await;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while receiver.spans().is_empty() {
        assert!(std::time::Instant::now() < deadline, "no span arrives");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_takes_printed_identity_providers() {
    let shell = Shell::new().with("OIDC_ISSUERS_FILE", "issuers.json");
    shell.file("issuers.json", &fenced("docs/guides/identity-providers.md", "json", "{\n  \"issuers\""));
    let served = shell.serve("tenantry").await;
    served.client().get("/readyz").await.ok();
}
