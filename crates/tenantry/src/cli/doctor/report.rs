//! The findings of the checks, and how they are printed.

use serde::Serialize;
use std::fmt;

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckOutcome {
    /// As it should be.
    Ok,
    /// The service works, but the operator should check this.
    Warn,
    /// The service does not work, or not safely.
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: CheckOutcome,
    found: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    advice: String,
}

/// The checks so far, in their order.
#[derive(Debug, Default)]
pub struct Report(Vec<Check>);

impl Report {
    /// All is as it should be.
    pub fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, CheckOutcome::Ok, found.into(), "");
    }

    /// The service works, but the operator should check this.
    pub fn warn(&mut self, check: &'static str, found: impl Into<String>, advice: &str) {
        self.add(check, CheckOutcome::Warn, found.into(), advice);
    }

    /// The service does not work, or not safely. No advice where `found` is sentences that end with one.
    pub fn fail(&mut self, check: &'static str, found: impl Into<String>, advice: &str) {
        self.add(check, CheckOutcome::Fail, found.into(), advice);
    }

    /// Whether something failed.
    pub fn has_failed(&self) -> bool {
        self.count(CheckOutcome::Fail) > 0
    }

    /// The report for programs.
    ///
    /// # Errors
    /// None that could happen.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&serde_json::json!({ "ok": !self.has_failed(), "checks": self.0 }))
    }

    fn add(&mut self, check: &'static str, verdict: CheckOutcome, found: String, advice: &str) {
        self.0.push(Check { check, verdict, found, advice: advice.to_owned() });
    }

    fn count(&self, verdict: CheckOutcome) -> usize {
        self.0.iter().filter(|check| check.verdict == verdict).count()
    }
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|check| check.check.len()).max().unwrap_or_default();
        for Check { check, verdict, found, advice } in &self.0 {
            let colon = if advice.is_empty() { "" } else { ": " };
            writeln!(f, "{verdict:4}  {check:width$}  {found}{colon}{advice}")?;
        }
        match (self.count(CheckOutcome::Fail), self.count(CheckOutcome::Warn)) {
            (0, 0) => write!(f, "\nAll is well."),
            (0, warnings) => write!(f, "\nNothing failed; warnings: {warnings}."),
            (failures, warnings) => write!(f, "\nFailed: {failures}; warnings: {warnings}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_a_line_per_check_and_fails_with_any() {
        let mut report = Report::default();
        report.ok("settings", "fine");
        assert!(!report.has_failed() && report.to_string().ends_with("\nAll is well."));
        report.warn("clock", "late", "set it");
        report.fail("schema", "Newer. Run the newer version.", "");
        assert!(report.has_failed());
        assert_eq!(
            report.to_string(),
            "ok    settings  fine\nwarn  clock     late: set it\nFAIL  schema    Newer. Run the newer version.\n\n\
             Failed: 1; warnings: 1."
        );
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(
            json["checks"][1],
            serde_json::json!({ "check": "clock", "verdict": "warn", "found": "late", "advice": "set it" })
        );
        assert_eq!(json["checks"][2].get("advice"), None);
    }
}
