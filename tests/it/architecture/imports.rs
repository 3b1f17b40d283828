//! Which module imports which, and which modules use which outside crate. A failing test prints the table of today's
//! code: what was meant goes into the table here, what was not is a mistake in the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
};

use super::sources::{self, Module};
use crate::support::python;

type Table = BTreeMap<String, BTreeSet<String>>;
type Rows = &'static [(&'static str, &'static [&'static str])];

/// Each module at the top of `src/`, and those that it imports.
const MODULES: Rows = &[
    ("admin", &["clock", "credentials", "health", "listen", "metrics"]),
    ("client", &["config", "pb"]),
    ("clock", &[]),
    ("config", &["credentials", "presign"]),
    ("credentials", &["clock", "metrics", "presign", "shelter"]),
    ("health", &["credentials"]),
    ("listen", &["config"]),
    ("log", &["config"]),
    ("main", &["client", "clock", "config", "listen", "log", "server", "shelter", "signals"]),
    ("metrics", &["presign"]),
    ("pb", &[]),
    ("presign", &[]),
    (
        "server",
        &[
            "admin",
            "clock",
            "config",
            "credentials",
            "health",
            "listen",
            "metrics",
            "pb",
            "service",
            "shelter",
            "signals",
        ],
    ),
    ("service", &["clock", "credentials", "metrics", "pb", "presign"]),
    ("shelter", &["presign"]),
    ("signals", &[]),
];

/// The modules that may start a server: nothing else knows it.
const ENTRY: &[&str] = &["main"];

/// The core: pure functions of their arguments.
const CORE: &[&str] = &["presign"];

/// What the core never uses: runtimes, the wire, logs, and what std offers of the system.
const NOT_IN_CORE: &[&str] = &[
    "hyper",
    "prost",
    "std::env",
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "std::thread",
    "tokio",
    "tonic",
    "tracing",
];

/// Each crate in Cargo.toml, and the modules that may use it, with the modules below them. A part of a crate or of std
/// can have a row of its own.
const CRATES: Rows = &[
    ("arc_swap", &["credentials", "presign::sign"]),
    ("aws_config", &["credentials::source"]),
    ("aws_credential_types", &["credentials::sessions::create", "credentials::source"]),
    ("aws_runtime", &["credentials::source"]),
    ("aws_sdk_s3", &["credentials::sessions::create", "presign::endpoint"]),
    ("aws_sigv4", &["presign::sign"]),
    ("aws_smithy_async", &["credentials::sessions::create", "credentials::source"]),
    ("aws_smithy_http_client", &["credentials::source"]),
    ("aws_smithy_runtime_api", &["credentials::source"]),
    ("aws_smithy_types", &["credentials::source", "presign::endpoint", "presign::post::policy"]),
    ("aws_smithy_types::base64", &["presign::post::policy"]),
    ("aws_smithy_xml", &["presign::explain::error_body"]),
    ("aws_types", &["credentials::source"]),
    ("axum", &["admin"]),
    ("clap", &["config::arguments"]),
    ("const_hex", &["presign::sign"]),
    ("futures_util", &["credentials::signers", "health", "presign::endpoint", "service"]),
    // Only for its features: see Cargo.toml.
    ("getrandom", &[]),
    ("hmac", &["presign::sign"]),
    ("http", &["presign::endpoint::rules", "server::calls"]),
    (
        "humantime",
        &["admin", "client", "config", "credentials", "presign::error", "presign::explain::finding"],
    ),
    ("hyper", &["admin", "server"]),
    ("hyper_util", &["admin", "client", "server::connections"]),
    ("itoa", &["presign::post::policy", "presign::prepared"]),
    ("memchr", &["service::sessions"]),
    ("metrics", &["metrics"]),
    ("metrics_exporter_prometheus", &["metrics"]),
    ("metrics_process", &["metrics"]),
    ("mimalloc", &["main"]),
    // Only for its features: see Cargo.toml.
    ("num_traits", &[]),
    ("p256", &["presign::sign"]),
    ("prost", &["server::calls", "service"]),
    ("prost_types", &["client", "service"]),
    ("quick_cache", &["credentials::sessions", "presign::snapshot"]),
    ("ring", &["presign::sign"]),
    ("rustix", &["listen", "shelter"]),
    ("sd_notify", &["server"]),
    ("serde", &[]),
    ("serde_json", &["client"]),
    ("sha2", &["presign::sign"]),
    ("std::env", &["config::arguments", "main", "shelter"]),
    ("std::fs", &["client::explain", "config::layers", "credentials::files", "listen", "shelter"]),
    ("std::io", &["client", "config::layers", "listen", "log", "main", "shelter", "signals"]),
    ("std::os", &["client", "credentials::files", "listen", "shelter"]),
    ("std::process", &["main", "shelter"]),
    ("std::thread", &[]),
    ("std::time::Instant::now", &["clock"]),
    ("std::time::SystemTime::now", &["clock"]),
    ("strsim", &["config"]),
    ("thiserror", &["client", "config", "credentials", "listen", "presign", "server", "service"]),
    ("time", &["presign::explain::authentication", "presign::time", "service::fields"]),
    (
        "tokio",
        &["admin", "client", "credentials", "health", "listen", "main", "server", "service", "signals"],
    ),
    ("tokio_stream", &["service::stream"]),
    ("tokio_util", &["client", "credentials", "listen", "server"]),
    ("toml", &["config::layers"]),
    ("tonic", &["client", "pb", "server", "service"]),
    ("tonic_health", &["client", "health", "server"]),
    // The generated code in `pb` uses it.
    ("tonic_prost", &[]),
    ("tonic_reflection", &["server"]),
    ("tonic_types", &["server", "service"]),
    ("tower", &["client", "server::calls"]),
    ("tracing", &["admin", "credentials", "health", "listen", "log", "server", "shelter"]),
    ("tracing_subscriber", &["log"]),
    ("zeroize", &["presign", "shelter"]),
];

