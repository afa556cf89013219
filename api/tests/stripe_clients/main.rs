//! Stripe's own client library for Python, unchanged, against `earnest sandbox` as a user starts it.
//!
//! What it calls is in `suite.py`. It needs `python3` (3.9 or newer, with `venv`) and a package index to install
//! `requirements.txt` from, once; without them the test fails and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "../stripe_suite/mod.rs"]
mod stripe_suite;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use adapters::embedded::testing::TestCluster;
use sqlx::ConnectOptions;

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The calls that we use, errors and replays, pages, and the signatures of what it is told.
#[tokio::test]
async fn stripes_client_for_python_works_against_the_sandbox() {
    let python = stripe_suite::python();
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let mut suite = Process(
        Command::new(python)
            .args([stripe_suite::SUITE, "", "sk_test_clients", "sandbox"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut says = BufReader::new(suite.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port = says.next().unwrap().strip_prefix("LISTENING ").expect("it listens for webhooks first").to_owned();
    let webhooks = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let mut sandbox = Process(
        Command::new(env!("CARGO_BIN_EXE_earnest"))
            .args([
                "sandbox",
                "--listen",
                "127.0.0.1:0",
                "--key",
                "sk_test_clients",
                "--test-clock",
                "2026-12-01T10:00:00Z",
            ])
            .args(["--webhook-url", &webhooks("platform"), "--webhook-secret", "whsec_platform"])
            .args(["--connect-webhook-url", &webhooks("connect"), "--connect-webhook-secret", "whsec_connect"])
            .env("DATABASE_URL", database.app_options.to_url_lossy().as_str())
            .env("EARNEST_OWNER_DATABASE_URL", database.owner_options.to_url_lossy().as_str())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let line = BufReader::new(sandbox.0.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let base = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().trim_end_matches(['.', '/']);
    writeln!(suite.0.stdin.take().unwrap(), "{base}").unwrap();

    let told: Vec<String> = says.collect();
    assert!(suite.0.wait().unwrap().success(), "the suite failed after {told:#?}");
    assert_eq!(told.last().map(String::as_str), Some("DONE"), "{told:#?}");
    // Nine steps that Stripe would take as well, and eight that only the sandbox can.
    assert_eq!(told.iter().filter(|line| line.starts_with("ok ")).count(), 17, "{told:#?}");
}

/// The suite moves money: it does not start with a live key.
#[test]
fn a_live_key_is_refused() {
    for key in ["sk_live_1", "rk_live_1", "1"] {
        let output =
            Command::new(stripe_suite::python()).args([stripe_suite::SUITE, "", key, "stripe"]).output().unwrap();
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("test key only"), "{key}");
    }
}
