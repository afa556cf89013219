//! What lies in the data directory: one cluster per major version, its settings, its passwords.
//!
//! ```text
//! <data_dir>/lock                       held while a server is being started
//! <data_dir>/postgres-15/pgdata/        the cluster
//!                        run/           its socket
//!                        secrets.json   the generated passwords, 0600, readable to whoever started it
//!                        port           the port of the last start, taken again if still free
//!                        server.log     its lock says whether a server of this cluster is alive
//! ```
//!
//! # Invariants
//! - A directory `postgres-15` is complete: it is made under another name and then renamed.
//! - Nothing in a directory that is not ours is changed.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::Account;
use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::{ADMIN_ROLE, APP_ROLE, EmbeddedOptions, OWNER_ROLE};

/// A Unix socket's path has at most 103 bytes (macOS; Linux 107), and `/.s.PGSQL.65535` is 15 of them.
const LONGEST_SOCKET_DIRECTORY: usize = 103 - 15;

/// Beyond this the log of earlier starts is put aside; only one such file is kept.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;

/// How much of the log's end goes into an error.
const LOG_TAIL: u64 = 2 * 1024;

/// The generated passwords. No `Debug`: they must not reach a log.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secrets {
    pub(super) admin: String,
    pub(super) owner: String,
    pub(super) app: String,
}

impl Secrets {
    fn generate() -> Self {
        // 244 random bits, and nothing that would need quoting anywhere.
        let password = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { admin: password(), owner: password(), app: password() }
    }
}

/// One cluster in the data directory.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    home: PathBuf,
    pub(super) major: u32,
}

