//! Settings: what is accepted prints and parses the same, in a file and in the environment; no error repeats a
//! password.
//!
//! Input: a TOML file; then, behind a line `# environment`, `NAME=VALUE` lines of the environment.

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
    config::{
        Config, ConfigError,
        layers::{LayerError, Layers},
    },
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
            assert_environment_says_the_same(&layers, &config);
            assert_is_sound(&config);
        }
        (Err(error), Err(_)) => assert_repeats_no_password(&error, &layers),
        (one, other) => panic!("{one:?}, but printed and read again {other:?}"),
    }
    Corpus::Keep
});

fn variables(lines: &str) -> Option<Vec<(String, String)>> {
    lines
        .lines()
        .map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect()
}

/// The defaults, under a file, under the environment.
fn layers(file: &str, environment: &[(String, String)]) -> Result<Layers, LayerError> {
    static SCRATCH: LazyLock<Mutex<File>> = LazyLock::new(|| Mutex::new(scratch()));
    let mut layers = Layers::defaults();
    let mut scratch = SCRATCH.lock().expect("nobody panicked with it");
    scratch.set_len(0).and_then(|()| scratch.rewind()).expect("it is a file");
    scratch.write_all(file.as_bytes()).expect("there is room");
    layers.file(&PathBuf::from(format!("/proc/self/fd/{}", scratch.as_raw_fd())))?;
    layers.environment(environment)?;
    Ok(layers)
}

/// A file that nobody has to remove: it has no name any more.
fn scratch() -> File {
    let path = std::env::temp_dir().join(format!("presignd-fuzz-{}", std::process::id()));
    let file =
        File::options().read(true).write(true).create_new(true).open(&path).expect("there is a place for it");
    std::fs::remove_file(&path).expect("it is there");
    file
}

fn texts(layers: &Layers) -> Vec<(&str, &str)> {
    layers.iter().map(|(name, value)| (name, value.text.as_str())).collect()
}

/// Every setting as a line of a TOML file: keys and values are quoted, and everything unusual in them is escaped.
fn print(layers: &Layers) -> String {
    let mut file = String::new();
    for (name, value) in layers.iter() {
        let parts = if name.starts_with("signers.") { 3 } else { usize::MAX };
        let key: Vec<_> = name.splitn(parts, '.').map(quoted).collect();
        writeln!(file, "{} = {}", key.join("."), quoted(&value.text)).expect("it is memory");
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

/// Each setting has a variable, which sets it and no other. (`X_PUBLIC_ENDPOINT` is `x.public_endpoint` and not
/// `x_public.endpoint`.)
fn assert_environment_says_the_same(layers: &Layers, config: &Config) {
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
    assert!(texts(&again) == texts(layers), "{:?}", again.differing_from(layers));
    let again = Config::from_layers(&again).expect("the same settings");
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
}

/// What every part of the program takes for granted.
fn assert_is_sound(config: &Config) {
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

/// An endpoint takes no user and no password; who writes one does not find it in the log.
fn assert_repeats_no_password(error: &ConfigError, layers: &Layers) {
    let message = error.to_string();
    assert!(!message.is_empty());
    for (name, value) in layers.iter().filter(|(name, _)| name.ends_with("endpoint")) {
        let Some((before, host)) = value.text.rsplit_once('@') else { continue };
        let (scheme, user) = before.split_once("://").unwrap_or(("", before));
        let only_there = ![name, scheme, host].iter().any(|other| other.contains(CANARY));
        if user.contains(CANARY) && only_there && message.starts_with(&format!("{name} is ")) {
            assert_safe_to_show(&message);
        }
    }
}
