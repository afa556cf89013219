//! Where the suite for Stripe's client library is, and a Python that can run it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

pub const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stripe_clients/suite.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stripe_clients/requirements.txt");
const NEEDED: &str = "this test needs `python3`, 3.9 or newer, with the module `venv`, and a package index to install \
                      tests/stripe_clients/requirements.txt from";

/// The interpreter of an environment of its own below `target/`, made once and used again while the requirements stay.
pub fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(prepare).clone()
}

fn prepare() -> PathBuf {
    let environment = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("stripe_clients");
    let (python, stamp) = (environment.join("bin/python"), environment.join("installed"));
    let wanted = std::fs::read_to_string(REQUIREMENTS).unwrap();
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && works(&python) {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"];
    run(Command::new(&python).args(arguments).args(["--only-binary=:all:", "-r", REQUIREMENTS]));
    std::fs::write(stamp, wanted).unwrap();
    python
}

fn works(python: &PathBuf) -> bool {
    Command::new(python).args(["-c", "import stripe"]).status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{NEEDED}: {command:?}: {error}"));
    assert!(status.success(), "{NEEDED}: {command:?} ended with {status}");
}
