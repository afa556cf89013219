//! The crates know each other in one direction only: ledger, domain, adapters, api, simulations.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::process::Command;

const ORDER: [&str; 5] = ["ledger", "domain", "adapters", "api", "simulations"];

#[test]
fn crates_depend_in_one_direction_and_the_core_on_no_technology() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), ORDER.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let own = place(name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let on = dependency["name"].as_str().unwrap();
            assert!(place(on).is_none_or(|other| other < own), "{name} must not depend on {on}");
            let technology = ["axum", "sqlx", "tokio"].contains(&on) || on.starts_with("async-stripe");
            assert!(!(own < 2 && technology), "{name} must not depend on {on}");
        }
    }
}
