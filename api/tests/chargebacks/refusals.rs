//! How every route about chargebacks, and every helper that makes a bank act, is refused.

use api::caller::Role;
use domain::actor::StaffRole;
use serde_json::json;

use super::support::World;
use super::{bank, chargeback, disputed, paid};

#[tokio::test]
async fn what_is_refused() {
    let world = World::new().await;
    let (contract, funding) = paid(&world).await;
    let dispute = disputed(&world, &funding, json!({ "amount": 52_500 })).await;
    let path = format!("/v1/chargebacks/{}", chargeback(&world, &contract).await["id"].as_str().unwrap());
    let submit = format!("{path}/submit");
    for party in [&world.client, &world.payee, &world.outsider] {
        for read in ["/v1/chargebacks", &path, &format!("{path}/evidence")] {
            world.refused(403, "forbidden", world.get(party, read)).await;
        }
        world.refused(403, "forbidden", world.post(party, &submit, None, json!({}))).await;
        let act = json!({ "dispute": dispute });
        world.refused(403, "forbidden", world.post(party, "/v1/test_helpers/psp/win", None, act)).await;
    }
    // Staff that reads may look, and decides nothing.
    let auditor = world.other_role(&world.admin, Role::Staff(StaffRole::Auditor)).await;
    world.get(&auditor, &path).await.success().unwrap();
    world.refused(403, "forbidden", world.post(&auditor, &submit, None, json!({}))).await;
    let unknown = "/v1/chargebacks/cbk_00000000000000000000000001";
    world.refused(404, "not_found", world.get(&world.admin, unknown)).await;
    world.refused(404, "not_found", world.post(&world.admin, &format!("{unknown}/submit"), None, json!({}))).await;
    world.refused(400, "not_a_valid_id", world.get(&world.admin, "/v1/chargebacks/dp_1")).await;
    world.refused(422, "validation_failed", world.get(&world.admin, "/v1/chargebacks?limit=0")).await;
    let none = world.get(&world.admin, "/v1/chargebacks?status=lost").await.success().unwrap();
    assert_eq!(none.body["data"], json!([]));

    for (verb, body, pointer) in [
        ("dispute", json!({}), "/funding_id"),
        ("dispute", json!({ "funding_id": funding, "dispute": dispute }), "/funding_id"),
        ("dispute", json!({ "funding_id": "fnd_1" }), "/funding_id"),
        ("dispute", json!({ "funding_id": "fnd_00000000000000000000000001" }), "/funding_id"),
        ("dispute", json!({ "funding_id": funding, "amount": -1 }), "/amount"),
        ("dispute", json!({ "dispute": dispute, "kind": "inquiry" }), "/dispute"),
        ("win", json!({ "dispute": "dp_1/turn" }), "/dispute"),
        ("win", json!({ "dispute": "dp_1" }), "/dispute"),
        ("lose", json!({ "dispute": dispute, "amount": 1 }), "/amount"),
        ("return", json!({ "funding_id": "fnd_00000000000000000000000001" }), "/funding_id"),
    ] {
        let path = format!("/v1/test_helpers/psp/{verb}");
        let sent = world.post(&world.admin, &path, None, body.clone());
        let refused = world.refused(422, "validation_failed", sent).await;
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{verb} {body}: {}", refused.body);
    }

    // Of a part: as much is locked as the bank has, and it comes back in two parts.
    bank(&world, "win", json!({ "dispute": dispute, "amount": 20_000 })).await;
    assert_eq!(chargeback(&world, &contract).await["status"], "needs_response", "not won before the money is back");
    world
        .refused(
            422,
            "validation_failed",
            world.post(&world.admin, "/v1/test_helpers/psp/win", None, json!({ "dispute": dispute })),
        )
        .await;
    world.post(&world.admin, &submit, None, json!({})).await.success().unwrap();
    // Something has happened since, so that this is another answer.
    let more = json!({ "kind": "add_milestone", "amount": 50_000, "reference": "more" });
    let proposed = world.act(&world.client, contract.at("/amendments"), json!({ "changes": [more] })).await;
    let accept = format!("/amendments/{}/accept", proposed.text("/amendment/id").unwrap());
    world.act(&world.payee, contract.at(&accept), json!({})).await.success().unwrap();
    world.refused(409, "chargeback_wrong_state", world.post(&world.admin, &submit, None, json!({}))).await;
}