fn table(rows: Rows) -> Table {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let table: Table = rows.iter().map(|(name, list)| ((*name).to_owned(), texts(list))).collect();
    assert_eq!(table.len(), rows.len(), "each row is there once");
    table
}

/// A table as it stands in this file.
fn print(table: &Table) -> String {
    table.iter().fold(String::new(), |mut text, (name, list)| {
        let list: Vec<_> = list.iter().map(|entry| format!("\"{entry}\"")).collect();
        writeln!(text, "    (\"{name}\", &[{}]),", list.join(", ")).unwrap();
        text
    })
}

/// What each module at the top imports.
fn imports(modules: &[Module]) -> Table {
    let mut imports = Table::new();
    for module in modules {
        let top = module.top();
        let row = imports.entry(top.to_owned()).or_default();
        let of_the_crate = module.uses.iter().filter(|path| path[0] == "crate").map(|path| &path[1]);
        row.extend(of_the_crate.filter(|other| *other != top).cloned());
    }
    imports
}

#[test]
fn each_module_imports_what_its_row_lists() {
    let actual = imports(&sources::MODULES);
    assert!(actual == table(MODULES), "the table of today's code:\n{}", print(&actual));
}

#[test]
fn only_the_entry_imports_the_server() {
    for (module, row) in imports(&sources::MODULES) {
        assert!(!row.contains("server") || ENTRY.contains(&&*module), "{module} imports the server");
    }
}

#[test]
fn the_core_uses_no_runtime_and_nothing_of_the_system() {
    let core = sources::MODULES.iter().filter(|module| CORE.contains(&module.top()));
    for module in core {
        for part in NOT_IN_CORE {
            assert!(!module.uses_part_of(part), "{} uses {part}", module.path.join("::"));
        }
    }
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut open = table(MODULES);
    while !open.is_empty() {
        let done: Vec<_> =
            open.iter().filter(|(_, row)| row.is_empty()).map(|(name, _)| name.clone()).collect();
        assert!(!done.is_empty(), "a circle among:\n{}", print(&open));
        for name in done {
            open.remove(&name);
            for row in open.values_mut() {
                row.remove(&name);
            }
        }
    }
}

/// The files that each file imports, by the paths of their modules.
fn file_imports(modules: &[Module]) -> Table {
    let name = |path: &[String]| path.join("::");
    let known: BTreeSet<String> = modules.iter().map(|module| name(&module.path)).collect();
    let file_of = |path: &[String]| {
        let prefixes = (1..=path.len()).rev().map(|length| name(&path[..length]));
        prefixes.into_iter().find(|prefix| known.contains(prefix))
    };
    let imports = |module: &Module| {
        let paths = module.uses.iter().filter(|path| path[0] == "crate");
        let files = paths.filter_map(|path| file_of(&path[1..]));
        files.filter(|file| *file != name(&module.path)).collect()
    };
    modules.iter().map(|module| (name(&module.path), imports(module))).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut open = file_imports(&sources::MODULES);
    let mut imported_by = Table::new();
    for (file, row) in &open {
        for other in row {
            imported_by.entry(other.clone()).or_default().insert(file.clone());
        }
    }
    // A file that imports nothing more, or that nothing more imports, is in no circle.
    loop {
        let leaf = open.iter().find(|(name, row)| {
            let users = imported_by.get(*name);
            row.iter().all(|other| !open.contains_key(other))
                || users.is_none_or(|users| users.iter().all(|user| !open.contains_key(user)))
        });
        let Some(leaf) = leaf.map(|(name, _)| name.clone()) else { break };
        open.remove(&leaf);
    }
    let remaining: BTreeSet<_> = open.keys().cloned().collect();
    open.values_mut().for_each(|row| row.retain(|other| remaining.contains(other)));
    assert!(open.is_empty(), "a circle among:\n{}", print(&open));
}

/// The modules that use each crate or part of one: those of the table's row, and those that it lacks.
fn uses(modules: &[Module], table: &Table) -> Table {
    let homes_of = |row: &str, homes: &BTreeSet<String>| {
        let users =
            modules.iter().filter(|module| module.uses_part_of(row)).map(|module| module.path.join("::"));
        users.map(|name| homes.iter().find(|home| is_in(&name, home)).cloned().unwrap_or(name)).collect()
    };
    table.iter().map(|(row, homes)| (row.clone(), homes_of(row, homes))).collect()
}

fn is_in(module: &str, home: &str) -> bool {
    module.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn each_outside_crate_is_used_in_the_modules_of_its_row() {
    let table = table(CRATES);
    let actual = uses(&sources::MODULES, &table);
    assert!(actual == table, "the table of today's code:\n{}", print(&actual));
}

#[test]
fn each_crate_in_cargo_toml_has_a_row() {
    let manifest: toml::Table =
        fs::read_to_string(python::repository("Cargo.toml")).unwrap().parse().unwrap();
    let listed = manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_"));
    let listed: BTreeSet<_> = listed.collect();
    let rows = CRATES.iter().map(|(row, _)| row.split("::").next().unwrap().to_owned());
    let rows: BTreeSet<_> = rows.filter(|row| row != "std").collect();
    assert_eq!(listed, rows);
}