impl Cluster {
    fn at(data_dir: &Path, major: u32) -> Self {
        Self { home: data_dir.join(format!("postgres-{major}")), major }
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn pgdata(&self) -> PathBuf {
        self.home.join("pgdata")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    fn port_file(&self) -> PathBuf {
        self.home.join("port")
    }

    /// The directory of the server's socket, if its path is short enough for one.
    pub(super) fn socket_directory(&self) -> Option<PathBuf> {
        let run = self.home.join("run");
        let text = run.to_str()?;
        // The server's list of socket directories is separated by commas.
        (text.len() <= LONGEST_SOCKET_DIRECTORY && !text.contains([',', '"'])).then_some(run)
    }

    /// The newest cluster in `data_dir`, if there is one.
    pub(super) fn newest(data_dir: &Path) -> Result<Option<Self>, EmbeddedError> {
        if data_dir.join("PG_VERSION").exists() {
            let reason = "it is a PostgreSQL data directory made by hand".to_owned();
            return Err(EmbeddedError::ForeignDirectory { path: data_dir.to_owned(), reason });
        }
        let mut newest: Option<u32> = None;
        for entry in fs::read_dir(data_dir).map_err(EmbeddedError::io("read", data_dir))? {
            let entry = entry.map_err(EmbeddedError::io("read", data_dir))?;
            if let Some(major) =
                entry.file_name().to_str().and_then(|name| name.strip_prefix("postgres-")?.parse().ok())
            {
                newest = newest.max(Some(major));
            }
        }
        let Some(major) = newest else { return Ok(None) };
        let cluster = Self::at(data_dir, major);
        let version_file = cluster.pgdata().join("PG_VERSION");
        match fs::read_to_string(&version_file) {
            Ok(version) if version.trim().parse() == Ok(major) => Ok(Some(cluster)),
            Ok(version) => {
                let reason = format!("its PG_VERSION says {}", version.trim());
                Err(EmbeddedError::ForeignDirectory { path: cluster.home, reason })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let reason = "there is no cluster in it".to_owned();
                Err(EmbeddedError::ForeignDirectory { path: cluster.home, reason })
            }
            Err(error) => Err(EmbeddedError::io("read", &version_file)(error)),
        }
    }

    /// Makes a cluster in `data_dir`, complete or not at all. Blocks for about a second.
    pub(super) fn create(
        data_dir: &Path,
        binaries: &Binaries,
        account: &Account,
        fsync: bool,
    ) -> Result<Self, EmbeddedError> {
        let finished = Self::at(data_dir, binaries.major);
        let draft = Self { home: data_dir.join("unfinished"), major: binaries.major };
        match fs::remove_dir_all(&draft.home) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(EmbeddedError::io("remove", &draft.home)(error));
            }
            _ => {}
        }
        for directory in [&draft.home, &draft.home.join("run")] {
            let made = fs::DirBuilder::new().mode(0o700).create(directory);
            made.map_err(EmbeddedError::io("create", directory))?;
            account.give(directory)?;
        }
        let secrets = Secrets::generate();
        let path = draft.secrets_file();
        let text = serde_json::to_string_pretty(&secrets).map_err(|error| draft.bad_secrets(&error))?;
        write_private(&path, &text)?;

        let password_file = draft.home.join("password");
        write_private(&password_file, &secrets.admin)?;
        account.give(&password_file)?;
        let mut initdb = account.command(binaries.initdb());
        initdb.arg("-D").arg(draft.pgdata()).arg("--pwfile").arg(&password_file);
        initdb.args(["-U", ADMIN_ROLE, "-E", "UTF8", "--no-locale", "--data-checksums"]);
        initdb.args(["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"]);
        if !fsync {
            initdb.arg("--no-sync");
        }
        let output = initdb.current_dir("/").stdin(Stdio::null()).output();
        let output = output.map_err(EmbeddedError::io("run", &binaries.initdb()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(EmbeddedError::Initdb { status: output.status.to_string(), stderr });
        }
        fs::remove_file(&password_file).map_err(EmbeddedError::io("remove", &password_file))?;

        let main = draft.pgdata().join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(&main).map_err(EmbeddedError::io("open", &main))?;
        file.write_all(INCLUDES.as_bytes()).map_err(EmbeddedError::io("write", &main))?;
        fs::rename(&draft.home, &finished.home).map_err(EmbeddedError::io("create", &finished.home))?;
        if fsync {
            let directory = File::open(data_dir).and_then(|directory| directory.sync_all());
            directory.map_err(EmbeddedError::io("sync", data_dir))?;
        }
        Ok(finished)
    }

    fn secrets_file(&self) -> PathBuf {
        self.home.join("secrets.json")
    }

    fn bad_secrets(&self, reason: &impl ToString) -> EmbeddedError {
        EmbeddedError::Secrets { path: self.secrets_file(), reason: reason.to_string() }
    }

    pub(super) fn secrets(&self) -> Result<Secrets, EmbeddedError> {
        let text = fs::read_to_string(self.secrets_file()).map_err(|error| self.bad_secrets(&error))?;
        serde_json::from_str(&text).map_err(|error| self.bad_secrets(&error))
    }

    /// A port for the server: the one of the last start if it is free, else any free one. Somebody may take it before the server does;
    /// then the start is tried again with another.
    pub(super) fn choose_port(&self, again: bool) -> Result<u16, EmbeddedError> {
        let free =
            |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
        if !again
            && let Some(port) = fs::read_to_string(self.port_file()).ok().and_then(|text| text.trim().parse().ok())
            && free(port).is_ok()
        {
            return Ok(port);
        }
        Ok(free(0).map_err(EmbeddedError::io("find a free port on", Path::new("127.0.0.1")))?.port())
    }

    /// Remembers the port for the next start.
    pub(super) fn keep_port(&self, port: u16) -> Result<(), EmbeddedError> {
        let path = self.port_file();
        fs::write(&path, format!("{port}\n")).map_err(EmbeddedError::io("write", &path))
    }

    /// Opens the log for a server, with its lock. `None` if another server holds the lock.
    ///
    /// The lock belongs to the open file, which the supervisor, the server and all its processes inherit as standard error: it is free
    /// exactly when none of them is left, whatever process ids, containers or crashes did meanwhile.
    pub(super) fn open_log(&self) -> Result<Option<File>, EmbeddedError> {
        let path = self.log();
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path)
                .map_err(EmbeddedError::io("open", &path))
        };
        let mut log = open()?;
        let locked = |log: &File| match log.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(EmbeddedError::io("lock", &path)(error)),
        };
        if !locked(&log)? {
            return Ok(None);
        }
        if log.metadata().is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
            let old = self.home.join("server.log.1");
            fs::rename(&path, &old).map_err(EmbeddedError::io("rename", &path))?;
            log = open()?;
            if !locked(&log)? {
                return Ok(None);
            }
        }
        Ok(Some(log))
    }

    /// How long the log is.
    pub(super) fn log_length(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |metadata| metadata.len())
    }

    /// The end of the log, but nothing before `from`.
    pub(super) fn log_tail(&self, from: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let start = file.metadata()?.len().saturating_sub(LOG_TAIL).max(from);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }

    /// What a running server says about itself.
    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        Postmaster::parse(&fs::read_to_string(self.pgdata().join("postmaster.pid")).ok()?)
    }

    /// Removes a postmaster.pid left by a crash if its process id now belongs to a program that is not PostgreSQL, which the server
    /// would take for its predecessor. Only to be called with the lock of the log. Elsewhere than on Linux the server's own check
    /// must do.
    pub(super) fn forget_dead_postmaster(&self) -> Result<(), EmbeddedError> {
        let Some(postmaster) = self.postmaster() else {
            return Ok(());
        };
        match fs::read_to_string(format!("/proc/{}/comm", postmaster.pid)) {
            Ok(program) if !program.starts_with("postgres") && !program.starts_with("postmaster") => {
                let path = self.pgdata().join("postmaster.pid");
                tracing::info!(
                    pid = postmaster.pid,
                    program = program.trim(),
                    "removing a postmaster.pid left by a crash"
                );
                fs::remove_file(&path).map_err(EmbeddedError::io("remove", &path))
            }
            _ => Ok(()),
        }
    }

    /// Writes the settings for the next start.
    pub(super) fn configure(
        &self,
        options: &EmbeddedOptions,
        binaries: &Binaries,
        account: &Account,
        port: u16,
    ) -> Result<(), EmbeddedError> {
        let file = |name: &str, text: &str| {
            let path = self.pgdata().join(name);
            fs::write(&path, text).map_err(EmbeddedError::io("write", &path))?;
            account.give(&path)
        };
        let compression = if self.supports_lz4(binaries, account) { "lz4" } else { "off" };
        file("earnest.conf", &settings(options, self.socket_directory().as_deref(), port, compression)?)?;

        // Whoever may enter the socket's directory (0700) is asked for by the kernel, not by a password, if the machine can name us.
        let names = account.names();
        let (method, mut map) =
            if names.is_empty() { ("scram-sha-256", String::new()) } else { ("peer map=earnest", String::new()) };
        for name in names {
            for role in [ADMIN_ROLE, OWNER_ROLE, APP_ROLE] {
                let _ = writeln!(map, "earnest \"{name}\" {role}"); // Writing to a String cannot fail.
            }
        }
        file("pg_ident.conf", &map)?;
        file("pg_hba.conf", &format!("local all all {method}\nhost all all 127.0.0.1/32 scram-sha-256\n"))
    }

    /// Whether this build can compress its write-ahead log with LZ4; not all can.
    fn supports_lz4(&self, binaries: &Binaries, account: &Account) -> bool {
        let mut command = account.command(binaries.postgres());
        command.arg("-D").arg(self.pgdata()).args(["-C", "wal_compression", "-c", "wal_compression=lz4"]);
        command.current_dir("/").stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    }
}

