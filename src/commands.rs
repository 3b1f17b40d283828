//! Runs the command of the command line: the server, or a command that prints its output and exits.

use std::{fmt, future::Future, io, num::NonZero, process::ExitCode};

use crate::{
    client,
    clock::Clock,
    config::{
        Access, Config, ConfigError,
        arguments::{self, Invocation},
        layers::Layers,
        reload::Reload,
    },
    hardening, listen, log,
    server::{self, Program},
    signals,
};

type CommandError = Box<dyn std::error::Error>;

/// The exit code for wrong settings and arguments, the same as clap's.
const EXIT_MISUSE: u8 = 2;

/// Runs one command until it is complete.
pub fn run(invocation: Invocation) -> ExitCode {
    match invocation {
        Invocation::Serve(layers) => serve(layers),
        Invocation::ConfigCheck(layers) => check_and_print(&layers),
        Invocation::Presign(arguments) => run_client(async {
            let (output, details) = client::presign(arguments).await?;
            print(&mut io::stderr(), format_args!("{details}"));
            Ok((output, ExitCode::SUCCESS))
        }),
        Invocation::Post(arguments) => run_client(async {
            let (output, details) = client::post::post(arguments).await?;
            print(&mut io::stderr(), format_args!("{details}"));
            Ok((output, ExitCode::SUCCESS))
        }),
        Invocation::Explain(arguments) => run_client(async {
            let (output, is_valid) = client::explain(arguments).await?;
            Ok((output, if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
        }),
        Invocation::Healthcheck(arguments) => {
            run_client(async { Ok((client::healthcheck(arguments).await?, ExitCode::SUCCESS)) })
        }
    }
}

/// Prints an error in the settings or arguments, and returns exit code 2.
pub fn report_misuse(error: &ConfigError) -> ExitCode {
    print_error(error, ExitCode::from(EXIT_MISUSE))
}

fn serve(layers: Layers) -> ExitCode {
    let config = match parse_config(&layers) {
        Ok(config) => config,
        Err(error) => return report_misuse(&error),
    };
    log::start(config.log_format);
    // It changes the environment, so it must run before any other thread starts.
    let environment = hardening::harden();
    listen::raise_open_files_limit();
    let served = block_on(server_runtime(), async {
        let listeners = listen::bind(&config).await?;
        let signals = signals::listen()?;
        let reload = Reload::new(arguments::command_line(), arguments::environment(), layers);
        let program = Program { config, listeners, clock: Clock::system(), environment, reload };
        Ok(server::run(program, signals).await?)
    });
    served.map_or_else(|error| print_error(&*error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
}

fn check_and_print(layers: &Layers) -> ExitCode {
    for (name, value) in layers.iter() {
        print(&mut io::stdout(), format_args!("{name} = {:?}  # {}\n", value.text, value.origin));
    }
    match parse_config(layers) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => report_misuse(&error),
    }
}

/// Parses the configuration. It is an error if a server may not start with it.
fn parse_config(layers: &Layers) -> Result<Config, ConfigError> {
    let config = Config::from_layers(layers)?;
    Access::from_layers(layers)?.require_open()?;
    Ok(config)
}

/// Runs a command that calls a running server, and prints its output.
fn run_client(command: impl Future<Output = Result<(String, ExitCode), CommandError>>) -> ExitCode {
    match block_on(tokio::runtime::Builder::new_current_thread(), command) {
        Ok((output, code)) => {
            print(&mut io::stdout(), format_args!("{output}\n"));
            code
        }
        Err(error) => print_error(&*error, ExitCode::FAILURE),
    }
}

/// A runtime with a thread for each core but one, and with one thread at least. The callers are on the same machine: while
/// batches keep every thread busy, a thread on the core of a caller delays its single calls by whole scheduler ticks
/// (benches/README.md, "unary p99 while batches run"). `TOKIO_WORKER_THREADS` sets another number.
fn server_runtime() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if !arguments::sets_worker_threads() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        builder.worker_threads(cores.saturating_sub(1).max(1));
    }
    builder
}

/// Runs a future on a new runtime, and stops the runtime.
fn block_on<T>(
    mut builder: tokio::runtime::Builder,
    future: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = builder.enable_all().build()?;
    let output = runtime.block_on(future);
    // Does not wait for blocking tasks, such as a read from a file system that does not respond.
    runtime.shutdown_background();
    output
}

/// Prints a text. A closed pipe, as with `| head -n 1`, is not an error.
fn print(output: &mut impl io::Write, text: fmt::Arguments<'_>) {
    let _closed_pipe = output.write_fmt(text).and_then(|()| output.flush());
}

fn print_error(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    print(&mut io::stderr(), format_args!("presignd: {error}\n"));
    code
}
