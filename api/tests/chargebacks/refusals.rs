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
        for command in ["submit", "accept", "evidence"] {
            let command = format!("{path}/{command}");
            world.refused(403, "forbidden", world.post(party, &command, None, json!({}))).await;
        }
        let act = json!({ "dispute": dispute });
        world.refused(403, "forbidden", world.post(party, "/v1/test_helpers/psp/win", None, act)).await;
    }
    // Staff that reads may look, and decides nothing.
    let auditor = world.other_role(&world.admin, Role::Staff(StaffRole::Auditor)).await;
    world.get(&auditor, &path).await.success().unwrap();
    for command in ["submit", "accept", "evidence"] {
        let command = format!("{path}/{command}");
        world.refused(403, "forbidden", world.post(&auditor, &command, None, json!({}))).await;
    }
    let unknown = "/v1/chargebacks/cbk_00000000000000000000000001";
    world.refused(404, "not_found", world.get(&world.admin, unknown)).await;
    world.refused(404, "not_found", world.post(&world.admin, &format!("{unknown}/submit"), None, json!({}))).await;
    world.refused(404, "not_found", world.post(&world.admin, &format!("{unknown}/accept"), None, json!({}))).await;
    let (say, said) = (format!("{path}/evidence"), json!({ "texts": { "service_date": "May" } }));
    let of_unknown = format!("{unknown}/evidence");
    world.refused(404, "not_found", world.post(&world.admin, &of_unknown, Some("\"1\""), said.clone())).await;
    world.refused(428, "precondition_required", world.post(&world.admin, &say, None, said)).await;
    let version = world.version(&world.admin, &path).await;
    let long = "a".repeat(20_001);
    let fields = [
        "product_description",
        "service_date",
        "shipping_address",
        "customer_name",
        "shipping_carrier",
        "cancellation_rebuttal",
        "billing_address",
        "shipping_date",
    ];
    let all: serde_json::Map<_, _> =
        fields.iter().map(|field| ((*field).to_owned(), json!("a".repeat(20_000)))).collect();
    for (body, pointer) in [
        (json!({}), "/texts"),
        (json!({ "texts": { "service_date": " " } }), "/texts/service_date"),
        (json!({ "texts": { "service_date": long } }), "/texts/service_date"),
        (json!({ "texts": all }), "/texts"),
        (json!({ "files": { "receipt": "../receipt" } }), "/files/receipt"),
        (json!({ "files": { "receipt": "" } }), "/files/receipt"),
    ] {
        let refused = world.post(&world.admin, &say, Some(&version), body);
        let refused = world.refused(422, "validation_failed", refused).await;
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{}", refused.body);
    }
    let odd = world.post(&world.admin, &say, Some(&version), json!({ "texts": { "shoe_size": "43" } }));
    world.refused(422, "validation_failed", odd).await;
    assert_eq!(world.count("chargeback.evidence_drafted").await, 0);
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
    let accept = format!("{path}/accept");
    world.refused(409, "chargeback_wrong_state", world.post(&world.admin, &accept, None, json!({}))).await;
    world.close().await;
}
