//! Every fenced block of the documents runs, by its language:
//!
//! - `console`: lines that begin with `$ ` are run by bash; what follows one is its output, stderr included, where `…`
//!   matches any text and a line `…` any lines. Every command must end with exit code 0.
//! - `python`: a program, run with the packages that the document installs and no others.
//! - `toml`: a file that `presignd config check` accepts.
//! - `yaml`: parsed.
//!
//! The blocks of a document run in their order, in one shell and one folder, with copies of `proto/` and
//! `examples/`. Where a document starts no server itself, one runs already. A block after `<!-- not run: WHY -->` is
//! only checked for its syntax; [`NOT_RUN`] lists them all.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use super::markdown::{Block, Document, documents};
use crate::support::{ACCESS_KEY, SECRET_KEY, python, sidecar::PATIENCE};

/// The first lines of the blocks that cannot run here.
const NOT_RUN: &[(&str, &str)] = &[
    ("deploy/kubernetes/README.md", "$ for kind in initContainers containers; do \\"),
    (
        "deploy/kubernetes/README.md",
        "$ curl -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token",
    ),
];

/// These have no blocks.
const WITHOUT_BLOCKS: &[&str] = &["CHANGELOG.md", "SECURITY.md"];

/// Programs of a document's shell, by name. `presignd` waits for the server, as a person does, `pip` makes a folder of
/// packages that are installed already, and `make` only finds its target: each takes minutes.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "presignd",
        "case $1 in presign|post|explain|healthcheck) wait-for-presignd;; esac\nexec \"$PRESIGND\" \"$@\"",
    ),
    (
        "wait-for-presignd",
        "until \"$PRESIGND\" healthcheck >/dev/null 2>&1 || [ $SECONDS -gt $PATIENCE ]; do sleep 0.05; done",
    ),
    ("grpcurl", "exec \"$GRPCURL\" \"$@\""),
    ("python", "PYTHONPATH=$HOME/packages exec \"$PYTHON\" -S \"$@\""),
    (
        "pip",
        "[ \"$1\" = install ] && shift && exec \"$PYTHON\" \"$REPOSITORY/tests/python/pip_install.py\" \"$HOME/packages\" \"$@\"",
    ),
    ("make", "exec /usr/bin/make --dry-run --directory \"$REPOSITORY\" \"$@\" >/dev/null"),
];

#[test]
fn every_block_of_the_documents_runs() {
    let documents = documents();
    thread::scope(|scope| {
        for (number, document) in documents.iter().enumerate() {
            thread::Builder::new()
                .name(document.name.clone())
                .spawn_scoped(scope, move || check(number, document))
                .unwrap();
        }
    });
}

#[test]
fn the_blocks_that_do_not_run_are_known() {
    let mut marked = Vec::new();
    for document in documents() {
        let blocks = document.blocks();
        assert!(!WITHOUT_BLOCKS.contains(&document.name.as_str()) || blocks.is_empty(), "{}", document.name);
        for block in blocks.into_iter().filter(|block| block.mark.is_some()) {
            marked.push((document.name.clone(), block.lines[0].clone()));
        }
    }
    let known: Vec<_> = NOT_RUN.iter().map(|(name, line)| ((*name).to_owned(), (*line).to_owned())).collect();
    assert_eq!(marked, known);
}

#[test]
fn the_demo_succeeds() {
    let mut command = Command::new(python::interpreter());
    command
        .arg(python::repository("examples/demo/demo.py"))
        .args(["--presignd", env!("CARGO_BIN_EXE_presignd")]);
    python::run(command, "");
}

/// A command of a document, and the output that it shows.
struct Step {
    at: String,
    command: String,
    output: Vec<String>,
}

fn check(number: usize, document: &Document) {
    let folder = tempfile::tempdir().unwrap();
    let shell = Shell::new(folder.path(), number);
    let mut steps = Vec::new();
    for block in document.blocks() {
        match (&block.mark, block.language.as_str()) {
            (Some(mark), "console") if mark.starts_with("not run: ") => {
                for step in steps_of(&block) {
                    shell.assert_is_syntax(&step);
                }
            }
            (Some(mark), _) => panic!("{}: unknown mark {mark:?}", block.at),
            (None, "console") => steps.extend(steps_of(&block)),
            (None, "python") => steps.push(shell.python(&block)),
            (None, "toml") => shell.assert_is_configuration(&block),
            (None, "yaml") => shell.assert_is_yaml(&block),
            (None, other) => panic!("{}: the tests know no language {other:?}", block.at),
        }
    }
    shell.run(&steps);
}

fn steps_of(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in &block.lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(step)) if goes_on => step.command.extend(["\n", line]),
            (Some(command), _) => {
                steps.push(Step { at: block.at.clone(), command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(step)) => step.output.push(line.clone()),
            (None, None) => panic!("{}: a console begins with `$ `", block.at),
        }
        goes_on = line.ends_with('\\') && (goes_on || line.starts_with("$ "));
    }
    assert!(!steps.is_empty(), "{}: there is a command", block.at);
    steps
}

/// The folder in which the commands of a document run.
struct Shell<'f> {
    folder: &'f Path,
    /// An address of the loopback network that nothing else has: the documents name fixed ports.
    address: String,
}

