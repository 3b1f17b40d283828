//! Dev-dependencies add no feature to what the program uses: cargo would compile it, and all that depends on it, once for
//! the program and once more for the tests.

use std::{collections::BTreeMap, process::Command};

use crate::support::python;

/// Crates that are compiled twice all the same: the Unicode tables that proptest needs are 650 KB in the binary.
const TWICE: &[&str] = &["regex-syntax"];

/// The features of each crate (with its version) that `cargo tree` finds by edges of these kinds.
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
