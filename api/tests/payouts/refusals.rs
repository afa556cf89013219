//! How the routes about payees and payouts refuse.

use serde_json::{Value, json};

use super::support::World;
use super::{of_payee, put};

/// Every command about being paid: who may not give it, and what in it cannot be used.
#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let world = World::new().await;
    let (payee, client, admin) = (&world.payee, &world.client, &world.admin);
    let at = |rest: &str| of_payee(&world, rest);
    let posts: Vec<(&_, &str, Value, u16, &str)> = vec![
        (payee, "/payout-account", json!({}), 422, "validation_failed"),
        (payee, "/payout-account", json!({ "psp_account": "acct_1", "country": "US" }), 422, "validation_failed"),
        (payee, "/payout-account", json!({ "country": "USA" }), 422, "validation_failed"),
        (payee, "/payout-account", json!({ "country": "US" }), 409, "payout_account_exists"),
        (client, "/payout-account", json!({ "country": "US" }), 403, "forbidden"),
        (client, "/onboarding-links", json!({}), 403, "forbidden"),
        (payee, "/restrict", json!({}), 403, "forbidden"),
        (payee, "/lift-restriction", json!({}), 403, "forbidden"),
        (admin, "/lift-restriction", json!({}), 409, "not_restricted"),
        (payee, "/sanctions/hit", json!({ "screening_ref": "scr_1" }), 403, "forbidden"),
        (admin, "/sanctions/hit", json!({ "screening_ref": "scr_1", "currencies": ["XX"] }), 422, "validation_failed"),
        (payee, "/sanctions/propose-clearance", json!({}), 403, "forbidden"),
        (admin, "/sanctions/propose-clearance", json!({}), 409, "not_restricted"),
        (payee, "/sanctions/clear", json!({}), 403, "forbidden"),
        (admin, "/sanctions/clear", json!({}), 409, "not_restricted"),
    ];
    for (who, rest, body, status, code) in posts {
        let path = at(rest);
        let answer = world.post(who, &path, None, body.clone());
        let refused = world.refused(status, code, answer).await;
        assert!(refused.body["detail"].is_string(), "{rest} {body}");
    }
    let version = world.version(payee, &at("")).await;
    let token = json!({ "bank_account_token": "btok_us_verified" });
    let version = version.as_str();
    let puts = [
        (payee, "/payout-destinations/USD", None, token.clone(), 428, "precondition_required", ""),
        (payee, "/payout-destinations/USD", Some("\"77\""), token.clone(), 412, "version_mismatch", ""),
        (payee, "/payout-destinations/XX", Some(version), token.clone(), 422, "validation_failed", "currency"),
        (
            payee,
            "/payout-destinations/USD",
            Some(version),
            json!({ "bank_account_token": "DE89 3704" }),
            422,
            "validation_failed",
            "/bank_account_token",
        ),
        (client, "/payout-destinations/USD", Some(version), token, 403, "forbidden", ""),
        (
            payee,
            "/payout-schedule",
            None,
            json!({ "currency": "USD", "every": "weekly" }),
            422,
            "validation_failed",
            "/day",
        ),
        (
            payee,
            "/payout-schedule",
            None,
            json!({ "currency": "USD", "every": "daily", "day": 1 }),
            422,
            "validation_failed",
            "/day",
        ),
        (
            payee,
            "/payout-schedule",
            None,
            json!({ "currency": "USD", "every": "monthly", "day": 32 }),
            422,
            "validation_failed",
            "/day",
        ),
        (
            payee,
            "/payout-schedule",
            None,
            json!({ "currency": "USD", "every": "daily", "minimum": -1 }),
            422,
            "validation_failed",
            "/minimum",
        ),
        (client, "/payout-schedule", None, json!({ "currency": "USD", "every": "daily" }), 403, "forbidden", ""),
        (payee, "/payout-policy", None, json!({ "currency": "USD" }), 403, "forbidden", ""),
        (
            admin,
            "/payout-policy",
            None,
            json!({ "currency": "USD", "minimum": -1 }),
            422,
            "validation_failed",
            "/minimum",
        ),
    ];
    for (who, rest, version, body, status, code, pointer) in puts {
        let refused = world.refused(status, code, put(&world, who, &at(rest), version, body)).await;
        let told = refused.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert_eq!(told, pointer, "{rest}: {}", refused.body);
    }
    // A currency is paid out in whole units of what the bank takes: 900.50 forints are not.
    let odd = world.post(payee, "/v1/payouts", None, json!({ "amount": 90_050, "currency": "HUF" }));
    assert_eq!(world.refused(422, "validation_failed", odd).await.body["errors"][0]["pointer"], "/amount");
    // Of what is not there, or not the caller's, nothing is told.
    let nothing = "pot_00000000000000000000000000";
    for (who, verb) in [(admin, "approve"), (payee, "cancel"), (payee, "retry")] {
        let path = format!("/v1/payouts/{nothing}/{verb}");
        let answer = world.post(who, &path, None, json!({}));
        world.refused(404, "not_found", answer).await;
    }
    let path = format!("/v1/payouts/{nothing}/retry");
    let as_client = world.post(client, &path, None, json!({}));
    world.refused(403, "forbidden", as_client).await;
    let path = at("/requirements");
    let stranger = world.get(client, &path);
    world.refused(404, "not_found", stranger).await;
    helpers_are_refused(&world).await;
    world.close().await;
}

/// Only an administrator says what the built-in provider does, and only to what is there.
async fn helpers_are_refused(world: &World) {
    let party = world.payee.party_id.to_string();
    let nobody = "pty_00000000000000000000000000";
    let payout = json!({ "payout_id": "pot_00000000000000000000000000" });
    for (helper, right, wrong) in [
        ("payout-fail", payout.clone(), json!({ "payout_id": "x" })),
        ("payout-return", payout.clone(), json!({ "payout_id": "x" })),
        ("account-onboard", json!({ "party_id": nobody }), json!({ "party_id": "x" })),
        ("account-restrict", json!({ "party_id": nobody }), json!({ "party_id": "x" })),
        ("account-deauthorize", json!({ "party_id": nobody }), json!({ "party_id": "x" })),
        ("account-close", json!({ "party_id": nobody }), json!({ "party_id": "x" })),
        (
            "account-adjust",
            json!({ "party_id": nobody, "amount": 1, "currency": "USD" }),
            json!({ "party_id": party, "amount": 0, "currency": "USD" }),
        ),
    ] {
        let path = format!("/v1/test_helpers/psp/{helper}");
        world.refused(403, "forbidden", world.post(&world.payee, &path, None, right.clone())).await;
        world.refused(404, "not_found", world.post(&world.admin, &path, None, right)).await;
        world.refused(422, "validation_failed", world.post(&world.admin, &path, None, wrong)).await;
    }
}
