//! Checks the imports between modules, and the external crates that each module uses. A failing test prints the table of the
//! present code: copy an intended change into the table here; otherwise correct the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
};

use super::sources::{self, Module};
use crate::support::python;

type Table = BTreeMap<String, BTreeSet<String>>;
type Rows = &'static [(&'static str, &'static [&'static str])];

/// Each top-level module of `src/`, and the modules that it imports.
const MODULES: Rows = &[
    ("address", &[]),
    ("admin", &["clock", "credentials", "generation", "health", "listen", "metrics"]),
    ("client", &["address", "config", "pb"]),
    ("clock", &[]),
    ("commands", &["client", "clock", "config", "hardening", "listen", "log", "server", "signals"]),
    ("config", &["address", "credentials", "presign"]),
    ("credentials", &["clock", "hardening", "metrics", "presign"]),
    ("explain", &["presign"]),
    ("generation", &["credentials"]),
    ("hardening", &["presign", "sys"]),
    ("health", &["credentials", "generation"]),
    ("listen", &["address", "config"]),
    ("log", &["config"]),
    ("main", &["commands", "config"]),
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
            "generation",
            "hardening",
            "health",
            "listen",
            "metrics",
            "pb",
            "service",
            "signals",
        ],
    ),
    ("service", &["clock", "credentials", "explain", "generation", "metrics", "pb", "presign"]),
    ("signals", &[]),
    ("sys", &[]),
];

/// The modules that may import the server.
const ENTRY: &[&str] = &["commands"];

/// The core: pure functions of their arguments.
const CORE: &[&str] = &["explain", "presign"];

/// Crates and modules that the core must not use: runtimes, wire protocols, logging, and the system parts of std.
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
    ("arc_swap", &["credentials", "generation", "presign::keys"]),
    ("aws_config", &["credentials::source"]),
    ("aws_credential_types", &["credentials::sessions::create", "credentials::source"]),
    ("aws_runtime", &["credentials::source"]),
    ("aws_sdk_s3", &["credentials::sessions::create", "presign::endpoint"]),
    ("aws_sigv4", &["presign::keys"]),
    ("aws_smithy_async", &["credentials::sessions::create", "credentials::source"]),
    ("aws_smithy_http_client", &["credentials::source"]),
    ("aws_smithy_runtime_api", &["credentials::source"]),
    ("aws_smithy_types", &["credentials::source", "presign::endpoint", "presign::post::policy"]),
    ("aws_smithy_types::base64", &["presign::post::policy"]),
    ("aws_smithy_xml", &["explain::error_body"]),
    ("aws_types", &["credentials::source"]),
    ("axum", &["admin"]),
    ("clap", &["config::arguments"]),
    ("const_hex", &["presign::sign"]),
    ("futures_util", &["credentials::signers", "health", "presign::endpoint", "service"]),
    // Only for its features: see Cargo.toml.
    ("getrandom", &[]),
    ("hmac", &["presign::keys", "presign::sign"]),
    ("http", &["presign::endpoint::rules", "server::calls", "service::response::body", "service::routes"]),
    ("humantime", &["admin", "client", "config", "credentials", "explain::report", "presign::error"]),
    ("hyper", &["admin", "server", "service::response::body", "service::routes"]),
    ("hyper_util", &["admin", "client", "server::connections"]),
    ("itoa", &["presign::post::policy", "presign::target_signer"]),
    ("memchr", &["service::sign::needs"]),
    ("metrics", &["metrics"]),
    ("metrics_exporter_prometheus", &["metrics"]),
    ("metrics_process", &["metrics"]),
    ("mimalloc", &["main"]),
    // Only for its features: see Cargo.toml.
    ("num_traits", &[]),
    ("p256", &["presign::keys"]),
    ("percent_encoding", &["explain"]),
    ("prost", &["server::calls", "service"]),
    ("prost_types", &["client", "service"]),
    ("quick_cache", &["credentials::sessions", "presign::snapshot"]),
    ("ring", &["presign::keys"]),
    ("rustix", &["hardening", "listen"]),
    ("sd_notify", &["server"]),
    ("serde", &["config::tables"]),
    ("serde_json", &["client"]),
    ("sha2", &["presign::keys", "presign::sign"]),
    ("std::env", &["config::arguments", "hardening", "sys"]),
    ("std::fs", &["client::explain", "config::file", "credentials::files", "listen", "sys"]),
    ("std::io", &["client", "commands", "config::error", "listen", "log", "signals", "sys"]),
    ("std::os", &["client", "credentials::files", "hardening", "listen"]),
    ("std::process", &["commands", "main"]),
    ("std::thread", &["commands"]),
    ("std::time::Instant::now", &["clock"]),
    ("std::time::SystemTime::now", &["clock"]),
    ("strsim", &["config"]),
    ("subtle", &["presign::secret"]),
    (
        "thiserror",
        &[
            "address",
            "client",
            "config",
            "credentials",
            "explain::report",
            "explain::request",
            "explain::url_error",
            "listen",
            "presign",
            "server",
            "service",
        ],
    ),
    ("time", &["explain::authentication", "presign::time", "service::request::fields"]),
    (
        "tokio",
        &[
            "admin",
            "client",
            "commands",
            "credentials",
            "generation",
            "health",
            "listen",
            "server",
            "service",
            "signals",
        ],
    ),
    ("tokio_stream", &["service::rpc::stream"]),
    ("tokio_util", &["client", "credentials", "listen", "server"]),
    ("toml", &["config::file", "config::tables"]),
    ("tonic", &["client", "pb", "server", "service"]),
    ("tonic_health", &["client", "health", "server"]),
    // The generated code in `pb` uses it.
    ("tonic_prost", &[]),
    ("tonic_reflection", &["server"]),
    ("tonic_types", &["server", "service"]),
    ("tower", &["client", "server::calls", "service::routes"]),
    ("tracing", &["admin", "credentials", "hardening", "health", "listen", "log", "server"]),
    ("tracing_subscriber", &["log"]),
    ("zeroize", &["presign"]),
];

fn table(rows: Rows) -> Table {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let table: Table = rows.iter().map(|(name, list)| ((*name).to_owned(), texts(list))).collect();
    assert_eq!(table.len(), rows.len(), "each row is there once");
    table
}

/// Formats a table like the ones in this file.
fn print(table: &Table) -> String {
    table.iter().fold(String::new(), |mut text, (name, list)| {
        let list: Vec<_> = list.iter().map(|entry| format!("\"{entry}\"")).collect();
        writeln!(text, "    (\"{name}\", &[{}]),", list.join(", ")).unwrap();
        text
    })
}

/// The modules that each top-level module imports.
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

/// The files that each file imports, by the paths of their modules. A file and the files in its own directory count as one,
/// because a module may use the declarations of its parent.
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
        let own = name(&module.path);
        files.filter(|file| !is_in(&own, file) && !is_in(file, &own)).collect()
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
    // A file without imports among the remaining files, or that none of them imports, is in no circle.
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
    for row in open.values_mut() {
        row.retain(|other| remaining.contains(other));
    }
    assert!(open.is_empty(), "a circle among:\n{}", print(&open));
}

/// The modules that use each crate, or part of a crate, in the table.
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
