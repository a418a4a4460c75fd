//! Checks that no files of a crate use each other in a circle: types that two files share belong in a file below both.
//!
//! The `use` items, and the paths in code that begin with `crate::`, `super::` or the name of a child module, are read as
//! text, without a compiler. A name that a module re-exports from one of its children counts as the child's.

use std::collections::{BTreeMap, BTreeSet};

/// The path of a module within its crate; the root's is empty.
type ModulePath = Vec<String>;

/// A source file: its name from the root of the repository, and its text.
pub type SourceFile = (String, String);

/// A finding for each circle of files in one crate.
pub fn circles(files: &[SourceFile]) -> Vec<String> {
    let mut crates: BTreeMap<&str, BTreeMap<ModulePath, Module>> = BTreeMap::new();
    for (file, text) in files {
        if let Some((name, path)) = file.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) {
            let module = Module { file, text: code(text) };
            crates.entry(name).or_default().insert(module_path(path), module);
        }
    }
    crates.values().flat_map(circles_of_crate).collect()
}

struct Module<'a> {
    file: &'a str,
    text: String,
}

/// The path of the module in the file `path` below `src`.
fn module_path(path: &str) -> ModulePath {
    let mut parts: ModulePath = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        parts.pop();
    }
    parts
}

/// `text` without its tests and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn circles_of_crate(modules: &BTreeMap<ModulePath, Module>) -> Vec<String> {
    let exports = re_exports(modules);
    let is_test = |path: &ModulePath| path.iter().any(|part| part == "tests");
    let uses: BTreeMap<&ModulePath, BTreeSet<ModulePath>> = modules
        .iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, module)| (path, targets(path, &module.text, modules, &exports)))
        .collect();
    let mut found = BTreeSet::new();
    for start in uses.keys() {
        if let Some(circle) = circle_through(start, &uses) {
            found.insert(circle.into_iter().map(|path| modules[path].file).collect::<BTreeSet<_>>());
        }
    }
    let describe = |circle: &BTreeSet<&str>| {
        let files = circle.iter().copied().collect::<Vec<_>>().join(", ");
        format!("{files}: use each other in a circle: move what they share into a file below")
    };
    found.iter().map(describe).collect()
}

/// The shortest way along `uses` from `start` back to it.
fn circle_through<'a>(
    start: &'a ModulePath,
    uses: &'a BTreeMap<&ModulePath, BTreeSet<ModulePath>>,
) -> Option<Vec<&'a ModulePath>> {
    let mut ways = vec![vec![start]];
    let mut visited = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in uses.get(way.last()?).into_iter().flatten() {
                if next == start {
                    return Some(way);
                }
                if visited.insert(next) {
                    longer.push([way.as_slice(), &[next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// For each module, the children that its re-exported names come from.
fn re_exports(modules: &BTreeMap<ModulePath, Module>) -> BTreeMap<(ModulePath, String), ModulePath> {
    let mut exports = BTreeMap::new();
    for (path, module) in modules {
        for (_, used) in use_items(&module.text).filter(|(is_public, _)| *is_public) {
            for parts in expand(&used) {
                let target = resolve(path, &parts, modules);
                if let (Some(target), Some(name)) = (target, parts.last())
                    && target != *path
                {
                    exports.insert((path.clone(), name.clone()), target);
                }
            }
        }
    }
    exports
}

/// The modules that `text`, which is of the module `path`, uses.
fn targets(
    path: &ModulePath,
    text: &str,
    modules: &BTreeMap<ModulePath, Module>,
    exports: &BTreeMap<(ModulePath, String), ModulePath>,
) -> BTreeSet<ModulePath> {
    // A module that re-exports what its children have is their face; it does not use them for that.
    let is_face = |is_public: bool, parts: &[String]| {
        is_public && parts.first().is_some_and(|first| !matches!(first.as_str(), "crate" | "super"))
    };
    let items: Vec<_> = use_items(text)
        .flat_map(|(is_public, used)| expand(&used).into_iter().map(move |parts| (is_public, parts)))
        .filter(|(is_public, parts)| !is_face(*is_public, parts))
        .map(|(_, parts)| parts)
        .collect();
    let mut found = BTreeSet::new();
    let children = modules.keys().filter(|child| child.len() == path.len() + 1 && child.starts_with(path));
    let roots =
        ["crate", "super"].into_iter().chain(children.filter_map(|child| Some(child.last()?.as_str())));
    for parts in items.into_iter().chain(paths_in_code(text, roots)) {
        let Some(mut target) = resolve(path, &parts, modules) else { continue };
        while let Some(source) = parts.last().and_then(|name| exports.get(&(target.clone(), name.clone()))) {
            target = source.clone();
        }
        if target != *path {
            found.insert(target);
        }
    }
    found
}

/// The module in which the path `parts`, seen from the module `from`, ends; none if it leads out of the crate.
fn resolve(
    from: &ModulePath,
    parts: &[String],
    modules: &BTreeMap<ModulePath, Module>,
) -> Option<ModulePath> {
    let supers = parts.iter().take_while(|part| *part == "super").count();
    let (mut module, mut rest) = match parts.first()?.as_str() {
        "crate" => (Vec::new(), &parts[1..]),
        "self" => (from.clone(), &parts[1..]),
        "super" => (from[..from.len().checked_sub(supers)?].to_vec(), &parts[supers..]),
        child => {
            let is_child = modules.contains_key(&[from.as_slice(), &[child.to_owned()]].concat());
            (is_child.then(|| from.clone())?, parts)
        }
    };
    while let Some((next, after)) = rest.split_first() {
        module.push(next.clone());
        if !modules.contains_key(&module) {
            module.pop();
            break;
        }
        rest = after;
    }
    Some(module)
}

/// The `use` items at the left margin: whether each is public, and its tree.
fn use_items(text: &str) -> impl Iterator<Item = (bool, String)> {
    let starts = text.match_indices("use ").filter(move |(at, _)| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default();
        line.is_empty() || (line.starts_with("pub") && !line.contains("fn"))
    });
    starts.filter_map(|(at, word)| {
        let is_public = !text[..at].ends_with('\n') && at > 0;
        let tree = text[at + word.len()..].split(';').next()?;
        Some((is_public, tree.split_whitespace().collect::<Vec<_>>().join(" ")))
    })
}

/// The paths of a `use` tree.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let Some((prefix, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|part| part.trim().to_owned()).collect()];
    };
    let group = group.trim_end().trim_end_matches('}');
    let (mut branches, mut depth, mut branch) = (Vec::new(), 0, String::new());
    for letter in group.chars() {
        match letter {
            ',' if depth == 0 => branches.push(std::mem::take(&mut branch)),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                branch.push(letter);
            }
        }
    }
    branches.push(branch);
    let branches = branches.iter().map(|branch| branch.trim()).filter(|branch| !branch.is_empty());
    branches.flat_map(|branch| expand(&format!("{prefix}{branch}{}", closing(branch)))).collect()
}

/// What a branch lost with the end of its group.
fn closing(branch: &str) -> String {
    let open = branch.matches('{').count().saturating_sub(branch.matches('}').count());
    "}".repeat(open)
}

/// The paths outside of `use` items that begin with one of `roots`.
fn paths_in_code<'a>(text: &str, roots: impl Iterator<Item = &'a str>) -> Vec<Vec<String>> {
    let text = without_use_items(text);
    let mut found = Vec::new();
    for root in roots {
        for (at, _) in text.match_indices(&format!("{root}::")) {
            let before = &text[..at];
            let is_part = before.ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
            // A visibility says who may use an item, not what it uses.
            let is_visibility = before.ends_with("in ");
            if is_part || is_visibility {
                continue;
            }
            let end = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
            let path = text[at..].split(end).next().unwrap_or_default();
            found.push(path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect());
        }
    }
    found
}

