//! Settings: an accepted configuration prints and parses to the same, as a file and as environment variables; no error
//! contains a password.
//!
//! Input: a TOML file; then a line `# environment` and the variables, as lines `NAME=VALUE`.

#![no_main]

use std::{
    fmt::Write as _,
    fs::File,
    io::{Seek, Write as _},
    os::fd::AsRawFd,
    path::PathBuf,
    sync::{LazyLock, Mutex},
};

use libfuzzer_sys::{Corpus, fuzz_target};
use presignd::{
    config::{Config, ConfigError, FILE_TABLES, error::LayerError, layers::Layers},
    presign::endpoint::EndpointUrl,
};
use presignd_fuzz::{CANARY, assert_safe_to_show};

const ENVIRONMENT: &str = "# environment\n";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let (file, environment) = text.split_once(ENVIRONMENT).unwrap_or((text, ""));
    let Some(variables) = variables(environment) else { return Corpus::Reject };
    let layers = match layers(file, &variables) {
        Ok(layers) => layers,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Corpus::Keep;
        }
    };
    let printed = print(&layers);
    let again = self::layers(&printed, &[]).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert!(texts(&again) == texts(&layers), "{printed}");
    match (Config::from_layers(&layers), Config::from_layers(&again)) {
        (Ok(config), Ok(again)) => {
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
            assert_environment_sets_the_same(&layers, &config);
            assert_invariants(&config);
        }
        (Err(error), Err(_)) => assert_contains_no_password(&error, &layers),
        (one, other) => panic!("{one:?}, but {other:?} after printing and parsing"),
    }
    Corpus::Keep
});

fn variables(lines: &str) -> Option<Vec<(String, String)>> {
    lines
        .lines()
        .map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect()
}

/// The defaults, then a file, then environment variables.
fn layers(file: &str, environment: &[(String, String)]) -> Result<Layers, LayerError> {
    static SCRATCH: LazyLock<Mutex<File>> = LazyLock::new(|| Mutex::new(scratch()));
    let mut layers = Layers::defaults();
    let mut scratch = SCRATCH.lock().expect("the lock is not poisoned");
    scratch.set_len(0).and_then(|()| scratch.rewind()).expect("the file can be truncated");
    scratch.write_all(file.as_bytes()).expect("the disk is not full");
    layers.apply_file(&PathBuf::from(format!("/proc/self/fd/{}", scratch.as_raw_fd())), FILE_TABLES)?;
    layers.apply_environment(environment)?;
    Ok(layers)
}

/// An open file that is already unlinked, so that it needs no cleanup.
fn scratch() -> File {
    let path = std::env::temp_dir().join(format!("presignd-fuzz-{}", std::process::id()));
    let file =
        File::options().read(true).write(true).create_new(true).open(&path).expect("the file can be created");
    std::fs::remove_file(&path).expect("the file exists");
    file
}

fn texts(layers: &Layers) -> Vec<(&str, &str)> {
    layers.iter().map(|(name, value)| (name, value.text.as_str())).collect()
}

/// Prints every setting as a line of a TOML file, with quoted keys and values and escaped special characters.
fn print(layers: &Layers) -> String {
    let mut file = String::new();
    for (name, value) in layers.iter() {
        let parts = if name.starts_with("signers.") { 3 } else { usize::MAX };
        let key: Vec<_> = name.splitn(parts, '.').map(quoted).collect();
        writeln!(file, "{} = {}", key.join("."), quoted(&value.text)).expect("writing to a String succeeds");
    }
    file
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| {
        if c.is_ascii_graphic() && !"\"\\".contains(c) {
            c.to_string()
        } else {
            format!("\\U{:08x}", u32::from(c))
        }
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Asserts that the variables of the settings set the same configuration.
fn assert_environment_sets_the_same(layers: &Layers, config: &Config) {
    // `X_PUBLIC_ENDPOINT` is `x.public_endpoint`, not `x_public.endpoint`.
    if config.signers.iter().any(|signer| signer.name.ends_with("_public")) {
        return;
    }
    let variables: Vec<_> = layers
        .iter()
        .map(|(name, value)| {
            (format!("PRESIGND_{}", name.replace('.', "_").to_uppercase()), value.text.clone())
        })
        .collect();
    let again = self::layers("", &variables).unwrap_or_else(|error| panic!("{error}: {variables:?}"));
    assert!(texts(&again) == texts(layers), "{:?}", again.changed_names(layers));
    let again = Config::from_layers(&again).expect("the same settings are valid again");
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
}

/// Asserts what the rest of the program relies on.
fn assert_invariants(config: &Config) {
    assert!(config.tcp.is_some() || config.unix.is_some());
    assert!(config.tcp.is_none_or(|address| address.get().ip().is_loopback()));
    assert_eq!(config.signers[0].name, "default");
    for signer in &config.signers {
        let rules = &signer.rules;
        assert!(rules.default_expiry <= rules.max_expiry && rules.max_expiry.get() <= 604_800);
        if let Some(endpoint) = &rules.endpoint.endpoint {
            assert_eq!(endpoint.to_string().parse::<EndpointUrl>().as_ref(), Ok(endpoint));
            assert!(!endpoint.to_string().contains(['@', '?', '#']), "{endpoint}");
        }
        for role in &signer.source.roles.arns {
            assert!(role.to_string().bytes().all(|byte| byte.is_ascii_graphic()), "{role:?}");
        }
    }
}

/// Asserts that the message does not contain the password in an endpoint.
fn assert_contains_no_password(error: &ConfigError, layers: &Layers) {
    let message = error.to_string();
    assert!(!message.is_empty());
    for (name, value) in layers.iter().filter(|(name, _)| name.ends_with("endpoint")) {
        let Some((before, host)) = value.text.rsplit_once('@') else { continue };
        let (scheme, user) = before.split_once("://").unwrap_or(("", before));
        let only_in_user = ![name, scheme, host].iter().any(|other| other.contains(CANARY));
        if user.contains(CANARY) && only_in_user && message.starts_with(&format!("{name} is ")) {
            assert_safe_to_show(&message);
        }
    }
}
