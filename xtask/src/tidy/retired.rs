//! Names that the code no longer uses, each with the one that took its place: one thing has one word.

/// Retired identifiers of `crates/`, and what to say instead.
const RETIRED: [(&str, &str); 87] = [
    ("APART", "SPELLING_SEPARATOR"),
    ("ARCHIVE_SPREAD", "ARCHIVE_EXPANSION_MAX"),
    ("Answers", "ServerResponses"),
    ("AnyCaller", "RequireCaller"),
    ("Asleep", "StoppedInstance"),
    ("AtWork", "MemberLoad"),
    ("Attempt", "EngineResult, or SignInAttempt"),
    ("BEHIND_APART", "SPELLING_RANGE_END"),
    ("Begun", "BuildStart"),
    ("Built", "IndexBuildState"),
    ("Came", "ChangeOutcome"),
    ("Collected", "CollectedOutput"),
    ("DRAWN", "IDS_PER_DRAW"),
    ("Driven", "RunOutcome"),
    ("Ended", "FinishedProcess"),
    ("FAMILIAR", "KNOWN_NETWORK"),
    ("FRESH", "CACHE_DURATION"),
    ("Fate", "BodyState, or RenewalResult"),
    ("Further", "ExtraCollection"),
    ("GIVES_WAY", "BACKOFF_MAX"),
    ("ID_REST", "ID_COOLDOWN"),
    ("IfNotShown", "IfNoneMatchBody"),
    ("IfRevision", "IfMatchRevision"),
    ("IfShown", "IfMatchBody"),
    ("InCollection", "CollectionPath"),
    ("InTurn", "LimitedCollections, LimitedDocuments"),
    ("JANITOR_BATCH", "MAINTENANCE_BATCH"),
    ("JANITOR_INTERVAL", "MAINTENANCE_INTERVAL"),
    ("Kind", "ErrorKind"),
    ("Known", "KnownOrganization"),
    ("LINGER", "BATCH_DELAY"),
    ("LITTLE_BYTES", "LOW_SPACE_BYTES"),
    ("LOOK_INTERVAL", "CHECK_INTERVAL"),
    ("Leaving", "MemberCleanup"),
    ("Lending", "ReaderLending"),
    ("Located", "CollectionHandle"),
    ("Managed", "ManageAccess"),
    ("Mistake", "InputDiagnosis"),
    ("MoveContainer", "RenameContainer"),
    ("OF_HOST", "HOST_BYTES"),
    ("Obstacle", "StartupError"),
    ("OperatorCaller", "RequireOperator"),
    ("PatientStream", "PacedStream"),
    ("Place", "TestEnv"),
    ("Places", "ConnectionSlots"),
    ("RECENT", "RECENT_READ_MAX_AGE"),
    ("RESERVES", "RESERVE_DIVISOR"),
    ("Ran", "CommandOutput"),
    ("Reading", "BatchFuture"),
    ("Received", "ReceivedClaims"),
    ("Remade", "Rebuilt"),
    ("RequestKey", "IdempotencyKey"),
    ("RequestRecord", "IdempotencyRecord"),
    ("SORT_AT", "SORT_POINTER"),
    ("SavedAnswer", "StoredResponse"),
    ("Scripted", "ScriptedOrganizations"),
    ("Sent", "PendingRequest"),
    ("SentCredential", "CredentialInput"),
    ("Sevens", "FixedEntropy"),
    ("SignedIn", "AccountPrincipal"),
    ("Signup", "SignupAccess"),
    ("Sources", "ClockAndEntropy"),
    ("TIDY_INTERVAL", "CLEANUP_INTERVAL"),
    ("Taking", "AllocationHook"),
    ("ThrottleKey", "RateLimitKey"),
    ("Throttles", "RateLimits"),
    ("Told", "LoggedState"),
    ("Turns", "TenantLimiter"),
    ("UNTIL_THE_SIGNAL_IS_HERE", "SIGNAL_TIMEOUT"),
    ("UnderWay", "RunningBuild"),
    ("Watch", "ExportWatch"),
    ("World", "Scenario"),
    ("claim_anew", "retry_claim"),
    ("doubt_usage", "invalidate_usage"),
    ("expect_free", "ensure_available"),
    ("expect_rested", "ensure_cooldown_over"),
    ("forget_identity", "invalidate_uuid"),
    ("further_now", "extra_collections_now"),
    ("json_mistake", "json_diagnosis"),
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
