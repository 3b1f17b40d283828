//! The shape of the code, held by reading it: which module may use which, and that the README tells the truth.

use std::{fs, path::Path};

use presignd::{config::settings::SETTINGS, metrics::definitions};

use crate::support::python;

/// Each outside crate, and the one place that uses it.
const HOMES: &[(&str, &[&str])] = &[
    ("aws_sigv4", &["src/presign/sign.rs"]),
    ("sha2", &["src/presign/sign.rs"]),
    ("hmac", &["src/presign/sign.rs"]),
    ("ring", &["src/presign/sign.rs"]),
    ("p256", &["src/presign/sign.rs"]),
    ("const_hex", &["src/presign/sign.rs"]),
    ("aws_smithy_xml", &["src/presign/explain/error_body.rs"]),
    ("quick_cache", &["src/presign/snapshot.rs", "src/credentials/sessions.rs"]),
    ("aws_sdk_s3", &["src/presign/endpoint.rs", "src/credentials/sessions/create.rs"]),
    ("aws_config", &["src/credentials/source.rs"]),
    ("aws_runtime", &["src/credentials/source.rs"]),
    ("aws_types", &["src/credentials/source.rs", "src/credentials/source/found.rs"]),
    ("aws_smithy_async", &["src/credentials/source.rs", "src/credentials/sessions/create.rs"]),
    ("aws_smithy_http_client", &["src/credentials/source.rs"]),
    ("metrics_exporter_prometheus", &["src/metrics.rs"]),
    ("aws_smithy_types::base64", &["src/presign/post/policy.rs"]),
    (
        "clap",
        &[
            "src/config/arguments.rs",
            "src/config/arguments/explain.rs",
            "src/config/arguments/post.rs",
            "src/config/arguments/presign.rs",
        ],
    ),
    ("env::", &["src/config/arguments.rs", "src/shelter.rs"]),
    ("SystemTime::now", &["src/clock.rs"]),
    ("Instant::now", &["src/clock.rs"]),
];

/// Every source file, by its path in the repository, without its comments and tests.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![python::repository("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((name(&path), code(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(found.len() > 30, "the sources are there");
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string()
}

fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a path that begins with this word is in the code: `ring::` is not in `String::`.
fn has_word(code: &str, word: &str) -> bool {
    let part_of_another = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| !part_of_another(&code[..at]))
}

#[test]
fn each_outside_crate_has_one_home() {
    for (file, code) in sources() {
        for (used, homes) in HOMES {
            let word = format!("{used}{}", if used.ends_with("::") { "" } else { "::" });
            let uses = has_word(&code, &word) || (used.ends_with("::now") && code.contains(used));
            assert!(!uses || homes.contains(&file.as_str()), "{file} uses {used}, whose home is {homes:?}");
        }
    }
}

#[test]
fn the_core_knows_nothing_else_of_ours_and_no_runtime() {
    for (file, code) in sources().iter().filter(|(file, _)| file.starts_with("src/presign")) {
        let outside = code.replace("crate::presign", "");
        // `std::net` has the form of addresses, too: no socket type is used.
        for word in [
            "TcpStream",
            "UnixStream",
            "crate::",
            "tokio",
            "tonic",
            "prost",
            "tracing",
            "std::fs",
            "std::env",
        ] {
            assert!(!outside.contains(word), "{file} uses {word}");
        }
    }
}

#[test]
fn nothing_but_the_commands_imports_the_server() {
    for (file, code) in sources() {
        let part_of_it = file.starts_with("src/server") || file == "src/commands.rs";
        assert!(part_of_it || !code.contains("crate::server"), "{file} imports the server");
    }
}

fn readme() -> String {
    fs::read_to_string(python::repository("README.md")).expect("there is a README")
}

#[test]
fn the_readme_has_every_setting_with_its_default() {
    let readme = readme();
    for setting in SETTINGS {
        let shown = setting.name.replace("signers.default.", "signers.NAME.");
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{shown}`")));
        let row = row.unwrap_or_else(|| panic!("{shown} is in the README's table of settings"));
        let default = setting.default.map_or("none".to_owned(), |default| format!("`{default}`"));
        assert!(row.contains(&default), "the row of {shown} says {default}: {row}");
    }
}

#[test]
fn the_readme_has_every_metric_with_its_labels() {
    let readme = readme();
    for metric in definitions::ALL {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{}`", metric.name)));
        let row = row.unwrap_or_else(|| panic!("{} is in the README's table of metrics", metric.name));
        for label in metric.labels {
            assert!(
                row.contains(&format!("`{label}`")),
                "the row of {} has its label {label}: {row}",
                metric.name
            );
        }
    }
}

#[test]
fn the_parameters_of_every_operation_are_those_of_the_model_of_s3() {
    let mut command = python::script("s3_model.py");
    command.arg(python::repository("src/service/parameters.rs"));
    command.arg(python::repository("proto/presign/v1/presign.proto"));
    command.arg(python::repository("src/presign/parameters.rs"));
    let said = python::run(command, "");
    assert!(said.starts_with("24 operations, "), "{said}");
}
