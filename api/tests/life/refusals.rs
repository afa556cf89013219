//! How the commands of a contract's life are refused: no key, no version, a stranger, another role, a wrong state, a body
//! that makes no sense.

use api::caller::Role;
use api::cli::operator::MadeToken;
use serde_json::{Value, json};

use super::support::{Contract, World};
use super::worth;

/// The commands, with a body that is well-formed.
fn commands(contract: &Contract) -> Vec<(String, Value)> {
    let changes = worth(&contract.milestone, 120_000);
    let amendment = "/amendments/amd_00000000000000000000000000";
    vec![
        (contract.at("/counter-offer"), changes.clone()),
        (contract.at("/decline"), json!({ "reason": "r" })),
        (contract.at("/withdraw"), json!({})),
        (contract.at("/cancel"), json!({ "reason": "r" })),
        (contract.at("/pause"), json!({ "reason": "r" })),
        (contract.at("/resume"), json!({})),
        (contract.at("/amendments"), changes),
        (contract.at(&format!("{amendment}/accept")), json!({})),
        (contract.at(&format!("{amendment}/reject")), json!({})),
        (contract.work("/withdraw-submission"), json!({})),
        (contract.work("/request-changes"), json!({ "note_ref": "n" })),
        (contract.work("/cancel"), json!({})),
    ]
}

/// D-157, D-159, D-165, D-173: every command asks for a key and a version, hides the contract from strangers, and takes no
/// member that it does not know.
#[tokio::test]
async fn every_command_is_refused_alike() {
    let world = World::new().await;
    let contract = world.funded().await;
    let clerk = world.other_role(&world.payee, Role::Client).await;
    for (path, body) in commands(&contract) {
        let version = world.version(&world.client, &path).await;
        let bare = async { world.api.post(&path, &world.client.token, &[], &body).await.unwrap() };
        world.refused(400, "idempotency_key_required", bare).await;
        let unversioned = world.post(&world.client, &path, None, body.clone());
        world.refused(428, "precondition_required", unversioned).await;
        // With a stale version, too: the version must not leak.
        for version in [version.as_str(), "\"1\""] {
            let stranger = world.post(&world.outsider, &path, Some(version), body.clone());
            let problem = world.refused(404, "not_found", stranger).await;
            assert_eq!(problem.header("etag"), None, "{path}");
        }
        // The payee, claiming to be a client: a party, but not in its own role.
        let other = world.post(&clerk, &path, Some(&version), body.clone());
        world.refused(403, "forbidden", other).await;
        let mut unknown = body.clone();
        unknown["surprise"] = json!(1);
        let unknown = world.post(&world.client, &path, Some(&version), unknown);
        world.refused(422, "validation_failed", unknown).await;
        let nowhere = path.replace(&contract.id, "ctr_1").replace(&contract.milestone, "mst_1");
        let malformed = world.post(&world.client, &nowhere, Some(&version), body.clone());
        world.refused(400, "not_a_valid_id", malformed).await;
    }
    let malformed = world.act(&world.client, contract.at("/amendments/amd_1/accept"), json!({}));
    assert_eq!(world.refused(400, "not_a_valid_id", malformed).await.body["expected_prefix"], "amd");
}

/// A party in the other role, and a contract that is over.
#[tokio::test]
async fn wrong_roles_and_states_are_refused() {
    let world = World::new().await;
    let (contract, over) = (world.funded().await, world.released().await);
    let roles: [(&MadeToken, String); 4] = [
        (&world.client, contract.at("/decline")),
        (&world.payee, contract.at("/withdraw")),
        (&world.client, contract.work("/withdraw-submission")),
        (&world.payee, contract.work("/request-changes")),
    ];
    for (who, path) in roles {
        world.refused(403, "forbidden", world.act(who, &path, json!({}))).await;
    }
    for (path, body) in commands(&over) {
        let payees = ["/decline", "/withdraw-submission"].iter().any(|verb| path.ends_with(verb));
        let who = if payees { &world.payee } else { &world.client };
        let code = match (path.starts_with("/v1/contracts/"), path.ends_with("/cancel")) {
            (true, _) => "contract_wrong_state",
            (false, true) => "milestone_wrong_state",
            (false, false) => "milestone_already_approved",
        };
        world.refused(409, code, world.act(who, &path, body)).await;
    }
}

