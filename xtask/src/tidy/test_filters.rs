//! Checks the tests that `.config/nextest.toml` names: a filter that matches nothing has no effect, without a warning.

/// The settings of the test runner.
pub const FILE: &str = ".config/nextest.toml";

/// The findings in the settings, where `sources` are all files of the crates.
pub fn inspect(settings: &str, sources: &[String]) -> Vec<String> {
    let named = settings.split("test(=").skip(1).filter_map(|rest| rest.split(')').next());
    let is_missing = |test: &&str| {
        let function = format!("fn {}(", test.rsplit("::").next().unwrap_or(test));
        !sources.iter().any(|source| source.contains(&function))
    };
    named.filter(is_missing).map(|test| format!("{FILE}: there is no test {test}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_that_names_no_test_is_found() {
        let sources = ["async fn is_there() {}".to_owned()];
        let settings = "filter = 'test(=a::is_there) | test(=a::is_gone)'";
        assert_eq!(inspect(settings, &sources), [".config/nextest.toml: there is no test a::is_gone"]);
    }
}
