//! Who runs the server: whoever runs us, or, because PostgreSQL refuses root, `postgres` or `nobody` when root does.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::EmbeddedError;

/// Users that root may run the server as, in order of preference. `_postgres` is what macOS calls it.
const UNPRIVILEGED: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The operating system's user under whom the server runs.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Present when we are root: then the server runs as this user.
    drop_to: Option<User>,
    /// The names under which processes of ours may reach the server's socket.
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account for this process.
    pub(super) fn current() -> Result<Self, EmbeddedError> {
        if !is_root() {
            return Ok(Self { drop_to: None, names: own_name().into_iter().collect() });
        }
        let path = Path::new("/etc/passwd");
        let passwd = fs::read_to_string(path).map_err(EmbeddedError::io("read", path))?;
        let user = UNPRIVILEGED
            .iter()
            .find_map(|name| find_user(&passwd, name))
            .ok_or_else(|| EmbeddedError::NoUnprivilegedUser { tried: UNPRIVILEGED.to_vec() })?;
        let names = vec![user.name.clone(), "root".to_owned()];
        Ok(Self { drop_to: Some(user), names })
    }

    /// Whether the server runs as somebody else than we do.
    pub(super) fn drops_privileges(&self) -> bool {
        self.drop_to.is_some()
    }

    /// The system users that may reach the server's socket; empty when the machine cannot name us.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// A command that runs as the server's user, in its own process group (so that Ctrl-C at a terminal reaches only us, and we stop
    /// the server in order), with nothing of our environment (which holds secrets) but what a program needs to run.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").process_group(0);
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(user) = &self.drop_to {
            // The standard library drops the supplementary groups, too, when root sets a user id.
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Gives a file or directory that we made to the server's user.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        match &self.drop_to {
            Some(user) => {
                chown(path, Some(user.uid), Some(user.gid)).map_err(EmbeddedError::io("change the owner of", path))
            }
            None => Ok(()),
        }
    }

    /// Creates a directory and what is missing on the way to it: for everybody to enter if the server runs as somebody else, else for
    /// us alone.
    pub(super) fn create_directories(&self, path: &Path) -> Result<(), EmbeddedError> {
        let missing: Vec<_> = path.ancestors().take_while(|directory| !directory.exists()).collect();
        for directory in missing.into_iter().rev() {
            let mode = if self.drops_privileges() { 0o755 } else { 0o700 };
            match fs::create_dir(directory) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue, // Another process was faster.
                created => created.map_err(EmbeddedError::io("create", directory))?,
            }
            fs::set_permissions(directory, fs::Permissions::from_mode(mode))
                .map_err(EmbeddedError::io("open", directory))?;
        }
        Ok(())
    }

    /// Checks that the server's user may enter every directory on the way to `path`, and `path` itself where it is one.
    pub(super) fn check_reachable(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some(user) = &self.drop_to else { return Ok(()) };
        let real = fs::canonicalize(path).map_err(EmbeddedError::io("find", path))?;
        for directory in real.ancestors() {
            let metadata = fs::metadata(directory).map_err(EmbeddedError::io("look at", directory))?;
            if metadata.is_dir() && !user.may_enter(&metadata) {
                return Err(EmbeddedError::NotReachable {
                    path: path.to_owned(),
                    barrier: directory.to_owned(),
                    user: user.name.clone(),
                });
            }
        }
        Ok(())
    }
}

impl User {
    fn may_enter(&self, directory: &fs::Metadata) -> bool {
        let bit = if directory.uid() == self.uid {
            0o100
        } else if directory.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        directory.mode() & bit != 0
    }
}

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Our own name, from `id`: macOS and directory services keep users where /etc/passwd does not show them.
fn own_name() -> Option<String> {
    let output = Command::new("id").arg("-un").output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    // The name goes into a configuration file between quotes.
    (output.status.success() && !name.is_empty() && !name.contains(['"', '\n', '\\'])).then_some(name)
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let uid = id(fields.nth(1)?)?;
        let gid = id(fields.next()?)?;
        (uid != 0).then(|| User { name: name.to_owned(), uid, gid })
    })
}

/// macOS writes `nobody` as -2.
fn id(field: &str) -> Option<u32> {
    field.parse::<u32>().ok().or_else(|| field.parse::<i32>().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_as_linux_and_macos_write_them() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# remark\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nnobody:*:-2:-2:x:/:/x\n";
        assert_eq!(find_user(passwd, "postgres"), Some(User { name: "postgres".into(), uid: 101, gid: 104 }));
        assert_eq!(
            find_user(passwd, "nobody"),
            Some(User { name: "nobody".into(), uid: 4_294_967_294, gid: 4_294_967_294 })
        );
        assert_eq!(find_user(passwd, "postgre"), None);
        assert_eq!(find_user(passwd, "root"), None, "root is not unprivileged");
    }
}
