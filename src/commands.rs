//! Runs what the command line asks for: the server, or a command that prints its answer and ends.

use std::{fmt, future::Future, io, process::ExitCode};

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

/// The exit code for wrong settings and arguments, as clap has it too.
const MISUSE: u8 = 2;

/// Runs one command to its end.
pub fn run(invocation: Invocation) -> ExitCode {
    match invocation {
        Invocation::Serve(layers) => serve(layers),
        Invocation::ConfigCheck(layers) => check_and_print(&layers),
        Invocation::Presign(arguments) => ask_server(async {
            let (output, details) = client::presign(arguments).await?;
            print(&mut io::stderr(), format_args!("{details}"));
            Ok((output, ExitCode::SUCCESS))
        }),
        Invocation::Post(arguments) => ask_server(async {
            let (output, details) = client::post::post(arguments).await?;
            print(&mut io::stderr(), format_args!("{details}"));
            Ok((output, ExitCode::SUCCESS))
        }),
        Invocation::Explain(arguments) => ask_server(async {
            let (output, is_valid) = client::explain(arguments).await?;
            Ok((output, if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
        }),
        Invocation::Healthcheck(arguments) => {
            ask_server(async { Ok((client::healthcheck(arguments).await?, ExitCode::SUCCESS)) })
        }
    }
}

/// Prints what is wrong with the settings or arguments.
pub fn report_misuse(error: &ConfigError) -> ExitCode {
    fail(error, ExitCode::from(MISUSE))
}

fn serve(layers: Layers) -> ExitCode {
    let config = match check(&layers) {
        Ok(config) => config,
        Err(error) => return report_misuse(&error),
    };
    log::start(config.log_format);
    // Before any thread is started.
    let environment = hardening::harden();
    listen::raise_open_files_limit();
    let served = block_on(tokio::runtime::Builder::new_multi_thread(), async {
        let listeners = listen::bind(&config).await?;
        let signals = signals::listen()?;
        let reload = Reload::new(arguments::command_line(), arguments::environment(), layers);
        let program = Program { config, listeners, clock: Clock::system(), environment, reload };
        Ok(server::run(program, signals).await?)
    });
    served.map_or_else(|error| fail(&*error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
}

fn check_and_print(layers: &Layers) -> ExitCode {
    for (name, value) in layers.iter() {
        print(&mut io::stdout(), format_args!("{name} = {:?}  # {}\n", value.text, value.origin));
    }
    match check(layers) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => report_misuse(&error),
    }
}

/// Parses the configuration, if a server may start with it.
fn check(layers: &Layers) -> Result<Config, ConfigError> {
    let config = Config::from_layers(layers)?;
    Access::from_layers(layers)?.require_open()?;
    Ok(config)
}

/// Runs a command that asks a running server, and prints its output.
fn ask_server(command: impl Future<Output = Result<(String, ExitCode), CommandError>>) -> ExitCode {
    match block_on(tokio::runtime::Builder::new_current_thread(), command) {
        Ok((output, code)) => {
            print(&mut io::stdout(), format_args!("{output}\n"));
            code
        }
        Err(error) => fail(&*error, ExitCode::FAILURE),
    }
}

/// Runs a future on a runtime that ends with it.
fn block_on<T>(
    mut builder: tokio::runtime::Builder,
    future: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = builder.enable_all().build()?;
    let output = runtime.block_on(future);
    // Blocking tasks that still run, as on a hung file system, do not delay the end of the process.
    runtime.shutdown_background();
    output
}

/// Prints. A closed pipe, as of `| head -n 1`, is no failure.
fn print(to: &mut impl io::Write, text: fmt::Arguments<'_>) {
    let _closed_pipe = to.write_fmt(text).and_then(|()| to.flush());
}

fn fail(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    print(&mut io::stderr(), format_args!("presignd: {error}\n"));
    code
}