/// `text` without its `use` items, also those within functions and modules.
fn without_use_items(text: &str) -> String {
    let (mut kept, mut in_item) = (String::with_capacity(text.len()), false);
    for line in text.lines() {
        let item = line.trim_start();
        in_item |= item.starts_with("use ") || (item.starts_with("pub") && item.contains(" use "));
        if !in_item {
            kept.push_str(line);
            kept.push('\n');
        }
        in_item &= !line.contains(';');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_in(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> =
            files.iter().map(|(name, text)| (format!("crates/a/src/{name}"), (*text).to_owned())).collect();
        circles(&files)
    }

    #[test]
    fn files_that_use_each_other_are_found() {
        let found = circles_in(&[
            ("lib.rs", "mod one;\nmod two;\n"),
            ("one.rs", "use super::two::Two;\npub struct One;\n"),
            ("two.rs", "use crate::{\n    one::One,\n    other,\n};\npub struct Two;\n"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("crates/a/src/one.rs, crates/a/src/two.rs: use each other"),
            "{found:?}"
        );
    }

    #[test]
    fn re_exported_name_counts_as_the_file_that_has_it() {
        let parent = "mod below;\nmod user;\npub use below::{Shared, More};\nuse user::User;\n";
        let below = "pub struct Shared;\npub struct More;\n";
        let files = [("lib.rs", "mod parent;\n"), ("parent.rs", parent), ("parent/below.rs", below)];
        let good =
            [files.as_slice(), &[("parent/user.rs", "use super::Shared;\npub struct User;\n")]].concat();
        assert!(circles_in(&good).is_empty(), "{:?}", circles_in(&good));
        let bad = [files.as_slice(), &[("parent/user.rs", "use super::Own;\npub struct User;\n")]].concat();
        assert_eq!(circles_in(&bad).len(), 1);
    }

    #[test]
    fn inline_path_to_child_counts_as_use() {
        let parent = "mod child;\npub struct Parent;\nfn start() {\n    child::start();\n}\n";
        let child = "use super::Parent;\npub fn start() {}\n";
        let found = circles_in(&[("lib.rs", parent), ("child.rs", child)]);
        assert_eq!(found.len(), 1, "{found:?}");
        let other = parent.replace("child::start()", "grandchild::start()");
        assert!(circles_in(&[("lib.rs", &other), ("child.rs", child)]).is_empty());
    }

    #[test]
    fn tests_comments_and_visibilities_are_no_uses() {
        let one = "// See crate::two.\npub(in crate::two) fn one() {}\n#[cfg(test)]\nmod tests {\n    use crate::two;\n}\n";
        let two = "fn two() {\n    crate::one::one();\n}\n";
        assert!(
            circles_in(&[("lib.rs", "mod one;\nmod two;\n"), ("one.rs", one), ("two.rs", two)]).is_empty()
        );
    }
}