impl<'f> Shell<'f> {
    fn new(folder: &'f Path, number: usize) -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let shell = Self { folder, address: format!("127.{}.{high}.{low}", 64 + number) };
        fs::create_dir_all(shell.file("bin")).unwrap();
        fs::create_dir_all(shell.file("packages")).unwrap();
        fs::create_dir_all(shell.file("run/presignd")).unwrap();
        for (name, text) in PROGRAMS {
            let program = shell.file("bin").join(name);
            fs::write(&program, format!("#!/bin/bash\n{text}\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in ["proto", "examples"] {
            let copied = Command::new("cp").arg("-r").arg(python::repository(name)).arg(folder).status();
            assert!(copied.unwrap().success());
        }
        shell
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command of the document, with addresses and paths of this folder.
    fn here(&self, text: &str) -> String {
        let run = self.file("run/presignd").display().to_string();
        text.replace("127.0.0.1:478", &format!("{}:478", self.address)).replace("/run/presignd", &run)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder).stdin(Stdio::null()).envs([
            ("PATH", format!("{}:/usr/bin:/bin", self.file("bin").display())),
            ("HOME", self.folder.display().to_string()),
            ("PRESIGND", env!("CARGO_BIN_EXE_presignd").to_owned()),
            ("PYTHON", python::interpreter().display().to_string()),
            ("GRPCURL", grpcurl()),
            ("REPOSITORY", env!("CARGO_MANIFEST_DIR").to_owned()),
            ("PATIENCE", PATIENCE.as_secs().to_string()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
            ("PRESIGND_LISTEN_TCP", format!("{}:4780", self.address)),
            ("PRESIGND_ADMIN_LISTEN", format!("{}:4781", self.address)),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]);
        command
    }

    fn python(&self, block: &Block) -> Step {
        let name = format!("snippet{}.py", block.at.rsplit(':').next().unwrap_or_default());
        fs::write(self.file(&name), self.here(&block.lines.join("\n"))).unwrap();
        Step { at: block.at.clone(), command: format!("python {name} >/dev/null"), output: Vec::new() }
    }

    fn assert_is_configuration(&self, block: &Block) {
        fs::write(self.file("snippet.toml"), block.lines.join("\n")).unwrap();
        let mut command = self.command("presignd");
        command.args(["config", "check", "--open", "--config", "snippet.toml"]);
        assert_success(command, &block.at);
    }

    fn assert_is_yaml(&self, block: &Block) {
        fs::write(self.file("snippet.yaml"), block.lines.join("\n")).unwrap();
        let mut command = Command::new(python::interpreter());
        command.current_dir(self.folder).args(["-c", "import yaml; yaml.safe_load(open('snippet.yaml'))"]);
        assert_success(command, &block.at);
    }

    fn assert_is_syntax(&self, step: &Step) {
        let mut command = self.command("bash");
        command.args(["-n", "-c", &step.command]);
        assert_success(command, &step.at);
    }

    /// Runs the commands in one shell, and compares the output of each.
    fn run(&self, steps: &[Step]) {
        let starts_a_server = steps.iter().any(|step| step.command.starts_with("presignd serve"));
        let mut script = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n".to_owned();
        if !starts_a_server {
            script.push_str("presignd serve --open 2>log & wait-for-presignd\n");
        }
        for (number, step) in steps.iter().enumerate() {
            fs::write(self.file(&format!("step{number}")), self.here(&step.command) + "\n").unwrap();
            let _infallible =
                writeln!(script, ". ./step{number} >output{number} 2>&1; echo $? >code{number}");
        }
        if steps.is_empty() {
            return;
        }
        let mut command = self.command("bash");
        let ended = command.args(["-c", &script]).output().unwrap();
        for (number, step) in steps.iter().enumerate() {
            let printed = fs::read(self.file(&format!("output{number}"))).unwrap_or_default();
            let printed = String::from_utf8_lossy(&printed);
            let code = fs::read_to_string(self.file(&format!("code{number}"))).unwrap_or_default();
            let Step { at, command, output } = step;
            let rest = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(code.trim(), "0", "{at}: $ {command}\n{printed}\n{rest}");
            let shown: Vec<String> = output.iter().map(|line| self.here(line)).collect();
            let lines: Vec<&str> = printed.lines().collect();
            assert!(shown.is_empty() || matches(&shown, &lines), "{at}: $ {command}\n{printed}");
        }
    }
}

fn assert_success(mut command: Command, at: &str) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{at}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The program that `make test` names.
fn grpcurl() -> String {
    let named = std::env::var_os("PRESIGND_TEST_GRPCURL");
    let path = named.expect("PRESIGND_TEST_GRPCURL is set: run the tests with `make test`");
    path.display().to_string()
}

/// Whether output is what a document shows.
fn matches(shown: &[String], lines: &[&str]) -> bool {
    match (shown, lines) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == "…" => {
            (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..]))
        }
        ([first, shown @ ..], [line, lines @ ..]) => line_matches(first, line) && matches(shown, lines),
        _ => false,
    }
}

fn line_matches(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn an_ellipsis_matches_any_text_and_any_lines() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (pattern, lines, fits) in [
        ("a…c\n…\nz", &["abc", "x", "y", "z"][..], true),
        ("a…c\n…\nz", &["abc", "z"], true),
        ("a…c", &["ab"], false),
        ("a", &["a", "b"], false),
        ("a\nb", &["a"], false),
        ("ab", &["a"], false),
    ] {
        assert_eq!(matches(&shown(pattern), lines), fits, "{pattern:?} {lines:?}");
    }
}