/// D-173: what is wrong with a body is said with a pointer into it.
#[tokio::test]
async fn bad_bodies_are_refused_with_a_pointer() {
    let world = World::new().await;
    let contract = world.funded().await;
    let milestone = contract.milestone.as_str();
    let free_text = json!("Jane Doe");
    let change = |change: Value| json!({ "changes": [change] });
    let worth_of =
        |amount: Value| change(json!({ "kind": "change_amount", "milestone_id": milestone, "amount": amount }));
    let added = |member: &str, value: Value| {
        let mut added = json!({ "kind": "add_milestone", "amount": 5 });
        added[member] = value;
        change(added)
    };
    let twice =
        json!({ "changes": [worth(milestone, 120_000)["changes"][0], worth(milestone, 130_000)["changes"][0]] });
    let of_changes: Vec<(Value, &str, &str)> = vec![
        (json!({ "changes": [] }), "validation_failed", "/changes"),
        (worth_of(json!(0)), "validation_failed", "/changes/0/amount"),
        (worth_of(json!(-5)), "validation_failed", "/changes/0/amount"),
        (worth_of(json!(10.5)), "validation_failed", "/changes/0/amount"),
        (worth_of(json!(1_000_000_000_000_001_i64)), "amount_too_large", "/changes/0/amount"),
        (worth_of(Value::Null), "validation_failed", "/changes/0/amount"),
        (worth("mst_1", 5), "validation_failed", "/changes/0/milestone_id"),
        (worth("mst_00000000000000000000000000", 5), "validation_failed", "/changes/0/milestone_id"),
        (change(json!({ "kind": "change_amount", "amount": 5 })), "validation_failed", "/changes/0/milestone_id"),
        (added("milestone_id", json!(milestone)), "validation_failed", "/changes/0/milestone_id"),
        (added("review_days", json!(0)), "validation_failed", "/changes/0/review_days"),
        (added("review_days", json!(366)), "validation_failed", "/changes/0/review_days"),
        (added("reference", free_text.clone()), "validation_failed", "/changes/0/reference"),
        (added("amount", Value::Null), "validation_failed", "/changes/0/amount"),
        (added("kind", json!("burn")), "validation_failed", "/changes/0/kind"),
        (twice, "validation_failed", "/changes/1/milestone_id"),
    ];
    for (body, code, pointer) in of_changes {
        let problem = world.refused(422, code, world.act(&world.client, contract.at("/amendments"), body)).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{}", problem.body);
    }
    let reason = json!({ "reason": free_text });
    let pause = world.act(&world.client, contract.at("/pause"), reason.clone());
    assert_eq!(world.refused(422, "validation_failed", pause).await.body["errors"][0]["pointer"], "/reason");
    let draft = world.drafted().await;
    let cancel = world.act(&world.client, draft.at("/cancel"), reason.clone());
    assert_eq!(world.refused(422, "validation_failed", cancel).await.body["errors"][0]["pointer"], "/reason");
    let offered = world.offered().await;
    let decline = world.act(&world.payee, offered.at("/decline"), reason);
    assert_eq!(world.refused(422, "validation_failed", decline).await.body["errors"][0]["pointer"], "/reason");
    let counter = world.act(&world.payee, offered.at("/counter-offer"), worth(milestone, 5));
    let problem = world.refused(422, "validation_failed", counter).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/changes/0/milestone_id");
    world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
    let wish = world.act(&world.client, contract.work("/request-changes"), json!({ "note_ref": "two words" }));
    assert_eq!(world.refused(422, "validation_failed", wish).await.body["errors"][0]["pointer"], "/note_ref");
}
