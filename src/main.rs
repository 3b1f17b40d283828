//! presignd: presigns S3 URLs over gRPC. This file hands each command to the module that does it.

#![deny(unsafe_code)]

use std::{fmt, future::Future, io, process::ExitCode};

use presignd::{
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

/// Chosen by measurement, see benches/README.md: a call for one URL allocates some forty times, and a batch's answer
/// comes and goes in pieces of half a megabyte, for which the system's allocator asks the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failed = Box<dyn std::error::Error>;

/// The exit code for wrong settings and arguments, as clap has it too.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    let invocation = match arguments::parse(std::env::args_os(), &arguments::environment()) {
        Ok(invocation) => invocation,
        Err(error) => return fail(&error, ExitCode::from(MISUSE)),
    };
    match invocation {
        Invocation::Serve(layers) => serve(layers),
        Invocation::ConfigCheck(layers) => config_check(&layers),
        Invocation::Presign(given) => client(async {
            let (shown, details) = client::presign(given).await?;
            print(&mut io::stderr(), format_args!("{details}"));
            Ok((shown, ExitCode::SUCCESS))
        }),
        Invocation::Post(given) => client(async {
            let (shown, details) = client::post::post(given).await?;
            print(&mut io::stderr(), format_args!("{details}"));
            Ok((shown, ExitCode::SUCCESS))
        }),
        Invocation::Explain(given) => client(async {
            let (shown, is_good) = client::explain(given).await?;
            Ok((shown, if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
        }),
        Invocation::Healthcheck(given) => {
            client(async { Ok((client::healthcheck(given).await?, ExitCode::SUCCESS)) })
        }
    }
}

fn serve(layers: Layers) -> ExitCode {
    let config = match checked(&layers) {
        Ok(config) => config,
        Err(error) => return fail(&error, ExitCode::from(MISUSE)),
    };
    log::start(config.log_format);
    // Before any thread is started.
    let environment = hardening::harden();
    listen::raise_open_files();
    let served = runtime(tokio::runtime::Builder::new_multi_thread(), async {
        let listeners = listen::bind(&config).await?;
        let signals = signals::listen()?;
        let reload = Reload::new(std::env::args_os().collect(), arguments::environment(), layers);
        let program = Program { config, listeners, clock: Clock::system(), environment, reload };
        Ok(server::run(program, signals).await?)
    });
    served.map_or_else(|error| fail(&*error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
}

fn config_check(layers: &Layers) -> ExitCode {
    for (name, value) in layers.iter() {
        print(&mut io::stdout(), format_args!("{name} = {:?}  # {}\n", value.text, value.origin));
    }
    match checked(layers) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::from(MISUSE)),
    }
}

/// The configuration, when a server may start with it.
fn checked(layers: &Layers) -> Result<Config, ConfigError> {
    let config = Config::from_layers(layers)?;
    Access::from_layers(layers)?.must_be_open()?;
    Ok(config)
}

/// Runs a command that asks a server, and prints its answer.
fn client(command: impl Future<Output = Result<(String, ExitCode), Failed>>) -> ExitCode {
    match runtime(tokio::runtime::Builder::new_current_thread(), command) {
        Ok((answer, code)) => {
            print(&mut io::stdout(), format_args!("{answer}\n"));
            code
        }
        Err(error) => fail(&*error, ExitCode::FAILURE),
    }
}

fn runtime<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    let runtime = builder.enable_all().build()?;
    let done = runtime.block_on(work);
    // What is still running was given its time: it does not hold the process.
    runtime.shutdown_background();
    done
}

/// Prints. That nobody reads it any more, as behind `| head -n 1`, is no failure.
fn print(to: &mut impl io::Write, text: fmt::Arguments<'_>) {
    let _reader_is_gone = to.write_fmt(text).and_then(|()| to.flush());
}

fn fail(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    print(&mut io::stderr(), format_args!("presignd: {error}\n"));
    code
}
