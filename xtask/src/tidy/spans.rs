//! Checks that every use case and every call of a port has a span, so that a trace shows where the time of a request went;
//! that no span records its arguments unasked, which may be secrets; and that it has the organization's id, where the
//! signature says whose data it is about.

/// Where use cases are.
const USE_CASES: &str = "crates/domain/src/app";
/// Where ports are implemented for an engine.
const ENGINES: [&str; 2] = ["crates/store-sqlite/src/", "crates/store-mongodb/src/"];
/// Parts of one use case or call, which has the span.
const PARTS: [&str; 2] = ["crates/domain/src/app/archives/source.rs", "crates/store-mongodb/src/placements/"];

/// Arguments that say which organization a use case or a call is about. (A trail's right is not among them: its span has the
/// chain.)
const OF_ORGANIZATION: [&str; 10] = [
    "&TenantAccess<",
    "&KeyAccess",
    "&MemberAccess",
    "&ManageAccess",
    "&AdministerAccess",
    "&LogAccess",
    "&IssueAccess",
    "&OrganizationView",
    "organization: &Organization",
    "organization_id: OrganizationId",
];

/// The findings in the Rust file `file`.
pub fn inspect(file: &str, text: &str) -> Vec<String> {
    let is_engine = ENGINES.iter().any(|engine| file.starts_with(engine));
    if PARTS.iter().any(|part| file.starts_with(part)) || !(is_engine || file.starts_with(USE_CASES)) {
        return Vec::new();
    }
    let start = if is_engine { "    async fn " } else { "    pub async fn " };
    let (mut findings, mut span, mut is_port) = (Vec::new(), None, !is_engine);
    let mut before = "";
    let lines: Vec<&str> = text.lines().collect();
    for (index, &line) in lines.iter().enumerate() {
        let number = index + 1;
        if is_engine && line.starts_with("impl ") {
            is_port = before == "#[async_trait]";
        }
        before = line;
        if line.starts_with("    #[tracing::instrument") {
            let attribute = until(&lines[index..], |line| line.ends_with(")]"));
            if !attribute.contains("skip_all") {
                findings.push(format!("{file}:{number}: the span records its arguments: add `skip_all`"));
            }
            span = Some(attribute);
        } else if line.starts_with(start) {
            let span = span.take();
            if is_port && span.is_none() {
                findings.push(format!("{file}:{number}: no span: add `#[tracing::instrument(..)]`"));
            }
            let signature = until(&lines[index..], |line| line.ends_with('{') || line.ends_with('}'));
            let is_of_one = OF_ORGANIZATION.iter().any(|argument| signature.contains(argument));
            if is_of_one && span.is_some_and(|span| !span.contains("organization")) {
                findings.push(format!(
                    "{file}:{number}: the span lacks `organization`: add it to its `fields(..)`"
                ));
            }
        }
    }
    findings
}

/// The first lines, with the first that is an end.
fn until(lines: &[&str], is_end: impl Fn(&str) -> bool) -> String {
    let end = lines.iter().position(|line| is_end(line)).map_or(lines.len(), |last| last + 1);
    lines[..end].join("\n")
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
    fn span_without_organization_or_skip_all_is_found() {
        let use_case = "    pub async fn one(\n        &self,\n        access: &KeyAccess,\n    ) -> Result<()> {\n    }\n";
        let found = |span: &str| inspect("crates/domain/src/app/a.rs", &format!("{span}{use_case}")).len();
        assert_eq!(found(SPAN), 1);
        assert_eq!(
            found("    #[tracing::instrument(level = \"debug\", skip_all, fields(organization = 1))]\n"),
            0
        );
        assert_eq!(
            found(
                "    #[tracing::instrument(\n        skip_all,\n        fields(organization = 1)\n    )]\n"
            ),
            0
        );
        assert_eq!(found("    #[tracing::instrument(fields(organization = 1))]\n"), 1);
    }

    #[test]
    fn port_call_without_span_is_found_and_helper_is_not() {
        let text = "impl A {\n    async fn helper() {}\n}\n#[async_trait]\nimpl B for A {\n    async fn call() {}\n}\n";
        let found = inspect("crates/store-sqlite/src/a.rs", text);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("a.rs:6: no span"), "{found:?}");
    }
}
