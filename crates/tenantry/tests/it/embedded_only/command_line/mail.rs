//! `tenantry mail test`, and what `tenantry doctor` says of the mail server.

use super::Shell;
use super::org::{beside_a_server, create};
use crate::support::process::Launch;
use crate::support::smtp::{SmtpServer, free_port};
use std::fs;

const PASSWORD: &str = "canary of the mail server";

/// A shell with the settings of a mail server at that port.
fn beside(port: u16) -> Shell {
    Shell::new()
        .with("SMTP_URL", &format!("smtp://mailer@127.0.0.1:{port}?tls=off"))
        .with("MAIL_FROM", "Acme <no-reply@acme.example>")
        .with("PUBLIC_URL", "https://app.example")
        .with("SIGNUP", "operator")
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_test_sends_a_mail_and_doctor_signs_in() {
    let mut smtp = SmtpServer::start_on(0, Some(PASSWORD));
    let shell = beside(smtp.port);
    let file = shell.home.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let shell = shell.with("SMTP_PASSWORD_FILE", file.to_str().unwrap());
    let told = shell.run(&["mail", "test", "me@home.example"]).done();
    assert_eq!(told, "The mail server has taken a mail for me@home.example.\n");
    let mail = smtp.mail().await;
    assert_eq!(
        (&mail["to"][0], &mail["subject"]),
        (&"me@home.example".into(), &"Mail from Tenantry works".into())
    );
    let report = shell.run(&["doctor"]).done();
    assert!(report.contains("the mail server can be used"), "{report}");

    smtp.does("refuse");
    let refused = shell.run(&["mail", "test", "me@home.example"]).refused();
    assert!(refused.contains("refuses the mail (it answers 550)"), "{refused}");
    smtp.does("closed");
    let refused = shell.run(&["mail", "test", "me@home.example"]).refused();
    assert!(refused.contains("check the user and the password"), "{refused}");
    let report = shell.run(&["doctor"]);
    assert_eq!(report.code, Some(1), "{report:?}");
    assert!(report.stdout.contains("the mail server cannot be used: it answers 535"), "{report:?}");
    assert!(!format!("{report:?}{refused}").contains(PASSWORD));
}

#[test]
fn mail_test_says_what_is_missing() {
    let refused = Shell::new().run(&["mail", "test", "me@home.example"]).refused();
    assert!(refused.contains("set SMTP_URL, MAIL_FROM and PUBLIC_URL"), "{refused}");
    let refused = beside(free_port()).run(&["mail", "test", "me@home.example"]).refused();
    assert!(refused.contains("set SMTP_PASSWORD or SMTP_PASSWORD_FILE"), "{refused}");
    let shell = beside(free_port()).with("SMTP_PASSWORD", PASSWORD);
    let refused = shell.run(&["mail", "test", "me@home.example"]).refused();
    assert!(refused.contains("it cannot be reached"), "{refused}");
    shell.run(&["mail", "test", "nobody"]).misused();
}

#[tokio::test(flavor = "multi_thread")]
async fn invite_commands_show_no_link_that_was_mailed() {
    let smtp = SmtpServer::start();
    let shell = Shell::new();
    let launch = smtp.flags().iter().fold(Launch::on(&shell.data_dir()), |launch, flag| launch.with(flag));
    let server = launch.start();
    let shell = shell.with("SERVER_URL", &format!("http://{}", server.address()));
    create(&shell, "Acme", "admin@acme.com");
    let told = shell.run(&["invite", "create", "acme", "--email", "new@acme.com", "--role", "viewer"]).done();
    assert!(told.contains("mailed to that address") && !told.contains("tnt_"), "{told}");
    assert_eq!(smtp.mail().await["to"][0], "new@acme.com");
    server.stop().await;
}

#[tokio::test]
async fn member_link_commands_make_list_and_revoke() {
    let (shell, server) = beside_a_server();
    create(&shell, "Acme", "admin@acme.com");
    let made = shell.run(&["member", "verify-link", "acme", "admin@acme.com", "--json"]).json();
    assert!(made["token"].as_str().unwrap().starts_with("tnt_verify_"), "{made}");
    let told = shell.run(&["member", "address-link", "acme", "admin@acme.com", "new@acme.com"]).done();
    assert!(told.starts_with("A link that proves new@acme.com.") && told.contains("tnt_address_"), "{told}");
    let listed = shell.run(&["member", "links", "acme", "admin@acme.com"]).done();
    assert!(listed.contains("email_verification  operator") && listed.contains("new@acme.com"), "{listed}");
    let revoked = shell.run(&["member", "revoke-link", "acme", "admin@acme.com", "email_change"]).done();
    assert_eq!(revoked, "Revoked the link email_change of admin@acme.com.\n");
    let refused = shell.run(&["member", "revoke-link", "acme", "admin@acme.com", "email_change"]).refused();
    assert!(refused.contains("code: link_not_found"), "{refused}");
    server.stop().await;
}
