//! Keeps the server from outliving us.
//!
//! The server is the child of a small shell process, which reads from a pipe that only we hold open for writing. Whatever way we end,
//! in order or by `kill -9`, the operating system closes the pipe; the shell then tells the server to shut down fast (`SIGINT`:
//! connections are cut, everything committed is on disk), waits for it and, for a throw-away cluster, removes its directory. So there
//! is one way to stop, and it is used every time.
//!
//! # Why not the parent-death signal
//! It belongs to the thread that forked, not to the process, and needs `unsafe`; macOS has none.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;

/// `$1` is the directory to remove at the end, or empty; the rest is the server's command line. Output of the server goes where our
/// standard error goes: the log file, whose lock it thereby holds (see `Cluster::open_log`).
///
/// - The server's process id is a child of the waiting shell until `wait` returns, so the id cannot be reused meanwhile.
/// - `SIGINT` is repeated because a server that is just being started may not listen yet; a repeated one is ignored.
/// - The shells outlast the signals that end a session or a service: only the pipe counts.
/// - The reader ignores `SIGUSR1` once the pipe is closed; so its exit status tells whether the end was asked for.
const SCRIPT: &str = r#"
remove=$1; shift
"$@" </dev/null >&2 &
server=$!
trap '' HUP INT TERM
echo "$server"
exec 3<&0 >&2 </dev/null
{
  while read -r _; do :; done
  trap '' USR1
  while kill -INT "$server" 2>/dev/null; do sleep 0.1; done
  exit 0
} <&3 3<&- &
reader=$!
exec 3<&-
wait "$server"
status=$?
kill -USR1 "$reader" 2>/dev/null
if wait "$reader" && [ -n "$remove" ]; then rm -rf -- "$remove"; fi
exit "$status"
"#;

/// How long dropping waits for the server to be down. Stopping takes about 0.1 s; a large last checkpoint goes on without us.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// The shell process that watches over the server. Dropping it stops the server.
#[derive(Debug)]
pub(super) struct Supervisor {
    shell: Child,
    /// Open as long as the server is to run.
    lifeline: Option<ChildStdin>,
    server_pid: u32,
}

impl Supervisor {
    /// Starts the server on `pgdata`, its output going to `log`. `remove` is removed when the end was asked for (or we died).
    pub(super) fn start(
        account: &Account,
        binaries: &Binaries,
        pgdata: &Path,
        log: File,
        remove: Option<&Path>,
    ) -> io::Result<Self> {
        let mut command = account.command("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg("earnest-postgres-supervisor");
        command.arg(remove.unwrap_or(Path::new(""))).arg(binaries.postgres()).arg("-D").arg(pgdata);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut shell = command.spawn()?;
        let lifeline = shell.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let server_pid = line.trim().parse().map_err(|_| io::Error::other("the supervising shell named no process"))?;
        Ok(Self { shell, lifeline, server_pid })
    }

    /// The process id of the server.
    pub(super) fn server_pid(&self) -> u32 {
        self.server_pid
    }

    /// The server's exit status, if it has ended.
    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Asks the server to stop; returns at once.
    pub(super) fn ask_to_stop(&mut self) {
        self.lifeline = None;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.ask_to_stop();
        let deadline = Instant::now() + DROP_PATIENCE;
        while matches!(self.exited(), Ok(None)) {
            if Instant::now() >= deadline {
                tracing::warn!(server.pid = self.server_pid, "the embedded Postgres is still stopping");
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
