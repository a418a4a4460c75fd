//! Names of tests: `subject_condition_result`, short enough to be read in a list of failures.

/// Characters of a name.
const MAX_CHARS: usize = 60;

/// Words that begin a sentence, where a name begins with what is tested.
const NO_SUBJECTS: [&str; 14] = [
    "a",
    "an",
    "everybody",
    "everything",
    "it",
    "no",
    "nobody",
    "nothing",
    "the",
    "they",
    "what",
    "whatever",
    "who",
    "whoever",
];

/// The findings in the Rust file `file`.
pub fn inspect(file: &str, text: &str) -> Vec<String> {
    let (mut findings, mut is_test) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines().map(str::trim_start)) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        if is_test && let Some(name) = function(line) {
            is_test = false;
            if name.len() > MAX_CHARS {
                let length = name.len();
                findings.push(format!(
                    "{file}:{number}: the test `{name}` has a name of {length} characters, more than {MAX_CHARS}"
                ));
            }
            if let Some(word) = name.split('_').next().filter(|word| NO_SUBJECTS.contains(word)) {
                findings.push(format!(
                    "{file}:{number}: the test `{name}` begins with `{word}`: begin with what is tested"
                ));
            }
        }
    }
    findings
}

/// The name of the function that `line` begins.
fn function(line: &str) -> Option<&str> {
    let declaration = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    declaration.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_name_that_is_long_or_begins_a_sentence_is_found() {
        let long = "x".repeat(MAX_CHARS + 1);
        let text = format!(
            "#[test]\nfn the_sort() {{}}\n    #[tokio::test(start_paused = true)]\n    #[should_panic]\n    \
             async fn no_rows() {{}}\n#[test]\nfn {long}(value in 0..9) {{}}\n"
        );
        assert_eq!(
            inspect("a.rs", &text),
            [
                "a.rs:2: the test `the_sort` begins with `the`: begin with what is tested".to_owned(),
                "a.rs:5: the test `no_rows` begins with `no`: begin with what is tested".to_owned(),
                format!("a.rs:7: the test `{long}` has a name of 61 characters, more than 60"),
            ]
        );
    }

    #[test]
    fn test_name_rule_ignores_other_functions_and_names() {
        let longest = "x".repeat(MAX_CHARS);
        let text =
            format!("fn the_helper() {{}}\n#[test]\nfn {longest}() {{}}\n#[test]\nfn theme_is_dark() {{}}\n");
        assert_eq!(inspect("a.rs", &text), [""; 0]);
    }
}
