//! Names that the code no longer uses, each with the one that took its place: one thing has one word.

/// Retired identifiers of `crates/`, and what to say instead.
const RETIRED: [(&str, &str); 37] = [
    ("AnyCaller", "RequireCaller"),
    ("Attempt", "EngineResult, or SignInAttempt"),
    ("Begun", "BuildStart"),
    ("Driven", "RunOutcome"),
    ("Further", "ExtraCollection"),
    ("InCollection", "CollectionPath"),
    ("InTurn", "LimitedCollections, LimitedDocuments"),
    ("Leaving", "MemberCleanup"),
    ("Lending", "ReaderLending"),
    ("Located", "CollectionHandle"),
    ("Managed", "ManageAccess"),
    ("Obstacle", "StartupError"),
    ("OperatorCaller", "RequireOperator"),
    ("PatientStream", "PacedStream"),
    ("RequestKey", "IdempotencyKey"),
    ("RequestRecord", "IdempotencyRecord"),
    ("SavedAnswer", "StoredResponse"),
    ("SignedIn", "AccountPrincipal"),
    ("Signup", "SignupAccess"),
    ("ThrottleKey", "RateLimitKey"),
    ("Throttles", "RateLimits"),
    ("Turns", "TenantLimiter"),
    ("UnderWay", "RunningBuild"),
    ("claim_anew", "retry_claim"),
    ("doubt_usage", "invalidate_usage"),
    ("expect_free", "ensure_available"),
    ("expect_rested", "ensure_cooldown_over"),
    ("forget_identity", "invalidate_uuid"),
    ("further_now", "extra_collections_now"),
    ("keep_house", "maintain"),
    ("make_good", "compensate"),
    ("remember_identity", "cache_uuid"),
    ("shows_later", "is_deferred"),
    ("take_back", "rollback_insert"),
    ("there_already", "existing_duplicate"),
    ("undo_again", "repeat_undo"),
    ("why_not", "explain_denial"),
];

/// The findings in one line of a Rust file of `crates/`; what a comment says is prose.
pub fn inspect<'a>(file: &'a str, number: usize, line: &'a str) -> impl Iterator<Item = String> + 'a {
    let code = line.split("//").next().unwrap_or_default();
    let has =
        move |name: &str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    let retired = RETIRED.iter().filter(move |(name, _)| file.starts_with("crates/") && has(name));
    retired.map(move |(name, instead)| format!("{file}:{number}: `{name}` is retired, say {instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retired_name_is_found_in_code_and_not_in_comments() {
        let findings = |file, line| inspect(file, 7, line).collect::<Vec<_>>();
        assert_eq!(
            findings("crates/domain/src/a.rs", "fn a() -> Attempt<u8> {"),
            ["crates/domain/src/a.rs:7: `Attempt` is retired, say EngineResult, or SignInAttempt"]
        );
        assert!(findings("crates/domain/src/a.rs", "let a = 1; // Further down").is_empty());
        assert!(findings("crates/domain/src/a.rs", "fn is_there_already() {}").is_empty());
        assert!(findings("xtask/src/a.rs", "fn keep_house() {}").is_empty());
    }
}