/// Appended to the postgresql.conf that initdb makes.
const INCLUDES: &str = "\n# Written anew by earnest at every start:\ninclude_if_exists 'earnest.conf'\n\
                        # Yours, if you want to change a setting:\ninclude_if_exists 'local.conf'\n";

/// The settings as text of a configuration file.
///
/// Sized for a machine that also runs everything else: the idle server stays well below 250 MiB. `wal_compression` and `max_wal_size`
/// carry the write path (measured: 30,000 against 25,000 appends per second); `jit` only costs with statements as short as ours.
fn settings(
    options: &EmbeddedOptions,
    socket_directory: Option<&Path>,
    port: u16,
    wal_compression: &str,
) -> Result<String, EmbeddedError> {
    let on = |yes: bool| if yes { "on" } else { "off" };
    let socket_directory = socket_directory.map(|path| path.display().to_string()).unwrap_or_default();
    let mut pairs: Vec<(&str, String)> = vec![
        ("listen_addresses", "127.0.0.1".into()),
        ("port", port.to_string()),
        ("unix_socket_directories", socket_directory),
        ("unix_socket_permissions", "0700".into()),
        ("password_encryption", "scram-sha-256".into()),
        ("max_connections", options.max_connections.to_string()),
        ("shared_buffers", format!("{}MB", options.shared_buffers_mib)),
        ("max_wal_size", "2GB".into()),
        ("wal_compression", wal_compression.into()),
        ("checkpoint_timeout", "15min".into()),
        ("fsync", on(options.fsync).into()),
        ("full_page_writes", on(options.fsync).into()),
        ("jit", "off".into()),
        ("random_page_cost", "1.1".into()),
        ("timezone", "UTC".into()),
        ("log_timezone", "UTC".into()),
        ("lc_messages", "C".into()),
        ("cluster_name", "earnest".into()),
        ("logging_collector", "off".into()),
        ("log_destination", "stderr".into()),
        ("log_checkpoints", "off".into()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".into()),
        // Statements and details of errors carry personal data: the server logs neither; the caller logs the error with its context.
        ("log_parameter_max_length_on_error", "0".into()),
        ("log_min_error_statement", "panic".into()),
        ("log_error_verbosity", "terse".into()),
    ];
    if options.throwaway {
        pairs.extend([("wal_level", "minimal".into()), ("max_wal_senders", "0".into())]);
    }
    for (name, value) in &options.settings {
        let known = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.');
        if !known {
            return Err(EmbeddedError::Option {
                name: name.clone(),
                reason: "is not the name of a PostgreSQL setting",
            });
        }
        pairs.push((name, value.clone()));
    }
    let mut text = String::from("# Written by earnest at every start. Put your own settings into local.conf.\n");
    for (name, value) in pairs {
        if value.contains(['\n', '\r', '\0']) {
            return Err(EmbeddedError::Option { name: name.to_owned(), reason: "its value must be one line" });
        }
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        let _ = writeln!(text, "{name} = '{value}'"); // Writing to a String cannot fail.
    }
    Ok(text)
}

/// What postmaster.pid says. It may be stale.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) ready: bool,
}

