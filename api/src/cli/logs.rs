//! Logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `RUST_LOG` says what is logged; when it is not set: warnings, and our own news unless `quiet`.
pub fn start(format: LogFormat, quiet: bool) {
    let default = if quiet {
        "warn,sqlx=error,adapters::embedded::binaries=info"
    } else {
        "warn,api=info,adapters=info,sqlx=error"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = started {
        eprintln!("earnest: logs are started already: {error}");
    }
}
