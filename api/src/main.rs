//! The binary `earnest`.

use std::process::ExitCode;

use api::cli::{self, Cli};
use clap::Parser;

/// A third of a busy server's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("earnest: {error}");
            ExitCode::FAILURE
        }
    }
}