impl Postmaster {
    /// Lines: process id, data directory, start time, port, socket directory, address, shared memory, status.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            pid: lines.first()?.parse().ok()?,
            port: lines.get(3)?.parse().ok()?,
            ready: lines.get(7).is_some_and(|status| *status == "ready"),
        })
    }
}

fn write_private(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(EmbeddedError::io("create", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(EmbeddedError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postmaster_file_is_read_only_when_it_is_complete() {
        let whole = "4711\n/data\n1700000000\n5433\n/run\n127.0.0.1\n  1 2\nready   \n";
        assert_eq!(Postmaster::parse(whole), Some(Postmaster { pid: 4711, port: 5433, ready: true }));
        let starting = whole.replace("ready   ", "starting");
        assert_eq!(Postmaster::parse(&starting), Some(Postmaster { pid: 4711, port: 5433, ready: false }));
        assert_eq!(Postmaster::parse("4711\n/data\n"), None);
    }

    #[test]
    fn a_setting_cannot_smuggle_in_another() {
        let with = |name: &str, value: &str| {
            let mut options = EmbeddedOptions::new("/nowhere");
            options.settings.push((name.to_owned(), value.to_owned()));
            settings(&options, None, 1, "off")
        };
        assert!(with("work_mem", "8MB").unwrap().contains("work_mem = '8MB'\n"));
        assert!(with("search_path", "it's").unwrap().contains("search_path = 'it''s'\n"));
        assert!(matches!(with("work_mem", "8MB'\nfsync = 'off"), Err(EmbeddedError::Option { .. })));
        assert!(matches!(with("a = 'b'\nfsync", "off"), Err(EmbeddedError::Option { .. })));
    }
}
