//! Checks that dev-dependencies add no feature to a dependency of the program. Otherwise cargo compiles that crate, and all
//! crates that depend on it, twice: for the program and for the tests.

use std::{collections::BTreeMap, process::Command};

use crate::support::python;

/// Crates that are compiled twice on purpose: the Unicode tables for proptest would add 650 KB to the binary.
const TWICE: &[&str] = &["regex-syntax"];

/// The features of each crate (with its version) that `cargo tree` lists for these kinds of dependencies.
fn features(edges: &str) -> BTreeMap<String, String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--offline", "--prefix=none", "--format={p}|{f}", "--edges", edges]);
    command.current_dir(python::repository("."));
    let tree = python::run(command, "");
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    lines
        .filter_map(|line| line.split_once('|'))
        .map(|(name, list)| (name.to_owned(), list.to_owned()))
        .collect()
}

#[test]
fn dev_dependencies_add_no_feature_to_what_the_program_uses() {
    let with_tests = features("normal,dev,no-proc-macro");
    let program = features("normal,no-proc-macro");
    assert!(program.len() > 100, "{} crates", program.len());
    let is_known = |name: &str| TWICE.iter().any(|known| name.starts_with(&format!("{known} v")));
    for (name, features) in program.iter().filter(|(name, _)| !is_known(name)) {
        let tests = &with_tests[name];
        assert_eq!(
            tests, features,
            "{name}: add the feature to [dependencies], or do without it in the tests"
        );
    }
}
