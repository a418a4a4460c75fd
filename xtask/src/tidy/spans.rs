//! Checks that every use case and every call of a port has a span, so that a trace shows where the time of a request went.

/// Where use cases are.
const USE_CASES: &str = "crates/domain/src/app";
/// Where ports are implemented for an engine.
const ENGINES: [&str; 2] = ["crates/store-sqlite/src/", "crates/store-mongodb/src/"];
/// Parts of one use case or call, which has the span.
const PARTS: [&str; 2] = ["crates/domain/src/app/archives/source.rs", "crates/store-mongodb/src/placements/"];

/// The findings in the Rust file `file`.
pub fn inspect(file: &str, text: &str) -> Vec<String> {
    let is_engine = ENGINES.iter().any(|engine| file.starts_with(engine));
    if PARTS.iter().any(|part| file.starts_with(part)) || !(is_engine || file.starts_with(USE_CASES)) {
        return Vec::new();
    }
    let start = if is_engine { "    async fn " } else { "    pub async fn " };
    let (mut findings, mut has_span, mut is_port) = (Vec::new(), false, !is_engine);
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        if is_engine && line.starts_with("impl ") {
            is_port = before == "#[async_trait]";
        }
        before = line;
        if line.starts_with("    #[tracing::instrument") {
            has_span = true;
        } else if line.starts_with(start) {
            if is_port && !has_span {
                findings.push(format!("{file}:{number}: no span: add `#[tracing::instrument(..)]`"));
            }
            has_span = false;
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: &str = "    #[tracing::instrument(level = \"debug\", skip_all)]\n";

    #[test]
    fn use_case_without_span_is_found() {
        let text = format!("impl A {{\n{SPAN}    pub async fn one() {{}}\n    pub async fn two() {{}}\n}}\n");
        let found = inspect("crates/domain/src/app/a.rs", &text);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/domain/src/app/a.rs:4: no span"), "{found:?}");
        assert!(inspect("crates/domain/src/clock.rs", &text).is_empty());
    }

    #[test]
    fn port_call_without_span_is_found_and_helper_is_not() {
        let text = "impl A {\n    async fn helper() {}\n}\n#[async_trait]\nimpl B for A {\n    async fn call() {}\n}\n";
        let found = inspect("crates/store-sqlite/src/a.rs", text);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("a.rs:6: no span"), "{found:?}");
    }
}
