//! The commands of the binary `earnest`.

pub mod database;
pub mod demo;
pub mod edge;
pub mod identity;
pub mod inbox;
pub mod logs;
pub mod operator;
pub mod outbox;
pub mod serve;
pub mod story;
pub mod tenant;

use clap::{Parser, Subcommand};

/// Escrow and contract ledger engine for service marketplaces.
///
/// Without DATABASE_URL it starts a Postgres of its own; without a payment provider it starts a built-in one. So
/// `earnest demo` and `earnest serve` need nothing else.
#[derive(Debug, Parser)]
#[command(name = "earnest", version, max_term_width = 100)]
pub struct Cli {
    /// How logs are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = logs::LogFormat::Human, env = "EARNEST_LOG_FORMAT")]
    pub log_format: logs::LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays a contract from offer to payout over HTTP, on a throw-away database, and checks the books.
    Demo(demo::DemoOptions),
    /// Serves the API, with everything that it needs.
    Serve(Box<serve::ServeOptions>),
    /// Makes tenants, and lists them.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Creates or migrates the tenant's schema and grants the serving login its rights.
    Migrate(operator::MigrateOptions),
    /// Makes an access token for a party and a role, and the party if it is new.
    Token(operator::TokenOptions),
    /// Works on the keys that access tokens are signed with.
    Keys(identity::KeysOptions),
    /// Makes an account for a member of staff, and prints the link to choose a password with.
    Staff(identity::StaffOptions),
    /// Prints the trial balance.
    TrialBalance(operator::TenantOptions),
    /// Throws the read models away and builds them again from the log.
    Rebuild(operator::TenantOptions),
    /// Looks after orders to the payment provider: list, pause, resume, try again, compare after a restore.
    Outbox(outbox::OutboxOptions),
    /// Looks after notices of the payment provider: list, and work on again.
    Inbox(inbox::InboxOptions),
    /// Runs the built-in payment provider alone.
    Sandbox(serve::SandboxOptions),
}

/// Carries out a command line.
///
/// # Errors
/// What went wrong, in words for the operator.
pub async fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // What is printed by commands that end by themselves is for a person to read.
    let quiet = !matches!(cli.command, Command::Serve(_) | Command::Sandbox(_));
    logs::start(cli.log_format, quiet);
    match cli.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve(options) => serve::serve(*options).await,
        Command::Tenant(command) => tenant::run(command).await,
        Command::Migrate(options) => operator::migrate(options).await,
        Command::Token(options) => operator::token(options).await,
        Command::Keys(options) => identity::keys(options).await,
        Command::Staff(options) => identity::staff(options).await,
        Command::TrialBalance(options) => operator::trial_balance(options).await,
        Command::Rebuild(options) => operator::rebuild(options).await,
        Command::Outbox(options) => outbox::run(options).await,
        Command::Inbox(options) => inbox::run(options).await,
        Command::Sandbox(options) => serve::sandbox(options).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn every_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn where_the_database_is_can_be_said_before_or_after_what_is_to_be_done() {
        for line in ["outbox --data-dir here list", "outbox list --data-dir here", "inbox list --tenant other"] {
            assert!(Cli::try_parse_from(["earnest"].into_iter().chain(line.split(' '))).is_ok(), "{line}");
        }
    }
}
